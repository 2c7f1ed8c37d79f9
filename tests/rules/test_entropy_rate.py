"""The entropy-rate controller: by hand, its identity, its targets, its bounds."""

import numpy as np
import pytest
import torch

from logitherm import RecipeError, Sampler, Temperature, TopK
from logitherm.arrays import entropy
from logitherm.rules import AdaptiveP, Ban, EntropyRate, Mirostat, TargetEntropy
from tests.rows import logs

ZIPF = -1.1 * np.log(np.arange(1.0, 501.0))[None]


def temperatures(rule, row, steps, rest=()):
    """The temperature before each token, the final entropies, and the state at the end; token 0 always comes."""
    sampler = Sampler(rule, *rest)
    state = sampler.start([[]], seed=0)
    used, entropies = [], []
    for _ in range(steps):
        first, *_ = sampler.stages(row, state)
        used.append(float(rule.temperature(first[1], first[3])[0, 0]))
        step = sampler.observe(row, state, [0])
        entropies.append(step.final_entropy[0])
        state = step.state
    return used, entropies, state


def test_the_example():
    flat = np.zeros((1, 4))
    down, _, _ = temperatures(EntropyRate(1.0, 0.1), flat, 3)
    up, _, _ = temperatures(EntropyRate(2.0, 0.1), flat, 2)
    off = np.log(4) - 1
    assert down == pytest.approx([1.0, np.exp(-0.1 * off), np.exp(-0.2 * off)], abs=1e-14)
    assert up == pytest.approx([1.0, np.exp(0.1 * (2 - np.log(4)))], abs=1e-14)
    assert [round(t, 4) for t in (*down[1:], up[1])] == [0.9621, 0.9257, 1.0633]


def test_the_pi_form_by_hand():
    """The entropy of four equal logits is log 4 at every T: the error is the same each time."""
    off = np.log(4) - 1
    used, _, _ = temperatures(EntropyRate(1.0, 0.1, kp=0.05), np.zeros((1, 4)), 4)
    assert np.log(used) == pytest.approx([0, -0.15 * off, -0.25 * off, -0.35 * off], abs=1e-14)
    low, _, _ = temperatures(EntropyRate(1.0, 0.1, kp=5.0, t_min=0.5), np.zeros((1, 4)), 3)
    assert low == pytest.approx([1.0, 0.5, 0.5])


def test_the_pi_form_answers_sooner_and_settles_at_the_same_place():
    plain, pi = (temperatures(EntropyRate(3.0, 0.05, kp=kp), ZIPF, 400) for kp in (0.0, 0.05))
    errors = [np.abs(np.array(entropies) - 3.0) for _, entropies, _ in (plain, pi)]
    assert errors[1][1] < errors[0][1]
    assert (errors[1][:20] ** 2).sum() < (errors[0][:20] ** 2).sum()
    assert plain[0][-1] == pytest.approx(pi[0][-1], abs=1e-9)


def test_the_pi_form_is_stable_below_its_limit_and_not_above():
    """About the target the entropy is a line in log T with slope v, the variance of the surprisal."""
    t = temperatures(EntropyRate(3.0, 0.1), ZIPF, 400)[0][-1]
    p = np.exp(ZIPF[0] / t)
    p /= p.sum()
    v = p @ np.log(p) ** 2 - (p @ np.log(p)) ** 2
    for share, settles in ((1.8, True), (2.2, False)):
        eta = 0.6 / v
        kp = (share / v - eta) / 2
        assert kp * v < 1
        _, entropies, _ = temperatures(EntropyRate(3.0, eta, kp=kp), ZIPF, 600)
        assert (abs(entropies[-1] - 3.0) < 1e-6) == settles


@pytest.mark.parametrize("of", ["raw", "final"])
def test_while_no_bound_holds_it_the_mean_error_is_the_way_of_log_t(of):
    rows = [np.random.default_rng(i).normal(scale=2, size=(1, 200)) for i in range(300)]
    sampler = Sampler(EntropyRate(2.5, 0.03, of=of), *([TopK(40)] if of == "final" else []))
    state = sampler.start([[]], seed=3)
    found = []
    for row in rows:
        step = sampler.step(row, state)
        found.append(step.final_entropy[0])
        state = step.state
    log_t, held, _ = state.memory[0][0]
    assert held == 0
    assert np.mean(found) - 2.5 == pytest.approx((0 - log_t) / (0.03 * 300), abs=1e-9)
    assert abs(np.mean(found) - 2.5) < 0.2


def test_on_a_stationary_row_it_finds_the_temperature_of_that_entropy():
    used, entropies, _ = temperatures(EntropyRate(3.0, 0.1), ZIPF, 300)
    sampler = Sampler(TargetEntropy(3.0))
    ((rule, before, _, at),) = sampler.stages(ZIPF, sampler.start([[]]))
    assert used[-1] == pytest.approx(rule.temperature(before, at)[0, 0], abs=1e-6)
    assert entropies[-1] == pytest.approx(3.0, abs=1e-6)


