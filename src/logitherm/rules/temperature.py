"""Temperature: one number that sharpens or flattens the whole distribution."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from logitherm.arrays import Array
from logitherm.rules.base import Numbers, Tempering, parameter
from logitherm.state import At


@dataclass(frozen=True)
class Temperature(Tempering, name="temperature"):
    """Divide every logit by t: below 1 sharper, above 1 flatter.

    t: the temperature, a plain number in [0, inf); one, or one a row. 1 is neutral, the model's own distribution.
       Usual 0.2 (nearly always the likeliest token) to 1.5 (wild). At t ≤ 1e-6 one token stays.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed, the order of tokens never changes.
    Ties: at t ≤ 1e-6 the lowest id among the largest logits stays.
    Raises RecipeError if t is negative, infinite or not a number.
    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, arXiv:1904.09751, section 3.3.
    Example: logits [1, 2, 3, 4] have p₄ = .644 at t = 1, .865 at t = 0.5 and .455 at t = 2.
    """

    t: Numbers = parameter("a finite number >= 0 (0 = always the likeliest token)", lambda t: 0 <= t < inf, unit="1")

    neutral = {"t": 1.0}
    examples = ({"t": 0.7}, {"t": 1.5}, {"t": 0.0}, {"t": 100.0})

    def temperature(self, logits: Array, at: At) -> Any:
        """The given t."""
        return at.column(self.t)
