"""A model without weights, for documentation and tests: it counts which byte followed the last four in a short text."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np

from logitherm.ragged import Ragged

TEXT = """\
The cat slept on the mat. The dog slept on the rug. The cat dreamt of a fish, and the dog dreamt of the cat.
When the rain came down on the roof, the cat woke up; the dog slept on. "Where is the fish?" said the cat.
At the café the naïve mouse ate a crème brûlée — très bon! — and the cat came in from the rain. ☔
The mouse ran up the clock, the clock struck one, and the cat slept on the mat. 🐭🐱🐶
"""
ORDER = 4
BACKOFF = 30.0
"""How much more a longer match counts than one byte shorter."""


class Bytes:
    """The vocabulary of the 256 bytes and an end."""

    size = 257
    eos = (256,)

    def encode(self, text: str) -> list[int]:
        """The UTF-8 bytes of a text."""
        return list(text.encode())

    def bytes_of(self, token: int) -> bytes:
        """The byte of a token; none for the end."""
        return bytes([token]) if token < 256 else b""


@cache
def _counts() -> dict[bytes, Counter[int]]:
    """What followed each run of up to ORDER bytes in the text, and how often."""
    data = TEXT.encode()
    seen: dict[bytes, Counter[int]] = defaultdict(Counter)
    for end in range(len(data) + 1):
        following = data[end] if end < len(data) else 256
        for length in range(min(ORDER, end) + 1):
            seen[data[end - length : end]][following] += 1
    return seen


@cache
def _logits(last: bytes) -> np.ndarray:
    scores = np.full(Bytes.size, 1e-4)
    for length in range(len(last) + 1):
        for token, times in _counts().get(last[len(last) - length :], {}).items():
            scores[token] += times * BACKOFF**length
    logits: np.ndarray = np.log(scores)
    logits.flags.writeable = False
    return logits


class Toy:
    """The model of the last four bytes. Logits are float64; the cache is the tokens themselves."""

    name = "toy"
    fingerprint = hashlib.sha256(TEXT.encode()).hexdigest()
    context: int | None = None
    vocabulary = Bytes()

    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, Ragged]:
        """Next-token logits (rows, 257) after the prompts, and the cache."""
        longest = max(map(len, rows))
        ids = np.array([[*row, *[0] * (longest - len(row))] for row in rows], dtype=np.int64)
        return self._read(Ragged([ids], [len(row) for row in rows]))

    def step(self, ids: Sequence[int], cache: Ragged) -> tuple[np.ndarray, Ragged]:
        """Next-token logits (rows, 257) after one more token a row, and the new cache."""
        return self._read(cache.append([np.array(ids, dtype=np.int64)[:, None]]))

    def _read(self, cache: Ragged) -> tuple[np.ndarray, Ragged]:
        tails = [[t for t in cache.row(i)[-ORDER:].tolist() if t < 256] for i in range(cache.rows)]
        return np.stack([_logits(bytes(tail)) for tail in tails]), cache
