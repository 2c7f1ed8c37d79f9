"""Entropy and temperature: slopes, limits, what never turns back, and bounds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logitherm.arrays import entropy
from logitherm.rules import DynamicTemperature, Dynatemp, Edt, Temperature
from logitherm.rules.collision import collision
from logitherm.rules.dynamic import max_p, median, normalised_entropy, varentropy
from tests.rows import apply, batches, logs, probabilities
from tests.theory.numbers import WEATHER, heat, mean, rows, tempered, variance

HEATS = (0.2, 0.7, 1.0, 2.5, 10.0)


def slope(f, t, step=1e-5):
    """df/dT by a central difference."""
    return (f(t * (1 + step)) - f(t * (1 - step))) / (2 * t * step)


def heated(x, t):
    return entropy(apply(Temperature(t), x))[:, 0]


@pytest.mark.parametrize("t", HEATS)
def test_entropy_rises_by_the_variance_over_t_cubed(t):
    x = rows()
    expected = variance(tempered(x, t), x) / t**3
    assert slope(lambda s: heated(x, s), t) == pytest.approx(expected, abs=1e-7)
    assert expected.min() > 0
    assert slope(lambda s: heated(x, s), t) * t == pytest.approx(varentropy(x / t)[:, 0], abs=1e-6)


@pytest.mark.parametrize("t", HEATS)
def test_the_mean_logit_and_the_largest_probability_fall(t):
    x = rows()
    p = tempered(x, t)
    assert slope(lambda s: mean(tempered(x, s), x), t) == pytest.approx(-variance(p, x) / t**2, abs=1e-6)
    largest = slope(lambda s: np.log(tempered(x, s).max(axis=1)), t)
    assert largest == pytest.approx(-(x.max(axis=1) - mean(p, x)) / t**2, abs=1e-6)
    assert largest.max() < 0


def test_the_limits_are_the_logs_of_the_ties_and_of_the_size():
    x = rows()
    n, ties = np.isfinite(x).sum(axis=1), (x == x.max(axis=1, keepdims=True)).sum(axis=1)
    assert sorted(set(ties)) == [1, 2]
    assert heated(x, 2e-6) == pytest.approx(np.log(ties), abs=1e-12)
    assert heated(x, 1e6) == pytest.approx(np.log(n), abs=1e-9)
    assert heated(x, 1e-6).tolist() == [0.0] * len(x)  # the rule keeps one of the ties: a jump from log 2 down to 0


def test_a_row_without_differences_stays_as_it_is():
    for t in HEATS:
        assert heated(np.full((1, 7), 3.0), t)[0] == pytest.approx(np.log(7), abs=1e-14)


@given(x=batches(), low=st.floats(0.01, 50), more=st.floats(1.001, 100))
def test_the_mass_of_the_top_never_rises_with_temperature(x, low, more):
    """Of the k likeliest tokens, for every k: their odds against the others are a product of ratios that shrink."""
    down = -np.sort(-x.astype(np.float64), axis=1)
    cold, hot = (np.cumsum(tempered(down, t), axis=1) for t in (low, low * more))
    assert (hot <= cold + 1e-12).all()
    assert (np.diff(tempered(down, low), axis=1) <= 0).all()  # and their order stays


@given(x=batches())
def test_entropy_lies_between_its_bounds(x):
    """−log max p ≤ −log Σp² ≤ H ≤ log n, and H ≤ h(max p) + (1 − max p) · log(n − 1)."""
    x = x.astype(np.float64)
    h, largest = entropy(x)[:, 0], max_p(x)[:, 0]
    squares = (collision(x) * max_p(x))[:, 0]
    assert squares == pytest.approx((probabilities(x) ** 2).sum(axis=1), rel=1e-12)
    n, ties = np.isfinite(x).sum(axis=1), (x == x.max(axis=1, keepdims=True)).sum(axis=1)
    slack = 1e-12
    candidates = [ties, 1 / largest, 1 / squares, np.exp(h), n]
    assert all((a <= b * (1 + slack)).all() for a, b in pairwise(candidates))
    rest = np.maximum(1 - largest, 0.0)
    two = -largest * np.log(largest) - np.where(rest > 0, rest * np.log(np.maximum(rest, 1e-300)), 0.0)
    assert (h <= two + rest * np.log(np.maximum(n - 1, 1)) + 1e-12).all()


def test_the_bounds_are_met():
    flat, two = np.zeros((1, 8)), logs(0.6, 0.1, 0.1, 0.1, 0.1)
    assert np.exp(entropy(flat)[0, 0]) == pytest.approx(8)
    h = -0.6 * np.log(0.6) - 0.4 * np.log(0.4) + 0.4 * np.log(4)  # the others are equal: the upper bound itself
    assert entropy(two)[0, 0] == pytest.approx(h, abs=1e-14)


@pytest.mark.parametrize("k", [2, 5])
def test_copies_of_every_token_add_log_k(k):
    x = rows()
    many = np.repeat(x, k, axis=1)
    assert entropy(many) == pytest.approx(entropy(x) + np.log(k), abs=1e-12)
    assert max_p(many) * k == pytest.approx(max_p(x), abs=1e-12)
    assert collision(many) == pytest.approx(collision(x), abs=1e-12)  # Σp² and max p both fall by k
    assert varentropy(many) == pytest.approx(varentropy(x), abs=1e-10)
    assert (normalised_entropy(many) > normalised_entropy(x)).all()


@given(x=batches(), a=st.floats(0, 2), b=st.floats(-2, 2), c=st.floats(0, 2))
def test_a_weighted_sum_of_features_stays_between_its_ends(x, a, b, c):
    x = x.astype(np.float64)
    n = np.isfinite(x).sum(axis=1)
    t = heat(DynamicTemperature(a, max_p=b, entropy=c), x)
    ends = np.sort(np.stack([b / n, np.full(len(n), b)]), axis=0)
    low, high = np.maximum(a + ends[0], 0.0), np.maximum(a + ends[1] + c * np.log(n), 0.0)
    assert (low <= t + 1e-12).all()
    assert (t <= high + 1e-12).all()


def test_the_median_moves_nothing_at_a_real_vocabulary(gpt2):
    """At least half of n tokens are at or above it, so it is at most 2 / n."""
    x = np.concatenate([gpt2.astype(np.float64), np.zeros((1, gpt2.shape[1]))])
    assert (median(x) <= 2 / x.shape[1]).all()
    moved = np.abs(heat(DynamicTemperature(0.5, median=-0.4), x) - 0.5)
    assert (moved <= 2 * 0.4 / 50257).all()


@pytest.mark.parametrize(
    ("rule", "t"),
    [
        (DynamicTemperature(0.5, max_p=-0.4), 0.317741762814355),
        (DynamicTemperature(0.1, entropy=0.8), 1.233443220127325),
        (DynamicTemperature(0.5, median=-0.4), 0.463018556645842),
        (DynamicTemperature(0.0, normalised_entropy=1.0), 0.790733382181906),
        (Dynatemp(0.5, 1.5), 1.290733382181906),
        (Dynatemp(0.5, 1.5, exponent=2), 1.125259281696836),
        (Edt(1.0, 1.0), 0.854278672325588),
    ],
    ids=str,
)
def test_the_weather_row_under_every_dynamic_temperature(rule, t):
    assert heat(rule, WEATHER) == pytest.approx([t], abs=1e-12)
