"""Mirostat by hand, at its edges, and over a long text; tests/engines compares it with llama.cpp."""

import numpy as np
import pytest
import torch

from logitherm import Sampler
from logitherm.rules import Ban, Mirostat, Temperature
from logitherm.rules.mirostat import rank
from logitherm.schedule import SCHEDULES
from tests.rows import kept, logs


def told(rule, row, tokens):
    """What one row keeps before each token, and the ceiling then, where these tokens come."""
    sampler = Sampler(rule)
    state = sampler.start([[]], seed=0)
    seen = []
    for token in tokens:
        ((_, _, after, at),) = sampler.stages(row, state)
        seen.append((np.flatnonzero(np.isfinite(after[0])).tolist(), float(rule.ceiling(at)[0])))
        state = sampler.observe(row, state, [token]).state
    return seen


def test_the_example():
    row = logs(1 / 2, 1 / 4, 1 / 8, 1 / 8)
    assert told(Mirostat(1.0), row, [0, 1, 0]) == [([0, 1], 2.0), ([0, 1], 2.0), ([0], pytest.approx(1.9, abs=1e-15))]


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_a_surprise_of_exactly_mu_is_not_above_it(library):
    """A quarter is 2 bits, whatever the other tokens are."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        row = logs(0.25, *(0.75 * rng.dirichlet(np.ones(5))))
        for tau, stays in ((1.0, True), (0.99999, row.argmax() == 0)):
            sampler = Sampler(Mirostat(tau))
            assert np.isfinite(np.asarray(sampler.apply(library(row), sampler.start([[]]))))[0, 0] == stays


def test_raw_and_sampled_surprise_are_two_controllers():
    """Of two tokens with p = 1/2 and 1/4 the second has a raw surprise of 2 bits, and log2(3) bits as it was drawn."""
    row = logs(1 / 2, 1 / 4, 1 / 8, 1 / 8)
    (_, raw), (_, sampled) = (told(Mirostat(1.0, eta=0.5, surprise=s), row, [1, 0])[1] for s in ("raw", "sampled"))
    assert raw == pytest.approx(2 - 0.5 * (2 - 1), abs=1e-15)
    assert sampled == pytest.approx(2 - 0.5 * (np.log2(3) - 1), abs=1e-15)


def test_raw_is_before_any_rule_and_the_ceiling_is_on_what_is_received():
    sampler = Temperature(0.5) | Mirostat(1.0, eta=1.0)
    row = logs(1 / 2, 1 / 4, 1 / 8, 1 / 8)  # p² has the shares 16 4 1 1 of 22: surprises .46, 2.46, 4.46, 4.46
    state = sampler.start([[]], seed=0)
    assert np.isfinite(sampler.apply(row, state)[0]).tolist() == [True, False, False, False]
    assert sampler.observe(row, state, [1]).state.memory[1].tolist() == [2 - (2 - 1)]


def test_version_1_by_hand():
    """A Zipf row of slope s: p of rank i is i^-s, so the estimate is exact. V = 1000, s = 2: k = (2^mu / .999)^.5."""
    row = -2.0 * np.log(np.arange(1.0, 1001.0))[None]
    for mu, k in ((6.0, 8), (6.34, 9), (8.0, 16), (-3.0, 1), (50.0, 1000), (np.inf, 1000)):
        assert rank(row, np.array([[mu]])).tolist() == [[k]], mu
        assert rank(torch.from_numpy(row), torch.tensor([[mu]], dtype=torch.float64)).tolist() == [[k]]
    assert told(Mirostat(3.0, version=1), row, [0])[0] == ([*range(8)], 6.0)


def test_version_1_where_the_formula_divides_by_zero():
    one = -np.log(np.arange(1.0, 1001.0))[None]  # slope 1: (s − 1) / (1 − V^(1 − s)) goes to 1 / log V
    assert rank(one, np.array([[6.0]])).tolist() == [[int(2**6 / np.log(1000))]]
    near = -(1 + 1e-7) * np.log(np.arange(1.0, 1001.0))[None]
    assert rank(near, np.array([[6.0]])).tolist() == [[int(2**6 / np.log(1000))]]
    flat = np.zeros((1, 10))  # slope 0: all or one, and ties stay together
    assert rank(flat, np.array([[3.0]])).tolist() == [[1]]
    assert rank(flat, np.array([[4.0]])).tolist() == [[10]]
    assert kept(Mirostat(0.5, version=1), flat) == [True] * 10
    assert kept(Mirostat(0.5, version=1), np.array([[-np.inf, 1.0, -np.inf]])) == [False, True, False]
    assert kept(Mirostat(np.inf, version=1), logs(0.5, 0.3, 0.2)) == [True] * 3


def test_version_1_of_one_and_of_two_tokens():
    """Two with p = 2/3 and 1/3 have slope 1: k is 2^mu / log 2, so 1.90 and 2.04."""
    for mu, k in ((0.4, 1), (0.5, 2), (9.0, 2)):
        assert rank(np.array([[np.log(2), 0.0]]), np.array([[mu]])).tolist() == [[k]]
    for one in ([[3.0]], [[-np.inf, 3.0]]):
        assert rank(np.array(one), np.array([[2.0]])).tolist() == [[1]]


def test_version_1_looks_at_the_first_hundred():
    """A cliff after rank 99 makes the slope steeper, one after rank 100 is not seen: s = 2, k = 16, as above."""
    row = -2.0 * np.log(np.arange(1.0, 1001.0))[None]
    far, near = row.copy(), row.copy()
    far[:, 100:] -= 50.0
    near[:, 99:] -= 50.0
    assert rank(far, np.array([[8.0]])).tolist() == [[16]]
    assert rank(near, np.array([[8.0]])).tolist() == [[10]]


def test_a_version_is_a_whole_number():
    assert str(Mirostat(3.0, version=1.0)) == "mirostat(3.0, version=1)"


def test_the_likeliest_stays_whatever_the_ceiling():
    assert kept(Mirostat(0.01), logs(0.3, 0.3, 0.2, 0.2)) == [True, True, False, False]


def test_an_impossible_token_teaches_nothing():
    sampler = Ban([1]) | Mirostat(2.0, surprise="sampled")
    row = logs(0.5, 0.3, 0.2)
    state = sampler.observe(row, sampler.start([[]], seed=0), [1]).state
    assert state.memory[1].tolist() == [4.0]


def test_rows_and_versions_mix():
    rows = np.random.default_rng(0).normal(scale=3, size=(2, 300))
    both = Sampler(Mirostat((2.0, 3.0), version=(1, 2)))
    out = both.apply(rows, both.start([[]] * 2, seed=0))
    for i, rule in enumerate((Mirostat(2.0, version=1), Mirostat(3.0))):
        alone = Sampler(rule)
        assert np.array_equal(out[[i]], alone.apply(rows[[i]], alone.start([[]], seed=0)))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("surprise", ["raw", "sampled"])
def test_the_mean_surprise_converges_to_tau(version, surprise):
    """A stationary Zipf row of 2,000 tokens, tau = 3 bits, eta = 0.1, 3,000 tokens of which the first 500 are left out.

    Statistic: the mean surprise of the drawn tokens. Tolerance 0.1 bits: the identity mean − tau = (mu before − mu
    after) / (eta · n) leaves |mu before − mu after| / 250, and mu stays within 1 to 20 bits. The identity itself holds
    to 1e-9.
    """
    row = -1.1 * np.log(np.arange(1.0, 2001.0))[None]
    sampler = Sampler(Mirostat(3.0, version=version, surprise=surprise))
    state = sampler.start([[]], seed=7)
    surprises, ceilings = [], []
    for _ in range(3000):
        step = sampler.step(row, state)
        log_p = step.raw_logprobs if surprise == "raw" else step.final_logprobs
        surprises.append(-log_p[0] / np.log(2))
        state = step.state
        ceilings.append(state.memory[0][0])
    mean = np.mean(surprises[500:])
    assert mean - 3 == pytest.approx((ceilings[499] - ceilings[-1]) / (0.1 * 2500), abs=1e-9)
    assert abs(mean - 3) < 0.1


def test_a_schedule_is_read_where_the_token_was_drawn():
    """eta is .5 for the first token and .1 from the second on; token 1 has an error of 1 bit each time."""
    row = logs(1 / 2, 1 / 4, 1 / 8, 1 / 8)
    seen = told(Mirostat(1.0, eta=SCHEDULES["linear"](0.5, 0.1, 1)), row, [1, 1, 1])
    assert [mu for _, mu in seen] == pytest.approx([2.0, 1.5, 1.4], abs=1e-14)
