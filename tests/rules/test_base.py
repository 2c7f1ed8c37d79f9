"""What a rule of one's own may be made of, and what its parameters may be."""

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import numpy as np
import pytest

from logitherm import REGISTRY, RecipeError, Rule, Temperature
from logitherm.rules.base import among, is_text, listed, parameter, words


def own() -> Any:
    """A rule with a parameter of each kind, made anew."""

    @dataclass(frozen=True)
    class Own(Rule):
        amount: float = parameter("a number > 0", lambda a: a > 0, unit="1")
        text: str = words("a text", default="")
        parts: Any = listed(among("numbers in (0, 1]", lambda p: 0 < p <= 1), "numbers in (0, 1]", unit="1", default=())

        def apply(self, logits, at):
            return logits

    return Own


def test_parameters_take_what_they_are_made_for():
    rule = own()(0.5, text="words", parts=[0.25, 1])
    assert (rule.amount, rule.text, rule.parts) == (0.5, "words", (0.25, 1.0))
    with pytest.raises(FrozenInstanceError):
        rule.amount = 2.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"amount": 0}, "Own.amount must be a number > 0; got 0"),
        ({"amount": True}, "Own.amount must be a number > 0; got True"),
        ({"amount": "1"}, "Own.amount must be a number > 0; got '1'"),
        ({"amount": np.ones((1, 1))}, "Own.amount must be a number > 0; got array([[1.]])"),
        ({"amount": 1, "text": 2}, "Own.text must be a text; got 2"),
        ({"amount": 1, "parts": [1.5]}, "Own.parts must be a list of numbers in (0, 1]; got 1.5"),
        ({"amount": 1, "parts": 0.5}, "Own.parts must be a list of numbers in (0, 1]; got 0.5"),
    ],
    ids=str,
)
def test_and_nothing_else(given, message):
    with pytest.raises(RecipeError) as caught:
        own()(**given)
    assert str(caught.value) == message


def test_a_zero_has_no_sign():
    assert str(Temperature(-0.0)) == "temperature(0.0)"


def test_a_name_belongs_to_one_rule():
    """A module may be loaded again, and its rules with it; another rule of the name is refused."""
    try:
        for _ in range(2):
            again = type("Again", (Rule,), {"__module__": "of.somebody"}, name="again_and_again")
            assert REGISTRY["again_and_again"] is again
        with pytest.raises(RecipeError) as caught:
            type("Other", (Rule,), {"__module__": "of.somebody"}, name="again_and_again")
        told = "the rule name 'again_and_again' is taken by of.somebody.Again; choose another"
        assert str(caught.value) == told
    finally:
        del REGISTRY["again_and_again"]


@pytest.mark.parametrize(
    ("code", "can"),
    [(0xD7FF, True), (0xD800, False), (0xDBFF, False), (0xDFFF, False), (0xE000, True), (0x10FFFF, True)],
)
def test_text_is_what_can_be_written_down(code, can):
    assert is_text(f"a{chr(code)}") == can
    assert not is_text(3)
