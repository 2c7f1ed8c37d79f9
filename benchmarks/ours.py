"""Our side: `Sampler.step` as a loop calls it, and the bare kernel below it.

Nothing else in benchmarks/ knows what a kernel's arguments are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np

import logitherm as lt
from benchmarks.recipes import Recipe
from logitherm.kernels.codes import FLOAT32
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.cpu import calls, workspace
from logitherm.kernels.given import NO_BITS
from logitherm.plan import VARIABLE


def compiled() -> None:
    """Have the kernels compiled before any clock runs; RuntimeError if there are none, or if somebody forbids them."""
    KERNELS.load()
    if KERNELS.standing != "compiled":
        raise RuntimeError(f"there is no kernel to time: {KERNELS.standing}")


def step(recipe: Recipe, rows: int) -> Callable[[Any], None]:
    """A step of some rows with state, seed and history, as a loop takes it; then the state has moved on."""
    sampler = lt.parse(recipe.text)
    state = sampler.start([[]] * rows, seed=1)

    def take(logits: Any) -> None:
        nonlocal state
        state = sampler.step(logits, state).state

    return take


def bare_kernel(recipe: Recipe, rows: int, size: int) -> Callable[[np.ndarray], None]:
    """What a step calls when all is checked and made ready: (rows, vocabulary) float32 logits to tokens."""
    plan = lt.parse(recipe.text).plan()
    told, pairs = plan._told, plan._pairs
    assert told is not None
    memory = workspace.memory(size)
    seeds, none, lengths = np.arange(rows, dtype=np.uint64), np.zeros(rows, np.int64), np.empty(rows, np.int64)
    positions = cycle(np.full(rows, i, dtype=np.int64) for i in range(256))
    history = np.zeros((rows, 256), np.int64)
    tokens, seen = np.empty(rows, dtype=np.int64), np.empty((rows, 2))

    def draw(logits: np.ndarray) -> None:
        at = next(positions)
        calls.draws(
            logits, NO_BITS, FLOAT32, told, pairs, seeds, none, at, history, none, tokens, seen, lengths, *memory
        )

    return draw


def check(recipe: Recipe, row: np.ndarray) -> None:
    """AssertionError unless a kernel takes the step, and draws what the plain rules draw."""
    sampler = lt.parse(recipe.text)
    assert sampler.plan().kernel is not None, f"no kernel covers {recipe.text}"
    logits, state = np.repeat(row[None], 4, axis=0), sampler.start([[]] * 4, seed=5)
    tokens = sampler.step(logits, state).tokens.tolist()
    os.environ[VARIABLE] = "plain"
    try:
        plain = lt.parse(recipe.text).step(logits, state).tokens.tolist()
    finally:
        del os.environ[VARIABLE]
    assert tokens == plain, f"the kernel drew {tokens} with {recipe.text}, the plain rules {plain}"


def probabilities(recipe: Recipe, row: np.ndarray) -> np.ndarray:
    """Those that a row (vocabulary,) is drawn from, by the plain rules, which define them."""
    sampler = lt.parse(recipe.text)
    logits = sampler.apply(row[None], sampler.start([[]]))[0]
    weights = np.exp(logits - logits.max())
    found: np.ndarray = weights / weights.sum()
    return found


def allocated(size: int) -> int:
    """The bytes of a thread's workspace for rows of a size."""
    return sum(part.nbytes for part in workspace.memory(size))
