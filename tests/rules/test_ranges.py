"""Every parameter's range is the one that its message names, edge by edge; and defaults stay what they are."""

import re
from dataclasses import fields
from math import inf, isfinite, nan, nextafter

import pytest

from logitherm import REGISTRY, RecipeError

OVER_RULES = pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.name)
TOLD = re.compile(
    r"(?:a )?(?:(?P<kind>whole|finite) )?(?:number ?)?"
    r"(?:in (?P<from>[\[(])(?P<low>[^,]+), (?P<high>[^])]+)(?P<to>[\])])"
    r"|(?P<above>>=?) (?P<least>[\d.]+))?(?:, or (?P<other>[-\w]+))?(?: \(.*\))?"
)


def edges(words):
    """What a message allows: numbers at its edges that must pass, and numbers beyond them that must not."""
    if words == "1 or 2":
        return [1, 2], [0, 3, nan]
    told = TOLD.fullmatch(words)
    assert told, f"teach this test to read {words!r}"
    low, high = float(told["low"] or told["least"] or -inf), float(told["high"] or inf)
    closed = {low: "[" in (told["from"] or "") or told["above"] == ">=", high: told["to"] == "]"}
    whole, other = told["kind"] == "whole", float(told["other"] or nan)
    good, bad = [] if other != other else [other], [nan, inf, -inf]
    for bound, inwards in ((low, inf), (high, -inf)):
        if isfinite(bound):
            away = 0.5 if inwards < 0 else -0.5
            (good if closed[bound] else bad).append(bound)
            good.append(bound + 1 if whole else nextafter(bound, inwards))
            bad += [bound + 2 * away, bound + away, bound - away if whole else nextafter(bound, -inwards)]
    return good or [-1e300, 0.0, 1e300], [x for x in bad if x != other]


def test_messages_are_read_as_they_are_meant():
    assert edges("in [0, 1)")[0] == [0.0, 5e-324, 1 - 2**-53]
    assert edges(">= 0, or inf (= off)")[0] == [inf, 0.0, 5e-324]
    assert 1.0 in edges("in [0, 1)")[1]
    assert inf in edges("a finite number > 0 (1 = off)")[1]
    assert edges("a whole number >= 1")[0] == [1.0, 2.0]


@OVER_RULES
def test_the_range_is_the_one_that_is_told(kind):
    for f in [f for f in fields(kind) if "ok" in f.metadata]:
        good, bad = edges(f.metadata["allowed"])
        assert [x for x in good if not f.metadata["ok"](x)] == [], f.name
        for wrong in bad:
            with pytest.raises(RecipeError, match=rf"^{kind.__name__}\.{f.name} must be .*; got "):
                kind(**{**kind.examples[0], f.name: wrong})


DEFAULTS = {
    "adaptive_p": {"decay": 0.9},
    "dry": {"base": 1.75, "allowed_length": 2, "window": None, "breakers": ("\n", ":", '"', "*")},
    "dynamic_temperature": {"window": 16, "of": "raw", "t_min": 0.0, "t_max": inf},
    "dynatemp": {"exponent": 1.0, "of": "kept"},
    "edt": {"base": 0.8, "of": "raw"},
    "entropy_rate": {"of": "raw", "t_min": 0.05, "t_max": 3.0},
    "length_decay": {"start": 0, "eos": None},
    "mirostat": {"eta": 0.1, "version": 2, "surprise": "raw"},
    "quadratic": {"curve": 1.0},
    "risk_budget": {"p": 0.9},
    "xtc": {"threshold": 0.1, "protect": None},
}
"""What a parameter is unless given: a released rule keeps its meaning."""


@OVER_RULES
def test_defaults_stay(kind):
    known = {f.name: f.default for f in fields(kind)}
    expected = DEFAULTS.get(kind.name, {})
    assert {name: known[name] for name in expected} == expected
