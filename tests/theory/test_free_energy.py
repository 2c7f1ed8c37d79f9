"""The free-energy identity, for every rule of the registry: what any rule gives up against one constant temperature."""

import numpy as np
import pytest

from logitherm import Sampler
from logitherm.rules import DynamicTemperature, EntropyRate, TargetEntropy, Temperature, Xtc
from tests.rows import apply, begin, examples, name, probabilities
from tests.theory.numbers import distance, entropies, heat, kl, log_p, log_z, mean, rows, tempered

HEATS = (0.3, 1.0, 2.7)
CONTEXTS = rows()
WEIGHTS = np.arange(12.0, 24.0) / np.arange(12.0, 24.0).sum()
over_rules = pytest.mark.parametrize("rule", examples(), ids=name)


def constant(x, weights, h):
    """The constant temperature at which the rows have the mean entropy h, by bisection; 0 if the coldest has it."""
    at = lambda u: weights @ entropies(tempered(x, np.exp(u)))
    low, high = -10.0, 15.0
    if at(low) >= h:
        return 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) < h else (low, middle)
    return np.exp(low)


def loss(q, x, weights=WEIGHTS):
    """How much less likely, nats a token, than under the constant temperature of the same mean entropy; T · mean KL."""
    t = constant(x, weights, weights @ entropies(q))
    likely = weights @ mean(q, log_p(x))
    if t == 0.0:
        return weights @ log_p(x).max(axis=1) - likely, 0.0
    p = tempered(x, t)
    return weights @ mean(p, log_p(x)) - likely, t * (weights @ kl(q, p))


@over_rules
@pytest.mark.parametrize("t", HEATS)
def test_the_identity_holds_in_every_context(rule, t):
    """T · H(q) + E_q log p = T · log Σ p^(1/T) − T · KL(q ‖ p_T), whatever a rule makes of p."""
    q = probabilities(apply(rule, CONTEXTS))
    left = t * entropies(q) + mean(q, log_p(CONTEXTS))
    right = t * log_z(log_p(CONTEXTS), t) - t * kl(q, tempered(CONTEXTS, t))
    assert left == pytest.approx(right, abs=1e-10)


@over_rules
def test_no_rule_is_likelier_than_the_constant_temperature_of_its_mean_entropy(rule):
    q = probabilities(apply(rule, CONTEXTS))
    lost, divergence = loss(q, CONTEXTS)
    t = constant(CONTEXTS, WEIGHTS, WEIGHTS @ entropies(q))
    if t == 0.0:  # the likeliest token of each row is the best that can be had, and T · KL has its limit there
        ties = np.equal(CONTEXTS, CONTEXTS.max(axis=1, keepdims=True)).sum(axis=1)
        assert WEIGHTS @ entropies(q) <= WEIGHTS @ np.log(ties) + 1e-12
        assert lost > -1e-12
    else:
        assert lost == pytest.approx(divergence, abs=1e-10)
        is_constant = distance(q, tempered(CONTEXTS, t)).max() < 1e-9
        assert abs(lost) < 1e-10 if is_constant else lost > 1e-6
        assert is_constant or not isinstance(rule, Temperature | EntropyRate)  # one temperature for all rows


def test_along_a_text_the_identity_is_about_the_contexts_that_were_visited():
    """Rules with a memory, 40 tokens each: q is what the memory made of that step. Other contexts come otherwise."""
    remembering = [rule for rule in examples() if rule.init(1) is not None]
    assert {rule.name for rule in remembering} >= {"adaptive_p", "dynamic_temperature", "entropy_rate", "mirostat"}
    for rule in remembering:
        sampler = Sampler(rule)
        state = sampler.start([[0]], seed=4)
        visited, drawn_from = [], []
        for place in range(40):
            last = int(state.tokens[0][-1])
            logits = np.random.default_rng([last, place % 3]).normal(scale=2.5, size=(1, 24))
            step = sampler.step(logits, state)
            visited.append(step.raw[0])
            drawn_from.append(probabilities(step.final)[0])
            state = step.state
        x, q, even = np.array(visited), np.array(drawn_from), np.full(40, 1 / 40)
        lost, divergence = loss(q, x, even)
        assert lost == pytest.approx(divergence, abs=1e-10), rule
        assert lost > 0


def test_a_coin_is_averaged_over_and_the_average_obeys_it_too():
    """xtc(0.5) on one row: with its coin, without, and what is drawn from over all coins, which is more uncertain."""
    x = CONTEXTS[[3]].repeat(4000, axis=0)
    sampler = Sampler(Xtc(0.5, threshold=0.05, protect=[]))
    q = probabilities(sampler.apply(x, begin(sampler, x, seed=11)))
    kinds, share = np.unique(q, axis=0, return_counts=True)
    assert len(kinds) == 2
    assert share / 4000 == pytest.approx(0.5, abs=0.04)  # five standard errors
    mixed = share / 4000 @ kinds
    assert entropies(mixed) > share / 4000 @ entropies(kinds)
    for p in (*kinds, mixed):
        lost, divergence = loss(p[None], x[:1], np.ones(1))
        assert lost == pytest.approx(divergence, abs=1e-10)
    assert lost > 0.001


SLOPE, LEAST = 0.3, 0.4


def judged(rule, x, truth):
    """By how much a rule's mean log-likelihood under the truth is above that of the constant of its mean entropy."""
    q = probabilities(apply(rule, x))
    even = np.full(len(x), 1 / len(x))
    fixed = tempered(x, constant(x, even, even @ entropies(q)))
    return even @ (mean(q, log_p(truth)) - mean(fixed, log_p(truth)))


@pytest.mark.parametrize("t", [0.6, 1.0, 1.4])
def test_dynamic_temperature_wins_where_the_model_is_wrong_as_it_expects(t):
    """Truth p^(1/τ), τ = 0.4 + 0.3 · H: the model is too sure where unsure. T = t · τ is then the best of all rules."""
    x = rows(40, seed=1)
    tau = LEAST + SLOPE * entropies(probabilities(x))
    calibrated = DynamicTemperature(t * LEAST, entropy=t * SLOPE)
    assert heat(calibrated, x) == pytest.approx(t * tau, abs=1e-12)
    truth = x / tau[:, None]
    assert judged(calibrated, x, truth) > 0.001
    assert judged(DynamicTemperature(1.2 * t, entropy=-0.1 * t), x, truth) < -0.001  # the other way round: worse
    assert judged(calibrated, x, x) < -0.001  # and if the model is right, there is nothing to win
    even = np.full(len(x), 1 / len(x))
    both = lambda q: even @ (t * entropies(q) + mean(q, log_p(truth)))
    best = both(probabilities(apply(calibrated, x)))
    assert all(both(probabilities(apply(rule, x))) < best for rule in examples())


def test_on_rows_that_are_alike_every_dynamic_temperature_is_a_constant():
    x = np.array([np.random.default_rng(i).permutation(rows()[5]) for i in range(8)])
    for rule in (DynamicTemperature(0.1, entropy=0.8), DynamicTemperature(0.5, max_p=-0.4), TargetEntropy(1.0)):
        assert np.ptp(heat(rule, x)) < 1e-9
        assert judged(rule, x, x / 1.3) == pytest.approx(0, abs=1e-9)
