"""Runs of tokens: favour or forbid what would complete one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from logitherm.arrays import Array, keep, like, namespace
from logitherm.errors import RecipeError
from logitherm.rules.base import Rule, listed, whole
from logitherm.rules.constrain import below
from logitherm.state import At

Run = tuple[int, ...]
"""Token ids, one after the other."""


def run(name: str, value: Any) -> Run:
    """A run of one token or more."""
    if not isinstance(value, list | tuple) or not value or any(isinstance(token, float) for token in value):
        raise RecipeError(f"{name} must be a list of runs, each a list of ids with one or more; got {value!r} in it")
    return tuple(whole(name, token) for token in value)


def weighted(name: str, value: Any) -> tuple[Run, float]:
    """A run and the number that is added to the logit of its last token."""
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], int | float | np.floating):
        amount = float(value[1])
        if amount < inf and not isinstance(value[1], bool):  # NaN is not below it either
            return run(name, value[0]), amount
    raise RecipeError(f"{name} must be a list of pairs [[ids], number < inf]; got {value!r} in it")


def completed(tokens: np.ndarray, runs: Sequence[Run]) -> list[int]:
    """The places of the runs that one more token, their last, would complete."""
    last = tuple(tokens[max(0, len(tokens) - max(map(len, runs))) :].tolist())
    return [i for i, r in enumerate(runs) if last[len(last) - len(r) + 1 :] == r[:-1]]


@dataclass(frozen=True)
class SequenceBias(Rule, name="sequence_bias"):
    """Add a number to the logit of a token that would complete a chosen run of tokens.

    sequences: a list of [[ids], number]; the number is in logits, finite or -inf (which removes the token), and is
       added to the last id where prompt and output end with the ids before it; a run of one id is always completed.
       Empty is neutral. Usual −10 to 10. Runs that end in the same id add up, and so does a run that stands twice.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if a pair is not one, and at the first step if an id is not in the vocabulary.
    Source: sequence_bias in transformers 5.23 (logits_process.py, SequenceBiasLogitsProcessor).
    Example: logits [2, 1, 0, 0] after a text that ends in 3: sequence_bias([[[3, 1], 1.5], [[2, 1], 9.0]]) gives
    [2, 2.5, 0, 0].
    """

    sequences: Sequence[Any] = listed(weighted, "pairs [[ids], number < inf]", unit="logits")

    neutral = {"sequences": ()}
    examples = ({"sequences": [[[0, 1], 2.5], [[0], -1.5]]}, {"sequences": [[[1, 0, 1], -inf]]})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits plus the numbers of the runs that would be completed."""
        if not self.sequences:
            return logits
        runs = [ids for ids, _ in self.sequences]
        below("SequenceBias.sequences", [token for ids in runs for token in ids], logits.shape[-1])
        amounts = np.zeros(tuple(logits.shape))
        for row, tokens in enumerate(at.state.tokens):
            for i in completed(tokens, runs):
                amounts[row, runs[i][-1]] += self.sequences[i][1]
        return logits + like(amounts, logits)


@dataclass(frozen=True)
class BadWords(Rule, name="bad_words"):
    """Remove every token that would complete a forbidden run of tokens.

    words: a list of runs of ids, each with one id or more, counted in prompt and output; a run of one id is always
       removed, an end of the text too. Empty is neutral. A word may be spelled by several runs ("cat" and " cat" are
       different tokens): each has to be listed.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Raises RecipeError if a run is empty or not of ids, and at the first step if an id is not in the vocabulary.
    Source: bad_words_ids in transformers 5.23 (logits_process.py, NoBadWordsLogitsProcessor).
    Example: logits [2, 1, 0, 0] after a text that ends in 3: bad_words([[3, 1], [2, 0], [2]]) gives [2, -inf, -inf, 0].
    """

    words: Sequence[Sequence[int]] = listed(run, "runs of ids", unit="token ids")

    neutral = {"words": ()}
    examples = ({"words": [[0, 1]]}, {"words": [[1, 0, 0], [1, 1]]})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits without the tokens that would complete a run."""
        if not self.words:
            return logits
        runs = [tuple(word) for word in self.words]
        below("BadWords.words", [token for word in runs for token in word], logits.shape[-1])
        allowed = np.ones(tuple(logits.shape), dtype=bool)
        for row, tokens in enumerate(at.state.tokens):
            allowed[row, [runs[i][-1] for i in completed(tokens, runs)]] = False
        return keep(logits, namespace(logits).asarray(allowed, device=logits.device))
