"""The rows of logits that are sampled: made ones of known shape, and real ones of GPT-2."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

STORED = Path(__file__).parents[2] / "shared" / "data" / "logits" / "gpt2_124m.npz"
GPT2_SIZE = 50_257
SIZES = 32_000, GPT2_SIZE, 128_256, 256_000

KINDS = {
    "peaked": "the likeliest token has 0.60, 60 tokens have 0.97, entropy 2.0 nats",
    "flat": "bell-shaped, 6.5 nats at T = 0.8, thousands of tokens in top_p(0.95)",
    "bf16": "the flat ones rounded to bfloat16, so that many tokens tie",
    "noise": "bell-shaped with deviation 0.8, as an untrained model's, about 11 nats: the worst case",
    "gpt2": "three rows of the real GPT-2 124M",
}
"""Each kind in a few words; entropies at T = 1 unless told."""


@lru_cache(maxsize=2)
def rows(kind: str, size: int, count: int) -> np.ndarray:
    """(count, size) float32 rows of a kind; the same at every call."""
    rng = np.random.default_rng(size)
    if kind == "gpt2":
        with np.load(STORED) as stored:
            return np.stack([stored[f"logits_{i % 3}"] for i in range(count)]).astype(np.float32)
    if kind == "peaked":
        return np.stack([_peaked(size, rng) for _ in range(count)])
    bell = rng.normal(size=(count, size)).astype(np.float32)
    if kind == "noise":
        return bell * np.float32(0.8)
    flat = bell * np.float32(_width(bell[0]))
    if kind == "bf16":
        torch.from_numpy(flat).copy_(torch.from_numpy(flat).bfloat16())
    return flat


def without_ties(kind: str, size: int) -> np.ndarray:
    """A row like those of a kind, in which hardly any tokens tie."""
    found: np.ndarray = rows("flat" if kind == "bf16" else kind, size, 4)[0]
    return found


def kinds(size: int, batch: int) -> list[str]:
    """The kinds of rows that there are for a vocabulary; noise, which takes longest, one row at a time only."""
    real = ["gpt2"] if size == GPT2_SIZE and STORED.is_file() else []
    return ["peaked", "flat", "bf16", *(["noise"] if batch == 1 else []), *real]


def entropy(row: np.ndarray, t: float = 1.0) -> float:
    """The entropy of a row at temperature t, nats."""
    z = (row.astype(np.float64) - row.max()) / t
    weights = np.exp(z)
    return float(np.log(weights.sum()) - (weights * z).sum() / weights.sum())


def _width(row: np.ndarray) -> float:
    """What to multiply a bell-shaped row with so that its entropy at T = 0.8 is 6.5 nats."""
    low, high = 0.1, 6.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(row * middle, 0.8) > 6.5 else (low, middle)
    return low


def _peaked(size: int, rng: np.random.Generator) -> np.ndarray:
    """Sixty tokens by a power law behind five likely ones, in a bell-shaped bulk that has 3 % of the mass."""
    bulk = rng.normal(0, 2.2, size)
    row: np.ndarray = bulk + np.log(0.03) - np.log(np.exp(bulk).sum())
    likely, others = np.array([0.60, 0.12, 0.06, 0.04, 0.029]), np.arange(6, 61) ** -1.3
    others *= (1 - 0.03 - likely.sum()) / others.sum()
    row[rng.permutation(size)[:60]] = np.log(np.concatenate([likely, others]))
    return (row + 12).astype(np.float32)
