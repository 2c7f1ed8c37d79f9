"""Repeats: no run of tokens comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from logitherm.arrays import Array, keep, namespace
from logitherm.rules.base import Rule, parameter
from logitherm.state import At


def continuations(tokens: np.ndarray, n: int) -> np.ndarray:
    """The tokens that would complete a run of n tokens which the row already holds."""
    if n < 1 or len(tokens) < n:
        return tokens[:0]
    runs = np.lib.stride_tricks.sliding_window_view(tokens, n)
    same: np.ndarray = (runs[:, :-1] == tokens[len(tokens) - n + 1 :]).all(axis=1)
    last: np.ndarray = runs[same, -1]
    return last


@dataclass(frozen=True)
class NoRepeatNgram(Rule, name="no_repeat_ngram"):
    """Remove every token that would make a run of n tokens occur twice in prompt and output.

    n: the length of the run, a whole number ≥ 0; one, or one a row. 0 is off, 1 forbids every token seen. Usual 2 to 4;
       2 forbids ordinary pairs such as "of the", too.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Raises RecipeError if n is negative or not whole.
    Source: Paulus, Xiong, Socher, arXiv:1705.04304, section 2.5; history as in transformers 5.23 (prompt and output).
    Example: after the tokens 5 7 9 5, no_repeat_ngram(2) removes 7.
    """

    n: int | Sequence[int] = parameter("a whole number >= 0 (0 = off)", lambda n: n >= 0, unit="tokens", whole=True)

    neutral = {"n": 0}
    examples = ({"n": 2}, {"n": 3})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits without the tokens that would repeat."""
        allowed = np.ones(tuple(logits.shape), dtype=bool)
        for row, (tokens, n) in enumerate(zip(at.state.tokens, at.values(self.n), strict=True)):
            repeats = continuations(tokens, int(n))
            allowed[row, repeats[repeats < allowed.shape[1]]] = False
        return keep(logits, namespace(logits).asarray(allowed, device=logits.device))