def test_final_sees_the_cuts_and_raw_does_not():
    rest = (TopK(2),)
    (_, raw), (_, final) = (temperatures(EntropyRate(0.5, 0.1, of=of), ZIPF, 2, rest)[0] for of in ("raw", "final"))
    assert raw == pytest.approx(np.exp(0.1 * (0.5 - entropy(ZIPF)[0, 0])), abs=1e-12)
    assert final == pytest.approx(np.exp(0.1 * (0.5 - entropy(ZIPF[:, :2])[0, 0])), abs=1e-12)
    chain = Temperature(0.5) | EntropyRate(0.5, 0.1)  # raw is before the temperature, too
    state = chain.observe(ZIPF, chain.start([[]], seed=0), [0]).state
    assert np.exp(state.memory[1][0, 0]) == pytest.approx(raw, abs=1e-12)


def test_an_unreachable_target_is_reported_and_does_not_wind_up():
    """Two tokens have log 2 = .69 nats at most: 5 nats hold T at t_max; as soon as the text allows, T comes back."""
    rule = EntropyRate(5.0, 0.1)
    sampler = Sampler(rule)
    state = sampler.start([[]], seed=0)
    sure, open_ = np.array([[5.0, 0.0, *[-np.inf] * 498]]), np.zeros((1, 500))  # log 500 = 6.2 nats
    reports = []
    for _ in range(400):
        state = sampler.observe(sure, state, [0]).state
        reports.append(float(rule.held(state.memory[0])[0]))
    assert np.exp(state.memory[0][0, 0]) == pytest.approx(3.0)
    assert reports[0] == 0
    assert reports[-2:] == [reports[-1] - 1, reports[-1]]
    assert reports[-1] > 390
    state = sampler.observe(open_, state, [0]).state
    assert rule.held(state.memory[0]).tolist() == [0.0]
    for _ in range(19):
        state = sampler.observe(open_, state, [0]).state
    assert state.memory[0][0, 0] < 0  # 20 tokens: 1.1 down at .12 a token

    low = EntropyRate(0.1, 0.5)
    _, _, state = temperatures(low, np.zeros((1, 4)), 50)
    assert low.held(state.memory[0])[0] < -30
    assert np.exp(state.memory[0][0, 0]) == pytest.approx(0.05)


def test_torch_gives_the_same_memory():
    sampler = Sampler(EntropyRate(2.0, 0.2))
    ours = sampler.observe(ZIPF, sampler.start([[]], seed=0), [1]).state
    theirs = sampler.observe(torch.from_numpy(ZIPF), sampler.start([[]], seed=0), [1]).state
    assert isinstance(theirs.memory[0], np.ndarray)
    assert theirs.memory[0] == pytest.approx(ours.memory[0], abs=1e-12)


def test_the_bounds():
    used, _, _ = temperatures(EntropyRate(2.0, 0.1, t_min=1.5), logs(0.5, 0.5), 1)
    assert used == [pytest.approx(1.5)]
    for low, high in ((2.0, 1.0), ((0.5, 2.0), 1.0), ((0.5, 2.0), (1.0, 1.0))):
        with pytest.raises(RecipeError, match=r"EntropyRate\.t_min must be at most t_max"):
            EntropyRate(1.0, 0.1, t_min=low, t_max=high)
    with pytest.raises(RecipeError, match=r"EntropyRate\.t_min must be in \[0\.001, inf\); got inf"):
        EntropyRate(1.0, 0.1, t_min=np.inf)
    used, _, _ = temperatures(EntropyRate(2.0, 0.1, t_min=2.0, t_max=2.0), logs(0.5, 0.5), 2)
    assert used == [pytest.approx(2.0)] * 2
    with pytest.raises(RecipeError, match=r"EntropyRate\.t_min must be at most t_max"):
        EntropyRate(1.0, 0.1, t_min=(0.5, 0.5, 2.0), t_max=(1.0, 1.0, 1.0))


def test_from_one_bound_to_the_other_the_count_begins_anew():
    """Two nats too few, then two too many, and log T moves by nine for each."""
    rule = EntropyRate(2.0, 9.0)
    sampler = Sampler(rule)
    assert rule.init(2).tolist() == [[0.0, 0.0, 0.0]] * 2
    state, reports = sampler.start([[]], seed=0), []
    sure, flat = np.array([[0.0, *[-np.inf] * 54]]), np.zeros((1, 55))  # 0 and log 55 = 4 nats
    for row in (sure, sure, flat, flat, sure):
        state = sampler.observe(row, state, [0]).state
        reports.append(float(rule.held(state.memory[0])[0]))
    assert reports == [1.0, 2.0, -1.0, -2.0, 1.0]


def test_a_row_with_nothing_left_teaches_nothing():
    """Tokens may be forced where a chain removes everything; what learns from the chain's end then waits."""
    x = logs(0.5, 0.3, 0.2)
    for rule, start in ((EntropyRate(2.0, 0.1, of="final"), 0.0), (Mirostat(2.0, surprise="sampled"), 4.0)):
        sampler = Ban([0, 1, 2]) | rule
        state = sampler.observe(x, sampler.start([[]], seed=0), [1]).state
        assert np.ravel(state.memory[1])[0] == start
    sampler = Ban([0, 1, 2]) | AdaptiveP(0.5, decay=0.5)
    assert sampler.observe(x, sampler.start([[]], seed=0), [1]).state.memory[1].tolist() == [[0.5, 2.0]]
