"""Random draws by the kernel against float64: `make draws` makes ten million and prints how many differ.

A draw differs if its token is another than the plain rules' and u lies farther than 1e-12 from any boundary of theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from rich.console import Console
from rich.progress import track

from logitherm import parse
from logitherm.kernels.codes import FINE
from logitherm.kernels.cpu import workspace
from logitherm.kernels.cpu.calls import run
from tests.conftest import DATA

GPT2 = DATA / "logits" / "gpt2_124m.npz"

BOUNDARY = 1e-12

RECIPES = [
    "temperature(0.8)",
    "top_p(0.95)",
    "min_p(0.05)",
    "temperature(1.2) | top_k(50) | top_p(0.9)",
    "dynamic_temperature(0.5, entropy=0.1) | top_p(0.9)",
    "dynatemp(0.5, 1.5)",
    "epsilon(0.0003)",
    "temperature(1.3) | p_less()",
    "top_n_sigma(1.5) | top_p(0.99)",
    "repetition(1.3) | temperature(0.9) | top_p(0.99)",
]


class Tally(NamedTuple):
    """How many draws there were, differed, took exact weights, and were left to the plain rules."""

    draws: int = 0
    wrong: int = 0
    exact: int = 0
    asked: int = 0

    def __str__(self) -> str:
        return f"{self.draws:,} draws: {self.wrong} differ, {self.exact:,} by exact weights, {self.asked:,} left"


@njit(nogil=True)
def drawn(row, us, rules, past, pairs, floats, doubles, ids, patched):
    """The token for each u, −1 where the kernel leaves it to the plain rules, and how many took exact weights."""
    tokens, exact = np.empty(len(us), np.int64), 0
    for i in range(len(us)):
        found = run(row, us[i], rules, past, 0, pairs, floats, doubles, ids, patched, False)
        tokens[i] = found[1] if found[0] == FINE else -1
        exact += found[6]
    return tokens, exact


def tally(recipe: str, line: np.ndarray, rng: np.random.Generator, draws: int) -> Tally:
    """Draws from one row by one recipe."""
    row = np.ascontiguousarray(line, dtype=np.float32)
    past = rng.choice(np.argsort(-row)[:400], 200)
    sampler = parse(recipe)
    final = sampler.apply(row.astype(np.float64)[None], sampler.start([past.tolist()], seed=1))[0]
    weights = np.where(np.isfinite(final), np.exp(final - final.max()), 0.0)
    running = np.cumsum(weights)
    us = rng.random(draws)
    expected = np.searchsorted(running, us * running[-1], side="right")
    plan = sampler.plan()
    assert plan._told is not None
    tokens, exact = drawn(row, us, plan._told[0], past, plan._pairs, *workspace.memory(len(row), wide=True))
    differ = (tokens != expected) & (tokens >= 0)
    wrong = sum(np.abs(running / running[-1] - u).min() >= BOUNDARY for u in us[differ])
    return Tally(draws, int(wrong), int(exact), int((tokens < 0).sum()))


def lines(gpt2: Sequence[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Real rows and made ones, peaked and flat."""
    yield from gpt2
    yield rng.normal(size=50257) * 0.7
    yield rng.normal(size=32000) * 3
    yield np.round(rng.normal(size=5003) * 16) / 8


def total(tallies: Sequence[Tally]) -> Tally:
    """All of them together."""
    return Tally(*map(sum, zip(*tallies, strict=True)))


def main(draws: int = 10_000_000) -> int:
    """So many draws, spread over all recipes and rows, of new random numbers each time; 1 if any differs."""
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    real = []
    if GPT2.is_file():
        with np.load(GPT2) as stored:
            real = [stored[name] for name in stored.files if name.startswith("logits_")]
    found, cases = [], [(recipe, line) for recipe in RECIPES for line in lines(real, rng)]
    each = 20_000
    rounds = -(-draws // (each * len(cases)))
    for case in track(cases * rounds, "drawing", console=Console(stderr=True)):
        found.append(tally(*case, rng, each))
    print(f"seed {seed}: {total(found)}")
    return int(total(found).wrong > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
