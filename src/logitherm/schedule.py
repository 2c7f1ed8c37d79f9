"""Schedules: a parameter that changes with the position, as a named value that prints, compares and hashes.

A schedule stands wherever a number may: `temperature(linear(1.2, 0.6, steps=50))`. Position 0 is the first drawn token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from logitherm.errors import RecipeError

SCHEDULES: dict[str, type[Schedule]] = {}
"""Every schedule by name."""


@dataclass(frozen=True)
class Schedule(ABC):
    """From `start` at position 0 to `end` at position `steps`, and `end` from there on.

    start, end: two values of the parameter. steps: a whole number of tokens, 1 or more.
    """

    start: float
    end: float
    steps: int
    name: ClassVar[str] = ""

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        SCHEDULES[name] = cls

    def __post_init__(self) -> None:
        for bound in ("start", "end"):
            value = getattr(self, bound)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise RecipeError(f"{self.name}.{bound} must be a finite number; got {value!r}")
            object.__setattr__(self, bound, float(value))
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise RecipeError(f"{self.name}.steps must be a whole number >= 1; got {self.steps!r}")

    def at(self, position: int) -> float:
        """The parameter's value for the token at a position."""
        if position >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * self.progress(position / self.steps)

    @abstractmethod
    def progress(self, x: float) -> float:
        """How far from start to end, 0 to 1, when a share x in [0, 1) of the steps is done."""

    def __str__(self) -> str:
        start, end, steps = (getattr(self, f.name) for f in fields(self))
        return f"{self.name}({start!r}, {end!r}, steps={steps})"


@dataclass(frozen=True)
class Linear(Schedule, name="linear"):
    """The same change at every token."""

    def progress(self, x: float) -> float:
        """The share itself."""
        return x


@dataclass(frozen=True)
class Cosine(Schedule, name="cosine"):
    """Slow at both ends: half a wave of the cosine."""

    def progress(self, x: float) -> float:
        """(1 − cos πx) / 2."""
        return (1 - math.cos(math.pi * x)) / 2


@dataclass(frozen=True)
class Exponential(Schedule, name="exponential"):
    """Fast at first: what remains shrinks by the same factor at every token, to a hundredth at the last step."""

    def progress(self, x: float) -> float:
        """1 − 100⁻ˣ, over its value at x = 1."""
        return float(1 - 0.01**x) / 0.99
