"""Where a temperature stands in a chain, and in a text: what commutes, what can be translated, what cannot."""

import numpy as np
import pytest

from logitherm import Sampler
from logitherm.rules import Bias, Epsilon, MinP, Temperature, TopP
from tests.rows import apply, logs, probabilities
from tests.theory.numbers import log_z

HEATS = (0.4, 0.8, 1.3, 2.5)
ROWS = np.random.default_rng(2).normal(size=(200, 60)) * np.linspace(0.3, 5, 200)[:, None]


def kept(chain, x=ROWS):
    return np.isfinite(apply(chain, x))


@pytest.mark.parametrize("t", HEATS)
@pytest.mark.parametrize("m", [0.01, 0.05, 0.3, 0.9])
def test_min_p_after_a_temperature_is_min_p_of_the_power_before_it(t, m):
    """Ratios of p_T are those of p to the power 1/T: m after T is m^T before T, on every row at once."""
    assert np.array_equal(kept(Sampler(Temperature(t), MinP(m))), kept(Sampler(MinP(m**t), Temperature(t))))
    same_number = kept(Sampler(MinP(m), Temperature(t)))
    assert not np.array_equal(kept(Sampler(Temperature(t), MinP(m))), same_number)


@pytest.mark.parametrize("t", HEATS)
def test_an_epsilon_is_another_one_on_every_row(t):
    """p_T ≥ e is p ≥ exp(T · (log e + log Z_T) − log Z_1), which depends on the row."""
    e = 0.02
    equal = np.exp(t * (np.log(e) + log_z(ROWS, t)) - log_z(ROWS, 1.0))
    chain = kept(Sampler(Temperature(t), Epsilon(e)))
    for row, threshold, expected in zip(ROWS[:, None], np.minimum(equal, 0.999), chain, strict=True):
        assert np.array_equal(kept(Epsilon(float(threshold)), row)[0], expected)
    assert equal.max() > 1.5 * equal.min()


@pytest.mark.parametrize("t", HEATS)
def test_top_p_keeps_more_after_heat_and_less_after_cold(t):
    after, before = kept(Sampler(Temperature(t), TopP(0.9))), kept(Sampler(TopP(0.9), Temperature(t)))
    larger, smaller = (after, before) if t > 1 else (before, after)
    assert (larger | ~smaller).all()
    assert (larger != smaller).any(axis=1).mean() > 0.5


def test_no_one_number_translates_top_p():
    """At T = 1.5 the mass under p that top_p(0.9) then keeps runs from row to row, so no p' before it does the same."""
    mass = (kept(Sampler(Temperature(1.5), TopP(0.9))) * probabilities(ROWS)).sum(axis=1)
    assert mass.min() < 0.96
    assert mass.max() > 0.999


@pytest.mark.parametrize("t", HEATS)
def test_a_bias_before_a_temperature_is_a_part_of_it_after(t):
    before = apply(Sampler(Bias([[0, 1.5], [4, -2.0]]), Temperature(t)), ROWS)
    after = apply(Sampler(Temperature(t), Bias([[0, 1.5 / t], [4, -2.0 / t]])), ROWS)
    assert before == pytest.approx(after, abs=1e-12)


@pytest.mark.parametrize("t", HEATS)
def test_temperatures_multiply(t):
    twice = apply(Sampler(Temperature(t), Temperature(1.7)), ROWS)
    assert twice == pytest.approx(apply(Temperature(1.7 * t), ROWS), abs=1e-12)


FIRST, NEXT = np.log([[0.6, 0.4]]), {0: np.log([[0.5, 0.5]]), 1: np.array([[0.0, -np.inf]])}
"""A text of two tokens: after 0 two ways go on, after 1 one."""


def texts(t):
    """The probability of each text when both tokens are drawn at temperature t."""
    first = probabilities(apply(Temperature(t), FIRST))[0]
    return {(a, b): first[a] * probabilities(apply(Temperature(t), NEXT[a]))[0, b] for a, b in ((0, 0), (0, 1), (1, 0))}


def test_tempering_each_token_is_not_tempering_the_text():
    """Texts of probability .3, .3, .4. Token by token at T → 0 the first comes; the likeliest text is the third."""
    plain = texts(1.0)
    assert list(plain.values()) == pytest.approx([0.3, 0.3, 0.4])
    assert max(plain, key=plain.__getitem__) == (1, 0)
    assert texts(1e-6)[0, 0] == 1.0
    half = texts(0.5)
    assert half[1, 0] == pytest.approx(0.16 / (0.36 + 0.16))
    whole = {text: p**2 for text, p in plain.items()}
    assert whole[1, 0] / sum(whole.values()) == pytest.approx(0.16 / 0.34)


@pytest.mark.parametrize("t", [0.3, 0.5, 2.0])
def test_the_missing_factor_is_what_can_still_follow(t):
    """p(text)^(1/T) needs each token's p^(1/T) times Z, the sum of p(rest)^(1/T) over what may follow it: a bias."""
    follow = {a: float(log_z(NEXT[a] - log_z(NEXT[a], 1.0), t)[0]) for a in (0, 1)}
    corrected = Sampler(Temperature(t), Bias([[a, z] for a, z in follow.items()]))
    first = probabilities(apply(corrected, FIRST))[0]
    powers = {text: p ** (1 / t) for text, p in texts(1.0).items()}
    for (a, b), power in powers.items():
        local = first[a] * probabilities(apply(Temperature(t), NEXT[a]))[0, b]
        assert local == pytest.approx(power / sum(powers.values()), abs=1e-12)


def test_local_and_global_agree_where_as_much_follows_everything():
    same = {a: logs(0.7, 0.3) for a in (0, 1)}
    for t in (0.4, 2.0):
        first = probabilities(apply(Temperature(t), FIRST))[0]
        joint = np.array([first[a] * probabilities(apply(Temperature(t), same[a]))[0] for a in (0, 1)])
        powers = np.outer([0.6, 0.4], [0.7, 0.3]) ** (1 / t)
        assert joint == pytest.approx(powers / powers.sum(), abs=1e-12)
