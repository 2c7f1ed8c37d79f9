"""One step with each rule of the registry: as it runs, and as its plain body."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import logitherm as lt
from benchmarks.one_step import STEP
from benchmarks.rows import rows
from benchmarks.turns import Contender, Found, hot
from logitherm.plan import VARIABLE
from logitherm.rules import Masked
from logitherm.rules.base import REGISTRY

PLAIN = "plain"
HISTORY = 64
"""Tokens that a row holds before the first step, among them some that come again."""


def alone() -> list[str]:
    """The rules that can be timed; a grammar's time is its engine's."""
    return [name for name, rule in REGISTRY.items() if not issubclass(rule, Masked)]


def recipe_of(name: str) -> str:
    """A rule at the first of its examples, which is not neutral."""
    rule = REGISTRY[name]
    return str(rule(**rule.examples[0]))


def each_rule(name: str, size: int, seconds: float) -> Found:
    """A step of one flat row; both ways draw the same tokens, and where no kernel covers the rule they are one."""
    recipe = recipe_of(name)
    given = rows("flat", size, 4)
    past = np.random.default_rng(0).choice(np.argsort(-given[0])[:40], HISTORY).tolist()
    everybody = {STEP: Contender(_steps(recipe, past, given))} if lt.parse(recipe).plan().kernel else {}
    assert not everybody or _tokens(recipe, past, given) == _plainly(lambda: _tokens(recipe, past, given)), recipe
    everybody[PLAIN] = Contender(_plainly(lambda: _steps(recipe, past, given)))
    return hot(everybody, seconds, least=3)


def _steps(recipe: str, past: list[int], given: np.ndarray) -> Callable[[int], None]:
    """A function of the number of the turn that draws the same token of the same text each time."""
    sampler = lt.parse(recipe)
    state = sampler.start([past], seed=1)
    sampler.step(given[:1], state)  # which decides between kernel and plain body, once

    def take(turn: int) -> None:
        sampler.step(given[turn % len(given)][None], state)

    return take


def _tokens(recipe: str, past: list[int], given: np.ndarray) -> list[int]:
    sampler = lt.parse(recipe)
    return [int(sampler.step(row[None], sampler.start([past], seed=1)).tokens[0]) for row in given]


def _plainly(work: Callable[[], Any]) -> Any:
    """What comes of it where kernels are switched off."""
    os.environ[VARIABLE] = "plain"
    try:
        return work()
    finally:
        del os.environ[VARIABLE]
