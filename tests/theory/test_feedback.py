"""Controllers on the real rules, through `observe`: their identities, their bounds, and when they are stable."""

from dataclasses import replace

import numpy as np
import pytest

from logitherm import Sampler
from logitherm.arrays import entropy
from logitherm.rules import AdaptiveP, EntropyRate, Mirostat, TargetEntropy
from logitherm.rules.dynamic import varentropy
from tests.rows import logs, probabilities
from tests.theory.numbers import heat

ZIPF = -1.1 * np.log(np.arange(1.0, 501.0))[None]
FLAT, SURE = np.zeros((1, 500)), np.array([[40.0, *[0.0] * 499]])


def course(rule, lines, draws=True):
    """What the rule keeps in its memory before each line and after the last, and what was drawn from."""
    sampler = Sampler(rule)
    state = sampler.start([[]], seed=1)
    memories, steps = [state.memory[0]], []
    for line in lines:
        step = sampler.step(line, state) if draws else sampler.observe(line, state, [0])
        state = step.state
        memories.append(state.memory[0])
        steps.append(step)
    return np.array(memories)[:, 0], steps


# -- mean error = way of the controller / (eta · tokens) --------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_text_the_mean_error_is_the_way_of_log_t(seed):
    rng = np.random.default_rng(seed)
    lines = [rng.normal(scale=rng.uniform(0.5, 4), size=(1, 100)) for _ in range(60)]
    rule = EntropyRate(2.0, 0.02)
    memories, steps = course(rule, lines)
    assert (memories[:, 1] == 0).all()  # no bound was met
    errors = [step.final_entropy[0] - 2.0 for step in steps]
    assert np.mean(errors) == pytest.approx((memories[0, 0] - memories[-1, 0]) / (0.02 * 60), abs=1e-12)
    assert abs(np.mean(errors)) <= (np.log(3) - np.log(0.05)) / (0.02 * 60)


@pytest.mark.parametrize("seed", range(5))
def test_a_bound_of_t_adds_what_it_held_back_to_the_identity(seed):
    """Σ error = −(way of log T) / eta + what the bounds cut off: with bounds the mean may miss, and by this much."""
    rng = np.random.default_rng(seed)
    lines = [rng.normal(scale=rng.uniform(0.1, 9), size=(1, 100)) for _ in range(200)]
    eta, low, high = 0.3, np.log(0.7), np.log(1.2)
    memories, steps = course(EntropyRate(2.0, eta, t_min=0.7, t_max=1.2), lines)
    errors = np.array([step.final_entropy[0] - 2.0 for step in steps])
    wanted = memories[:-1, 0] - eta * errors
    cut = wanted - np.clip(wanted, low, high)
    assert np.abs(cut).max() > 0.1
    assert errors.sum() == pytest.approx(-(memories[-1, 0] - memories[0, 0] + cut.sum()) / eta, abs=1e-9)


# -- windup -----------------------------------------------------------------------------------------------------------


def test_at_a_bound_nothing_is_added_up():
    """300 sure tokens or 30 under a target out of reach: T leaves its bound at the first token above the target."""
    for sure in (30, 300):
        memories, _ = course(EntropyRate(4.0, 0.1), [SURE] * sure + [FLAT], draws=False)
        assert memories[-2, 0] == pytest.approx(np.log(3.0))
        assert memories[-1, 0] == pytest.approx(np.log(3.0) - 0.1 * (np.log(500) - 4.0), abs=1e-12)


def test_mirostat_winds_up_and_needs_as_long_to_come_back():
    """A token of no surprise adds eta · tau to mu; so n of them take n · tau / (surprise − tau) to be undone."""
    tau, eta, n = 3.0, 0.1, 400
    certain, even = np.array([[0.0, *[-np.inf] * 255]]), np.zeros((1, 256))  # 0 and 8 bits
    memories, _ = course(Mirostat(tau, eta=eta), [certain] * n + [even] * n, draws=False)
    assert memories[n] == pytest.approx(2 * tau + n * eta * tau, abs=1e-9)
    back = n + np.flatnonzero(memories[n:] <= 2 * tau + 1e-9)[0]
    assert back - n == int(n * tau / (8 - tau))  # 240 tokens in which it removes nothing


