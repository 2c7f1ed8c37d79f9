"""Rules that look at a token's place in the order of likelihood: top_k by count, top_p by mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logitherm.arrays import Array, before, count, descending, gather, keep, namespace, softmax, weights
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At


@dataclass(frozen=True)
class TopK(Cutoff, name="top_k"):
    """Keep the k likeliest tokens.

    k: how many, a whole number ≥ 0; one, or one a row. 0 is off, and so is any k ≥ the vocabulary. Usual 20 to 100.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens that tie with the k-th all stay, so more than k may.
    Raises RecipeError if k is negative or not whole.
    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, arXiv:1904.09751, section 3.2;
    first used by Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", ACL 2018.
    Example: top_k(2) on p = [.4, .3, .2, .1] keeps the first two, then .571 and .429.
    """

    k: int | Sequence[int] = parameter("a whole number >= 0 (0 = off)", lambda k: k >= 0, unit="tokens", whole=True)

    neutral = {"k": 0}
    examples = ({"k": 1}, {"k": 2}, {"k": 40})
    steers = "k", ">="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The k-th largest logit; the smallest of all where k is off."""
        size = logits.shape[-1]
        return gather(descending(logits), at.column(self.k, lambda k: min(k or size, size) - 1))

    def critical(self, logits: Array, token: int) -> Array:
        """The token's rank, 1 for the likeliest: one more than the tokens strictly above it."""
        return count(logits > gather(logits, token)) + 1


def crossing(logits: Array, p: Any) -> Array:
    """The logit of the token that crosses a mass p, one number or (rows, 1); the lowest of all where p is 1."""
    down = descending(logits)
    w = weights(down)
    total = namespace(logits).sum(w, axis=-1, keepdims=True)
    inside = (before(w) < p * (1 - SLACK) * total) | (p >= 1)
    return gather(down, count(inside) - 1)


@dataclass(frozen=True)
class TopP(Cutoff, name="top_p"):
    """Keep the smallest set of likeliest tokens whose mass reaches p (nucleus sampling).

    p: the mass to reach, a probability in (0, 1]; one, or one a row. 1 is off. Usual 0.8 (careful) to 0.98 (free).
    A token stays iff the mass of strictly likelier tokens is below p · (1 − 1e-6), masses being those of the softmax
    over the logits that this rule receives: the token that crosses p stays, and so does the likeliest one.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens of one logit stay or go together.
    Raises RecipeError if p is outside (0, 1].
    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, arXiv:1904.09751, section 3.1.
    Example: top_p(0.75) on p = [.4, .3, .2, .1] keeps three: .7 does not reach .75, .9 does.
    """

    p: Numbers = parameter("in (0, 1]", lambda p: 0 < p <= 1, unit="probability mass")

    neutral = {"p": 1.0}
    examples = ({"p": 0.9}, {"p": 0.5}, {"p": 0.01})
    steers = "p", ">"

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the token that crosses p."""
        return crossing(logits, at.column(self.p))

    def critical(self, logits: Array, token: int) -> Array:
        """The mass of the tokens strictly above it, over 1 − 1e-6."""
        xp = namespace(logits)
        above = keep(softmax(logits), logits > gather(logits, token), 0.0)
        return xp.sum(above, axis=-1, keepdims=True) / (1 - SLACK)
