"""Everything that is timed, in the order in which it is: what the targets need comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.cold_start import LARGER, SHIPPED, cold_start, compile_times
from benchmarks.each_rule import alone, each_rule
from benchmarks.end_to_end import end_to_end
from benchmarks.in_situ import in_situ
from benchmarks.memory import memory
from benchmarks.one_step import BATCHES, SHORT, around, cold_step, hot_step
from benchmarks.playground import CHROMIUM, playground
from benchmarks.recipes import BOTH, FEWER, RECIPES, TEMPERATURE, TOP_K, TOP_P, Recipe
from benchmarks.rows import SIZES, kinds
from benchmarks.shapes import GPT2, SMALL, Shape
from benchmarks.turns import Found

Key = tuple[str | int, ...]
"""What is timed: the name of a part, and what it is about."""

FIRST = 128_256
"""The vocabulary that the targets are about."""

FINAL = "peaked", "flat"
"""The kinds of rows that the targets are about, and of logits that a random model is made to have."""


@dataclass(frozen=True)
class Case:
    """Something that is timed in one go."""

    key: Key
    run: Callable[[], Found]

    def __str__(self) -> str:
        return ", ".join(f"{part:,}" if isinstance(part, int) else part for part in self.key)


def quick() -> Iterator[Case]:
    """What the targets need, in a minute or two."""
    yield from (_hot(FIRST, 1, kind, recipe, 1.5) for kind in FINAL for recipe in RECIPES)
    yield _around()
    yield from (_in_situ(SMALL, kind, 1, TOP_P, 24) for kind in FINAL)
    yield from (_end_to_end(kind, batch, 16, 3) for kind in FINAL for batch in (1, 8))
    yield Case(("cold start", SHIPPED), partial(cold_start, SHIPPED, 2))
    yield Case(("memory", FIRST), partial(memory, FIRST))


def full() -> Iterator[Case]:
    """Everything, in 15 to 25 minutes."""
    for size in (FIRST, *(size for size in SIZES if size != FIRST)):
        yield from (_hot(size, 1, kind, recipe, 2.5) for kind in kinds(size, 1) for recipe in RECIPES)
    yield _around()
    yield from (Case(("rule", name), partial(each_rule, name, FIRST, 0.5)) for name in alone())
    yield from (_in_situ(SMALL, kind, 1, r, 48) for kind in FINAL for r in (TOP_P, TEMPERATURE, TOP_K, BOTH))
    yield from (_in_situ(SMALL, kind, 8, TOP_P, 18) for kind in FINAL)
    yield from (_in_situ(GPT2, kind, batch, TOP_P, 12) for kind in FINAL for batch in (1, 8))
    yield from (_end_to_end(kind, batch, 32, 5) for kind in FINAL for batch in (1, 8))
    yield Case(("cold start", SHIPPED), partial(cold_start, SHIPPED, 5))
    yield Case(("cold start", LARGER), partial(cold_start, LARGER, 3))
    yield Case(("compiling",), partial(compile_times, 3))
    if CHROMIUM is not None:
        yield Case(("playground",), playground)
    yield from (Case(("memory", size), partial(memory, size)) for size in SIZES)
    for size in SIZES:
        for kind in kinds(size, 1):
            yield from (Case(("cold", size, kind, r.text), partial(cold_step, size, kind, r)) for r in RECIPES)
    for batch in (batch for batch in BATCHES if batch > 1):
        for size in SIZES:
            yield from (_hot(size, batch, kind, recipe, 2.0) for kind in kinds(size, batch) for recipe in FEWER)


def _hot(size: int, batch: int, kind: str, recipe: Recipe, seconds: float) -> Case:
    key = "hot", size, batch, kind, recipe.text
    return Case(key, partial(hot_step, size, batch, kind, recipe, seconds))


def _around() -> Case:
    return Case(("around", SHORT), partial(around, TOP_P, 2.0))


def _in_situ(shape: Shape, kind: str, batch: int, recipe: Recipe, passes: int) -> Case:
    return Case(("in situ", str(shape), kind, batch, recipe.text), partial(in_situ, shape, kind, batch, recipe, passes))


def _end_to_end(kind: str, batch: int, tokens: int, rounds: int) -> Case:
    return Case(("end to end", kind, batch), partial(end_to_end, SMALL, kind, batch, tokens, rounds))