def test_an_unreachable_target_gives_the_bound_and_nothing_worse():
    memories, steps = course(EntropyRate(8.0, 0.1), [ZIPF] * 100)
    assert np.exp(memories[-1, 0]) == pytest.approx(3.0)
    assert EntropyRate(8.0, 0.1).held(memories[-1:])[0] > 50
    assert steps[-1].final_entropy[0] == pytest.approx(entropy(ZIPF / 3.0)[0, 0], abs=1e-12)


# -- stability --------------------------------------------------------------------------------------------------------


def fixed_point(target):
    """log T at which the Zipf row has the target entropy, and its varentropy there, the gain of the loop."""
    t = heat(TargetEntropy(target), ZIPF)[0]
    return np.log(t), varentropy(ZIPF / t)[0, 0]


@pytest.mark.parametrize("eta", [0.02, 0.2, 0.7])
def test_an_error_of_log_t_is_multiplied_by_one_minus_eta_v(eta):
    u, v = fixed_point(3.0)
    rule, small = EntropyRate(3.0, eta, t_min=0.01), 1e-5
    sampler = Sampler(rule)
    step = sampler.observe(ZIPF, sampler.start([[]], seed=0), [0])
    ends = [rule.advance(np.array([[u + d, 0.0, 0.0]]), step)[0, 0] for d in (-small, small)]
    assert (ends[1] - ends[0]) / (2 * small) == pytest.approx(1 - eta * v, abs=1e-6)


@pytest.mark.parametrize(("share", "settles"), [(0.05, True), (0.9, True), (1.1, False), (1.5, False)])
def test_entropy_rate_is_stable_below_two_over_the_varentropy(share, settles):
    u, v = fixed_point(3.0)
    memories, _ = course(EntropyRate(3.0, share * 2 / v, t_min=0.01), [ZIPF] * 400, draws=False)
    off = np.abs(memories[-2:, 0] - u)
    assert (off.max() < 1e-6) == settles
    assert settles or np.ptp(memories[-2:, 0]) > 0.05  # it swings from one side to the other


def test_sampled_surprise_would_shake_the_temperature():
    """Fed with the surprise of the draw, log T has a standard deviation of √(eta / (2 − eta v)); with H it has none."""
    eta = 0.05
    u, v = fixed_point(3.0)
    t, rng, seen = np.exp(u), np.random.default_rng(0), []
    p_of = {}
    for _ in range(40_000):
        key = round(np.log(t), 3)
        if key not in p_of:
            p = probabilities(ZIPF / np.exp(key))[0]
            p_of[key] = np.cumsum(p), -np.log(p)
        running, surprise = p_of[key]
        t *= np.exp(-eta * (surprise[min(np.searchsorted(running, rng.random()), 499)] - 3.0))
        seen.append(np.log(t))
    assert np.std(seen) == pytest.approx(np.sqrt(eta / (2 - eta * v)), rel=0.1)
    memories, _ = course(EntropyRate(3.0, eta), [ZIPF] * 1000)
    assert np.ptp(memories[-200:, 0]) < 1e-9


def averaged(rule, row, start, steps):
    """What rows keep on average: in each step every token is observed, and what they learn weighed by their chances."""
    sampler, n = Sampler(rule), row.shape[1]
    lines = row.repeat(n, axis=0)
    state = sampler.start([[]] * n, seed=0)
    seen = [np.asarray(start, dtype=float)]
    for _ in range(steps):
        step = sampler.observe(lines, replace(state, memory=(np.stack([seen[-1]] * n),)), np.arange(n))
        seen.append(probabilities(step.final[:1])[0] @ step.state.memory[0])
    return np.array(seen)


