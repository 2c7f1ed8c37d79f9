"""Adaptive-p by hand and behind other rules; tests/engines compares it with llama.cpp."""

import numpy as np
import pytest

from logitherm import Sampler, TopK
from logitherm.rules import AdaptiveP
from tests.rows import logs, probabilities


def test_the_example():
    rule = AdaptiveP(0.4)
    sampler = Sampler(rule)
    row = logs(0.4, 0.3, 0.2, 0.1)
    state = sampler.start([[]], seed=0)
    assert state.memory[0].shape == (1, 2)
    assert sampler.apply(row, state)[0] == pytest.approx([5, 5 - 10 / 9 / (4 / 3), 5 - 40 / 9 / (5 / 3), 0], abs=1e-12)
    state = sampler.observe(row, state, [3]).state
    assert state.memory[0][0] == pytest.approx([0.1 + 0.9 * 4, 1 + 0.9 * 10], abs=1e-12)
    ((_, _, after, at),) = sampler.stages(row, state)
    assert rule.aim(at) == pytest.approx([0.43], abs=1e-12)
    assert after[0].argmax() == 0


def test_the_aim_stays_within_probabilities():
    sampler = Sampler(AdaptiveP(0.9, decay=0.0))
    row = logs(0.99, 0.01)
    state = sampler.start([[]], seed=0)
    for token, aim in ((1, 1.0), (0, 0.81), (1, 1.0)):  # 2 · .9 − .01 is above 1
        state = sampler.observe(row, state, [token]).state
        ((rule, _, _, at),) = sampler.stages(row, state)
        assert rule.aim(at) == pytest.approx([aim], abs=1e-12)


def test_an_aim_of_zero_is_no_rule_that_is_off():
    sampler = Sampler(AdaptiveP(0.0, decay=0.0))
    row = logs(0.6, 0.4)
    state = sampler.start([[]], seed=0)
    assert sampler.apply(row, state)[0] == pytest.approx([5 - 40 / 3, 5 - 160 / 21], abs=1e-12)  # d = 2 and 4/3
    state = sampler.observe(row, state, [0]).state  # 2 · 0 − .6 is below 0
    ((rule, _, _, at),) = sampler.stages(row, state)
    assert rule.aim(at).tolist() == [0.0]


def test_probabilities_are_of_what_the_rule_received():
    """After top_k(2) the two that are left have 4/7 and 3/7; a later rule changes nothing about that."""
    sampler = TopK(2) | AdaptiveP(0.5, decay=0.0) | TopK(1)
    row = logs(0.4, 0.3, 0.2, 0.1)
    for token, p in ((0, 4 / 7), (1, 3 / 7), (3, 0.0)):
        state = sampler.observe(row, sampler.start([[]], seed=0), [token]).state
        assert state.memory[1][0] == pytest.approx([p, 1.0], abs=1e-12)


def test_the_same_rule_twice_has_two_memories():
    twice = Sampler(AdaptiveP(0.4), AdaptiveP(0.4))
    row = logs(0.4, 0.3, 0.2, 0.1)
    state = twice.observe(row, twice.start([[]], seed=0), [1]).state
    between = probabilities([5, 5 - 10 / 9 / (4 / 3), 5 - 40 / 9 / (5 / 3), 0])
    assert [m[0, 0] for m in state.memory] == pytest.approx([0.3 + 3.6, between[1] + 3.6], abs=1e-12)


def test_off_is_off_for_its_row_alone():
    rows = np.log([[0.4, 0.3, 0.2, 0.1]] * 2)
    sampler = Sampler(AdaptiveP((-1.0, 0.4)))
    out = sampler.apply(rows, sampler.start([[]] * 2, seed=0))
    assert np.array_equal(out[0], rows[0])
    assert out[1, 3] == pytest.approx(0.0, abs=1e-12)


def test_the_mean_probability_of_drawn_tokens_comes_near_the_target():
    """A row with probabilities from .02 to .5; 2,000 tokens; the mean raw p of the drawn ones is .25 within .05, where
    plain sampling has the sum of p² = .338. The rule is proportional control, which leaves an error.
    """
    row = logs(0.5, 0.25, 0.1, 0.08, 0.05, 0.02)
    sampler = Sampler(AdaptiveP(0.25))
    state = sampler.start([[]], seed=1)
    seen = []
    for _ in range(2000):
        step = sampler.step(row, state)
        seen.append(np.exp(step.raw_logprobs[0]))
        state = step.state
    assert abs(np.mean(seen) - 0.25) < 0.05
