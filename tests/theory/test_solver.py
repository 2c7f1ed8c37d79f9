"""The target-entropy solver of rules/target.py: its bracket, and how often it sweeps a row."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logitherm.arrays import entropy
from logitherm.rules import TargetEntropy
from logitherm.rules.root import PASSES
from logitherm.rules.target import COLD, hottest, solve
from tests.rows import apply
from tests.sweeps import Sweeps
from tests.theory.numbers import WEATHER, rows


def swept(row, h):
    """How many passes a root takes, and the root."""
    with Sweeps() as sweeps:
        t = solve(torch.from_numpy(row), h)
    return sweeps.count, float(t[0, 0])


def test_the_temperature_rises_with_the_target():
    x = rows()[:-1]
    n = np.isfinite(x).sum(axis=1, keepdims=True)
    heats = np.hstack([solve(x, share * np.log(n)) for share in (0.05, 0.2, 0.5, 0.8, 0.95)])
    assert (np.diff(heats, axis=1) > 0).all()


@given(seed=st.integers(0, 10**6), scale=st.floats(0.05, 20), share=st.floats(0.01, 0.99))
def test_the_root_lies_below_the_bound_of_the_range(seed, scale, share):
    """T ≤ R / √(8 (log n − h)), R being the range: log n − H = ∫ s · Var_s ds, and a variance is at most R² / 4."""
    x = np.random.default_rng(seed).normal(scale=scale, size=(1, 30))
    t = solve(x, share * np.log(30))[0, 0]
    assert t <= np.ptp(x) / np.sqrt(8 * (1 - share) * np.log(30)) * (1 + 1e-9)
    gap = x.max() - np.sort(x[0])[-2]
    p = np.exp((x - x.max()) / t)
    assert p.sum() - 1 <= 29 * np.exp(-gap / t) * (1 + 1e-12)  # and what is outside the top dies as fast as this


def test_the_bound_of_the_range_is_tight_where_half_the_tokens_are_at_each_end():
    x = np.array([[1.0] * 50 + [0.0] * 50])
    h = np.log(100) - 1e-6
    assert solve(x, h)[0, 0] == pytest.approx(1 / np.sqrt(8e-6), rel=1e-3)


def test_newton_alone_runs_away():
    """At T = 1 the second of two logits 20 apart weighs nothing: the slope says go to log T = 355,000."""
    x, h = np.array([[0.0, -20.0]]), 0.3
    p = np.exp(-20.0) / (1 + np.exp(-20.0))
    varentropy = 400 * p * (1 - p)
    assert (h - entropy(x)[0, 0]) / varentropy > 1000 * np.log(hottest(x)[0, 0])
    passes, t = swept(x, h)
    assert passes <= 20
    assert entropy(x / t)[0, 0] == pytest.approx(h, abs=1e-12)


@pytest.mark.parametrize("size", [50, 1000, 50257])
def test_about_seven_passes_reach_1e_12_nats(size, record_property):
    rng = np.random.default_rng(size)
    counts = []
    for _ in range(60 if size < 10_000 else 6):
        row = rng.normal(scale=rng.uniform(0.5, 6), size=(1, size))
        h = rng.uniform(0.02, 0.98) * np.log(size)
        passes, t = swept(row, h)
        counts.append(passes)
        assert abs(entropy(row / t)[0, 0] - h) < 1e-11
    record_property("passes", f"mean {np.mean(counts):.1f}, most {max(counts)}")
    assert np.mean(counts) <= 7
    assert max(counts) <= 16


def test_the_hardest_rows_take_fewer_passes_than_are_allowed(record_property):
    """Gaps from 1e-6 to 1e6 and targets a billionth from either end: entropies that are nearly steps in log T."""
    most = 0
    for gap in np.logspace(-6, 6, 25):
        for others in (1, 2, 1000):
            row = np.array([[0.0] + [-gap] * others])
            for share in (1e-9, 1e-4, 0.1, 0.9, 1 - 1e-4, 1 - 1e-9):
                h = share * np.log(others + 1)
                passes, t = swept(row, h)
                assert entropy(row / t)[0, 0] == pytest.approx(h, abs=1e-12)
                most = max(most, passes)
    record_property("most passes", most)
    assert 20 < most <= 30 < PASSES


def test_a_row_whose_answer_is_known_is_not_swept():
    assert swept(WEATHER, 0.0) == (0, 0.0)
    assert swept(WEATHER, 2.0) == (0, 1e9)


def test_the_search_goes_as_far_as_the_row_asks_for():
    """Roots are at most R / √(8 (log n − h)), here equal to it; colder than 1e-9 is greedy anyway."""
    hot = np.array([[0.0, -1e12], [0.0, -0.2]])
    assert solve(hot, np.log(2) - 1e-9)[:, 0] == pytest.approx(np.array([1e12, 0.2]) / np.sqrt(8e-9), rel=1e-3)
    assert solve(hot, 0.9).tolist() == [[1e18], [1e9]]
    assert entropy(hot / solve(hot, 0.69))[:, 0] == pytest.approx(0.69, abs=1e-12)
    cold = np.array([[0.0, -1e-11]])
    assert np.log(solve(cold, 0.3)[0, 0]) == pytest.approx(COLD, abs=1e-6)
    assert np.isfinite(apply(TargetEntropy(0.3), cold)).tolist() == [[True, False]]


def binned(row, h, bins=1024):
    """The root from bins alone, and after one exact pass: log T."""
    gap = row[0].max() - row[0]
    place = np.minimum(gap * (bins / gap.max()), bins - 1).astype(np.int64)
    n, total = np.bincount(place, minlength=bins), np.bincount(place, weights=gap, minlength=bins)
    held = n > 0
    gaps, counts = total[held] / n[held], n[held]
    low, high = COLD, np.log(1e9)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _moments(gaps, counts, middle)[0] < h else (low, middle)
    found, v = _moments(gap, 1.0, low)
    return low, low - (found - h) / v


def _moments(gap, n, u):
    """Entropy and varentropy of n tokens at each gap, at the temperature exp(u)."""
    z = -gap * np.exp(-u)
    w = n * np.exp(z)
    m = (w * z).sum() / w.sum()
    return np.log(w.sum()) - m, (w * z * z).sum() / w.sum() - m * m


@pytest.mark.parametrize(("size", "scale", "h"), [(50257, 2.0, 3.0), (50257, 3.0, 1.5), (128256, 2.0, 3.0)])
def test_bins_are_near_and_one_exact_pass_is_not_enough(size, scale, h):
    """Why the solver has no bins: 1e-5 nats alone, 1e-10 after a pass, and 1e-12 is promised."""
    row = np.random.default_rng(1).normal(scale=scale, size=(1, size))
    alone, polished = (abs(entropy(row / np.exp(u))[0, 0] - h) for u in binned(row, h))
    assert 1e-6 < alone < 1e-4
    assert 1e-12 < polished < 1e-9
    assert abs(entropy(row / solve(row, h))[0, 0] - h) < 1e-12
