"""Fixed-point weights against float64 ones: how often another token? For docs/decisions/0008-gpu-weights.md.

A fixed-point weight is an integer, floor(w · 2^k), made by a named sequence of operations; uint64 sums of them are the
same in any order. The law is the plain float64 answer. Run it: `python -m benchmarks.weigh_fixed`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

GPT2 = Path(__file__).parents[2] / "shared" / "data" / "logits" / "gpt2_124m.npz"
DRAWS, ROWS = 250_000, 4
"""Draws a row, and rows of a kind: a million draws a kind, T and sort of weight."""

TEMPERATURES = 0.8, 1.0
P = 0.95 * (1 - 1e-6)
"""What top_p(0.95) compares with."""

Weigh = Callable[[np.ndarray, float], np.ndarray]
"""Weights of a float32 row at a temperature."""


def plain(x: np.ndarray, t: float) -> np.ndarray:
    """The definition: float64 division and exp."""
    y = x.astype(np.float64) / t
    weights: np.ndarray = np.exp(y - y.max())
    return weights


def rough(x: np.ndarray, t: float) -> np.ndarray:
    """The same in float32; the sums are float64 all the same."""
    y = (x - x.max()) * np.float32(1 / t)
    weights: np.ndarray = np.exp(y).astype(np.float64)
    return weights


def fixed(weigh: Weigh, bits: int) -> Weigh:
    """Integers of so many bits from some weights; the largest is 2^bits."""
    return lambda x, t: np.floor(np.ldexp(weigh(x, t), bits)).astype(np.uint64)


def drawn(weights: np.ndarray, us: np.ndarray) -> np.ndarray:
    """The smallest token whose running mass exceeds u · total; for integers u · total is rounded down, exactly."""
    running = np.cumsum(weights)
    if weights.dtype == np.uint64:
        coins = (us * 2.0**53).astype(np.uint64).tolist()
        targets = np.array([coin * int(running[-1]) >> 53 for coin in coins], dtype=np.uint64)
    else:
        targets = us * running[-1]
    return np.searchsorted(running, targets, side="right")


def kept(x: np.ndarray, weights: np.ndarray) -> int:
    """How many tokens top_p(0.95) keeps: those whose mass strictly above is less than p · total."""
    order = np.argsort(-x, kind="stable")
    running = np.cumsum(weights[order])
    below = np.concatenate([[0.0], running[:-1].astype(np.float64)]) < P * float(running[-1])
    return int((x >= x[order][below.sum() - 1]).sum())


def kinds() -> dict[str, np.ndarray]:
    """Rows to draw from, by name."""
    rng = np.random.default_rng(0)
    found = {
        "peaked 128,256": (rng.normal(size=(ROWS, 128_256)) * 3).astype(np.float32),
        "flat 128,256": (rng.normal(size=(ROWS, 128_256)) * 0.8).astype(np.float32),
    }
    if GPT2.is_file():
        stored = np.load(GPT2)
        found["gpt2 50,257"] = np.stack([stored[f"logits_{i % 3}"] for i in range(ROWS)]).astype(np.float32)
    return found


SORTS: dict[str, Weigh] = {
    "float32": rough,
    "fixed 32 of float32": fixed(rough, 32),
    "fixed 46 of float32": fixed(rough, 46),
    "fixed 32 of float64": fixed(plain, 32),
    "fixed 46 of float64": fixed(plain, 46),
}


def main() -> None:
    """Print a table: draws that differ of all, nuclei that differ of all, the share of tokens that vanish."""
    print("| rows | weights | other token | of draws | other nucleus | of rows | tokens that vanish |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in kinds().items():
        for sort, weigh in SORTS.items():
            rng = np.random.default_rng(1)
            other, nuclei, gone = 0, 0, []
            for t in TEMPERATURES:
                for x in rows:
                    us = rng.random(DRAWS)
                    true, new = plain(x, t), weigh(x, t)
                    other += int((drawn(true, us) != drawn(new, us)).sum())
                    nuclei += kept(x, true) != kept(x, new)
                    gone.append(float(((new == 0) & (true > 0)).mean()))
            draws, many = DRAWS * ROWS * len(TEMPERATURES), ROWS * len(TEMPERATURES)
            print(f"| {name} | {sort} | {other:,} | {draws:,} | {nuclei} | {many} | {np.mean(gone):.2%} |", flush=True)


if __name__ == "__main__":
    main()
