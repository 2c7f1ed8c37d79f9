"""One step of sampling, hot and cold: every vocabulary, batch, kind of rows and recipe."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import alike, ours
from benchmarks.llama import llama_peer
from benchmarks.peers import Peer, numpy_peer, torch_peer, transformers_peer
from benchmarks.recipes import RECIPES, Recipe
from benchmarks.rows import rows, without_ties
from benchmarks.turns import Contender, Found, cold, hot

STEP, KERNEL, FLOOR = "Sampler.step", "kernel", "np.max"
THEIRS, THEIRS_TWO = "transformers", "transformers, 2 threads"
TORCH, NUMPY, NUMPY_BEST = "torch by hand", "NumPy, argsort", "NumPy by hand"
LLAMA, LLAMA_BARE = "llama.cpp", "llama.cpp, array built"

BATCHES = {1: 4, 8: 2, 64: 1}
"""How many batches of a size there are, taken by turns."""

OVERWRITTEN = 64 << 20
"""Bytes written over before a cold call: many times what is a core's own, mostly 1 or 2 MB."""

COLD_CALLS = 15

SHORT = 100
"""A vocabulary that takes a kernel no time."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peers(recipe: Recipe, size: int) -> dict[str, Peer]:
    """Everybody else who is there."""
    found = {
        THEIRS: transformers_peer(recipe),
        TORCH: torch_peer(recipe, size),
        NUMPY: numpy_peer(recipe, by_hand=False),
        NUMPY_BEST: numpy_peer(recipe, by_hand=True),
    }
    llama = llama_peer(recipe, size)
    return found | ({LLAMA: llama} if llama else {})


def like_ours(name: str, recipe: Recipe) -> Recipe:
    """The recipe that a peer really runs: its top_p alone where it has no rule that follows the entropy."""
    plain = next(r for r in RECIPES if (r.t, r.k, r.p, r.min_p) == (recipe.t, recipe.k, recipe.p, recipe.min_p))
    return plain if name in (THEIRS, LLAMA) else recipe


def contenders(recipe: Recipe, logits: np.ndarray, row: np.ndarray) -> dict[str, Contender]:
    """Who is timed, on (batches, rows, vocabulary) float32 logits; each is checked on a row without ties."""
    batches, size = logits.shape[1], logits.shape[2]
    ours.check(recipe, row)
    found = {
        STEP: Contender(_each(ours.step(recipe, batches), list(logits))),
        KERNEL: Contender(_each(ours.bare_kernel(recipe, batches, size), list(logits))),
        FLOOR: Contender(_each(lambda some: some.max(axis=1) if len(some) > 1 else some.max(), list(logits))),
    }
    for name, peer in peers(recipe, size).items():
        expected = ours.probabilities(like_ours(name, recipe), row)
        alike.check(name, expected, peer.probabilities(row), row, peer.close)
        call = _each(peer.draw, [peer.reads(some) for some in logits])
        found[name] = Contender(call, rest=LLAMA_BARE if name == LLAMA else "")
        if name == THEIRS and cores() > 1:
            found[THEIRS_TWO] = Contender(call, threads=2)
    return found


def hot_step(size: int, batch: int, kind: str, recipe: Recipe, seconds: float) -> Found:
    """A step in a loop that does nothing else, on a few batches by turns."""
    logits = rows(kind, size, batch * BATCHES[batch]).reshape(-1, batch, size)
    return hot(contenders(recipe, logits, without_ties(kind, size)), seconds, least=3 if batch < 64 else 2)


def cold_step(size: int, kind: str, recipe: Recipe) -> Found:
    """A step of one row when the caches hold something else."""
    everybody = contenders(recipe, rows(kind, size, 4).reshape(-1, 1, size), without_ties(kind, size))
    some = {name: everybody[name] for name in (STEP, KERNEL, THEIRS, TORCH, FLOOR)}
    return cold(some, COLD_CALLS, np.zeros(OVERWRITTEN, dtype=np.uint8))


def around(recipe: Recipe, seconds: float) -> Found:
    """A step and the kernel in it on rows so short that hardly anything but the call is left."""
    logits = list(rows("noise", SHORT, 4).reshape(-1, 1, SHORT))
    step, kernel = ours.step(recipe, 1), ours.bare_kernel(recipe, 1, SHORT)
    return hot({STEP: Contender(_each(step, logits)), KERNEL: Contender(_each(kernel, logits))}, seconds, least=3)


def _each(function: Callable[[Any], Any], batches: list[Any]) -> Callable[[int], Any]:
    """A function of the number of the turn that takes the batches one after another."""
    return lambda turn: function(batches[turn % len(batches)])
