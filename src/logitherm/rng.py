"""Randomness as a function: u = uniform(seed, position, lane), the same bits on every backend.

The generator is Philox-4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC11).
There is no generator object and no stream to advance: a row's randomness depends on its seed, on how many tokens it
has drawn and on who asks, so that rows can be batched, moved, resumed and forked without changing a token.

The body uses `*`, `^`, `>>`, `&` only: it runs on Python integers (fastest for one row) and on uint64 arrays.
"""

from __future__ import annotations

import hashlib
import operator
from functools import cache
from typing import Any

import numpy as np

ROUNDS = 10
MULTIPLY = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF

DRAW = 0
"""The lane of the draw itself; rules that toss a coin have lanes of their own."""


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> tuple[Any, Any, Any, Any]:
    """Four random 32-bit words from a 128-bit counter and a 64-bit key.

    counter, key: 32-bit words, least significant first; Python integers or uint64 arrays.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        even, odd = c0 * MULTIPLY[0], c2 * MULTIPLY[1]
        c0, c1, c2, c3 = (odd >> 32) ^ c1 ^ k0, odd & WORD, (even >> 32) ^ c3 ^ k1, even & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def uniform(seed: Any, position: Any, lane: int = DRAW) -> Any:
    """A number in [0, 1) with 53 random bits, fixed by its three arguments.

    seed:     the row's seed, 0 … 2⁶⁴ − 1; the Philox key.
    position: how many tokens the row has drawn so far, 0 …; the low half of the counter.
    lane:     who asks: 0 is the draw, others come from `lane("xtc#1")`; the high half of the counter.
    Integers give a float; integer arrays, which are broadcast together, give a float64 array.
    The 53 bits are the upper ones of the 64-bit word (second word · 2³² + first word).
    """
    if isinstance(seed, np.ndarray) or isinstance(position, np.ndarray):
        seed, position = (x.astype(np.uint64) for x in np.broadcast_arrays(seed, position))
        if seed.size <= 8:  # plain integers beat NumPy until about eight rows
            pairs = zip(seed.ravel().tolist(), position.ravel().tolist(), strict=True)
            return np.array([uniform(s, p, lane) for s, p in pairs]).reshape(seed.shape)
    else:
        seed, position = operator.index(seed), operator.index(position)
        if not (0 <= seed < 2**64 and 0 <= position < 2**64):
            raise ValueError(f"seed and position must be in [0, 2**64 - 1]; got {seed} and {position}")
    low, high, _, _ = philox((position & WORD, position >> 32, lane & WORD, lane >> 32), (seed & WORD, seed >> 32))
    return ((high << 32 | low) >> 11) * 2.0**-53


@cache
def lane(name: str) -> int:
    """The lane of a rule, from its name and occurrence ("xtc#1"): the first 64 bits of its BLAKE2b hash."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
