"""Constraints on single tokens: favour them, forbid them, allow no others, or forbid the end for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Self

import numpy as np

from logitherm.arrays import Array, keep, like, namespace
from logitherm.errors import RecipeError
from logitherm.rules.base import Rule, listed, parameter, whole
from logitherm.state import At
from logitherm.vocabulary import Vocabulary


def pair(name: str, value: Any) -> tuple[int, float]:
    """A token id and the number that is added to its logit."""
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], int | float | np.floating):
        amount = float(value[1])
        if amount < inf and not isinstance(value[1], bool):  # NaN is not below it either
            return whole(name, value[0]), amount
    raise RecipeError(f"{name} must be a list of pairs [id, number < inf]; got {value!r} in it")


def below(name: str, ids: Sequence[int], size: int) -> list[int]:
    """The ids, if the vocabulary has them."""
    if ids and max(ids) >= size:
        raise RecipeError(f"{name} must be ids in [0, {size}), the vocabulary; got {max(ids)}")
    return list(ids)


@dataclass(frozen=True)
class Bias(Rule, name="bias"):
    """Add a number to the logits of chosen tokens.

    pairs: a list of [id, number]; the number is in logits, finite or -inf (which removes the token). Empty is neutral.
       Usual −10 to 10. An id that stands twice gets both numbers.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if a pair is not one, and at the first step if an id is not in the vocabulary.
    Source: the logit_bias of OpenAI's API; sequence_bias of one token in transformers 5.23 (logits_process.py).
    Example: bias([[0, 1.5]]) on logits [2, 1] gives [3.5, 1].
    """

    pairs: Sequence[Sequence[float]] = listed(pair, "pairs [id, number < inf]", unit="logits")

    neutral = {"pairs": ()}
    examples = ({"pairs": [[0, 1.5], [1, -2.0]]}, {"pairs": [[1, -inf]]})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits plus the biases."""
        if not self.pairs:
            return logits
        amounts = np.zeros(logits.shape[-1])
        ids = below("Bias.pairs", [int(token) for token, _ in self.pairs], len(amounts))
        np.add.at(amounts, ids, [amount for _, amount in self.pairs])
        return logits + like(amounts, logits)


@dataclass(frozen=True)
class Ban(Rule, name="ban"):
    """Remove chosen tokens.

    ids: a list of token ids. Empty is neutral.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Raises RecipeError if an id is negative or not whole, and at the first step if it is not in the vocabulary.
    Source: suppress_tokens in transformers 5.23 (logits_process.py).
    Example: ban([1]) on logits [2, 1] gives [2, -inf].
    """

    ids: Sequence[int] = listed(whole, "whole numbers >= 0", unit="token ids")

    neutral = {"ids": ()}
    examples = ({"ids": [1]},)

    def apply(self, logits: Array, at: At) -> Array:
        """The logits without the banned tokens."""
        return without(logits, below("Ban.ids", self.ids, logits.shape[-1]), at)


def without(logits: Array, ids: list[int], at: At) -> Array:
    """The logits of every row without these ids."""
    if not ids:
        return logits
    allowed = np.ones((1, logits.shape[-1]), dtype=bool)
    allowed[:, ids] = False
    return keep(logits, namespace(logits).asarray(allowed, device=logits.device))


@dataclass(frozen=True)
class Allow(Rule, name="allow"):
    """Remove all but chosen tokens.

    ids: a list of token ids, at least one. There is no neutral setting.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Raises RecipeError if the list is empty or an id is negative or not whole, and at the first step if an id is not in
    the vocabulary. A row in which all of them were removed before is an error that names it.
    Source: allowed_token_ids of vLLM 0.33 (sampling_params.py, v1/sample/sampler.py).
    Example: allow([1, 3]) on logits [4, 3, 2, 1] gives [-inf, 3, -inf, 1].
    """

    ids: Sequence[int] = listed(whole, "whole numbers >= 0", unit="token ids")

    neutral = None
    examples = ({"ids": [0, 1]},)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ids:
            raise RecipeError("Allow.ids must be a list of at least one id; got []")

    def apply(self, logits: Array, at: At) -> Array:
        """The logits of the allowed tokens."""
        allowed = np.zeros((1, logits.shape[-1]), dtype=bool)
        allowed[:, below("Allow.ids", self.ids, logits.shape[-1])] = True
        return keep(logits, namespace(logits).asarray(allowed, device=logits.device))


@dataclass(frozen=True)
class MinNewTokens(Rule, name="min_new_tokens"):
    """Forbid the end of the text until n tokens have been drawn.

    n: how many, a whole number ≥ 0; one, or one a row. 0 is neutral.
    eos: the ids that end a text; unless given, the model's own, which `sampler.bind(vocabulary)` fills in and
       `generate` does by itself.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the ends become -inf.
    Raises RecipeError if n is negative or not whole, and at the first step if nobody said which ids end a text.
    Source: min_new_tokens in transformers 5.23 (logits_process.py).
    Example: min_new_tokens(1, eos=[1]) on logits [2, 1] gives [2, -inf] for the first token, [2, 1] from then on.
    """

    n: int | Sequence[int] = parameter("a whole number >= 0 (0 = off)", lambda n: n >= 0, unit="tokens", whole=True)
    eos: Sequence[int] | None = listed(whole, "whole numbers >= 0", unit="token ids", default=None)

    neutral = {"n": 0}
    examples = ({"n": 3, "eos": [0]}, {"n": 100, "eos": [1, 0]})

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with the model's ends, unless it has its own."""
        return self if self.eos is not None else replace(self, eos=tuple(vocabulary.eos))

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, without ends where too few tokens were drawn."""
        xp = namespace(logits)
        n = np.asarray(at.values(self.n))
        early = at.state.position < n
        if not early.any():
            return logits
        if self.eos is None:
            raise RecipeError("MinNewTokens.eos must say which ids end a text: eos=[…], or bind the sampler to a model")
        ended = without(logits, below("MinNewTokens.eos", self.eos, logits.shape[-1]), at)
        return xp.where(xp.asarray(early[:, None], device=logits.device), ended, logits)