SMOOTH = -np.linspace(0.0, 6.0, 300)[None]


def surprises(mu):
    """Mean raw surprise, in bits, of what mirostat leaves at a ceiling, and the mass that it leaves."""
    sampler = Sampler(Mirostat(4.0))
    state = replace(sampler.start([[]], seed=0), memory=(np.array([mu]),))
    left = np.isfinite(sampler.apply(SMOOTH, state)[0])
    p = probabilities(SMOOTH)[0]
    return (p * -np.log2(p))[left].sum() / p[left].sum(), p[left].sum()


def gain(mu, step=0.5):
    """By how many bits the mean surprise rises with a bit of the ceiling."""
    return (surprises(mu + step)[0] - surprises(mu - step)[0]) / (2 * step)


def test_mirostats_gain_is_the_mass_that_enters_at_its_ceiling():
    """A higher ceiling lets in tokens of surprise mu: gain = (share of mass that enters with a bit) · (mu − mean)."""
    mu = 9.0
    (_, less), (mean, mass), (_, more) = (surprises(m) for m in (mu - 0.5, mu, mu + 0.5))
    assert gain(mu) == pytest.approx((more - less) / mass * (mu - mean), rel=0.02)


@pytest.mark.parametrize(("share", "settles"), [(0.1, True), (0.7, True), (1.3, False)])
def test_mirostat_is_stable_below_two_over_its_gain(share, settles):
    """On the mean of many rows; tokens enter one by one, so it settles to a step of the row and not to a point."""
    mu = 9.0
    rule = Mirostat(surprises(mu)[0], eta=share * 2 / gain(mu))
    last = averaged(rule, SMOOTH, mu + 0.3, 60)[-10:]
    assert (np.abs(last - mu).max() < 0.1) == settles
    assert settles or np.ptp(last) > 0.5


TWO = logs(0.7, 0.3)


def answer(aim):
    """Mean probability of what adaptive_p draws from the two tokens when it aims at a."""
    sampler = Sampler(AdaptiveP(0.5, decay=0.0))
    state = replace(sampler.start([[]], seed=0), memory=(np.array([[1.0 - aim, 1.0]]),))
    ((rule, _, _, at),) = sampler.stages(TWO, state)
    assert rule.aim(at) == pytest.approx([aim], abs=1e-12)
    return float(probabilities(sampler.apply(TWO, state))[0] @ [0.7, 0.3])


def response(aim, step=1e-4):
    return (answer(aim + step) - answer(aim - step)) / (2 * step)


@pytest.mark.parametrize(("decay", "settles"), [(0.0, False), (0.5, False), (0.7, True), (0.9, True)])
def test_adaptive_p_is_stable_while_its_response_is_below_that_of_its_memory(decay, settles):
    """On the mean of many rows m becomes d · m + (1 − d) · P(2t − m): it needs P' < (1 + d) / (1 − d). P' is 4.27."""
    assert response(0.5) == pytest.approx(4.27, abs=0.01)
    assert (response(0.5) < (1 + decay) / (1 - decay)) == settles
    sums = averaged(AdaptiveP(0.5, decay=decay), TWO, np.array([0.49, 1.0]) / (1 - decay), 200)
    assert (abs(sums[-1, 0] / sums[-1, 1] - 0.5) < 1e-6) == settles


def test_adaptive_p_keeps_a_share_of_the_error_that_it_would_have_without_feedback():
    """Proportional control: where it rests m = P(2t − m), so m − t is (P(t) − t) / (1 + P'): a fifth, not 0."""
    target = 0.495
    sums = averaged(AdaptiveP(target), TWO, np.array([target, 1.0]) * 10, 300)
    missed = sums[-1, 0] / sums[-1, 1] - target
    assert missed == pytest.approx((answer(target) - target) / (1 + response(target)), rel=0.02)
    assert abs(missed) > 0.003
