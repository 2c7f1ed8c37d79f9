"""Rules that measure what they change: how many answers they have, which ones hold, and those that answer at once."""

from functools import cache

import numpy as np
import pytest

from logitherm import Sampler
from logitherm.arrays import entropy
from logitherm.rules import DynamicTemperature, EntropyCap, TargetEntropy
from logitherm.rules.dynamic import varentropy
from tests.rows import apply
from tests.theory.numbers import heat, rows

LEADER = np.array([[6.5, *[0.0] * 999]])
RULE = DynamicTemperature(0.1, entropy=0.8, of="kept")


def next_heat(t):
    """T = 0.1 + 0.8 · H of the row at the temperature before: the rule, asked about its own outcome."""
    return float(heat(RULE, LEADER / t)[0])


@cache
def fixed_points(low=0.05, high=20.0):
    """Every temperature that asks for itself, by the changes of sign on a fine grid and bisection."""
    grid = np.geomspace(low, high, 400)
    off = np.array([next_heat(t) - t for t in grid])
    found = []
    for a, b in zip(grid[:-1][off[:-1] * off[1:] < 0], grid[1:][off[:-1] * off[1:] < 0], strict=True):
        rises = next_heat(a) > a
        for _ in range(60):
            middle = (a + b) / 2
            a, b = (middle, b) if (next_heat(middle) > middle) == rises else (a, middle)
        found.append(a)
    return found


def test_a_rule_fed_with_its_own_outcome_may_have_three_answers():
    """A leader 6.5 above 999 others: two answers hold, .1 and 5.6; the one between leads away from itself."""
    assert fixed_points() == pytest.approx([0.1, 0.683825, 5.625014], abs=1e-6)


def test_an_answer_holds_if_coefficient_times_varentropy_over_t_is_below_one():
    for t in fixed_points():
        slope = (next_heat(t * 1.00001) - next_heat(t * 0.99999)) / (0.00002 * t)
        assert slope == pytest.approx(0.8 * varentropy(LEADER / t)[0, 0] / t, abs=1e-5)
        reached = t * 1.01
        for _ in range(200):
            reached = next_heat(reached)
        assert (abs(reached - t) < 1e-6) == (slope < 1)


def test_no_rule_asks_itself():
    """Features are of the model's logits, or of what the rule receives: applied once, it has one answer."""
    for of in ("raw", "kept"):
        t = heat(DynamicTemperature(0.1, entropy=0.8, of=of), LEADER)[0]
        assert t == pytest.approx(0.1 + 0.8 * entropy(LEADER)[0, 0], abs=1e-12)


@pytest.mark.parametrize("rule", [TargetEntropy(1.0), EntropyCap(1.0)], ids=str)
def test_a_target_is_its_own_fixed_point(rule):
    x = rows()[:-1]
    once, twice = apply(rule, x), apply(Sampler(rule, rule), x)
    left = np.isfinite(once)
    assert twice[left] == pytest.approx(once[left], rel=1e-8)
    assert heat(rule, once) == pytest.approx(1.0, abs=1e-9)
