"""Cutoffs without a parameter: the floor is the chance that two draws from the row agree, Σp²."""

from __future__ import annotations

from dataclasses import dataclass

from logitherm.arrays import Array, count, gather, keep, like, namespace, top, weights
from logitherm.rules.base import SLACK, Cutoff
from logitherm.state import At


def collision(logits: Array) -> Array:
    """Σp² over the largest p, (rows, 1): at most 1, for Σp² is a mean of the p's."""
    xp = namespace(logits)
    w = weights(logits)
    return xp.sum(w * w, axis=-1, keepdims=True) / xp.sum(w, axis=-1, keepdims=True)


@dataclass(frozen=True)
class PLess(Cutoff, name="p_less"):
    """Keep the tokens whose probability is at least Σp², the chance that two draws agree.

    There is no parameter and no neutral setting. Σp² is one for a row that is certain and 1/n for one that is uniform
    over n tokens; the likeliest token always stays, since Σp² ≤ the largest p.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the floor stays, p ≥ Σp² · (1 − 1e-6), so a uniform row stays whole.
    Source: Tan, Wu, Howard, "p-less Sampling: A Robust Hyperparameter-Free Approach for LLM Decoding",
    arXiv:2509.23234; the authors' p_less_samplers.py, p_less_decode, which removes p < Σp².
    Example: p = [.4, .3, .2, .1] has Σp² = .30, so two tokens stay.
    """

    neutral = None
    examples = ({},)
    steers = None

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of probability Σp²."""
        return top(logits) + namespace(logits).log(collision(logits) * (1 - SLACK))

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over the floor: it stays while that is at least 1."""
        return gather(weights(logits), token) / (collision(logits) * (1 - SLACK))


@dataclass(frozen=True)
class PLessNorm(Cutoff, name="p_less_norm"):
    """Keep the tokens whose probability is at least (n · Σp² − 1) / (n − 1), n being the tokens that are left.

    There is no parameter and no neutral setting. The floor is 0 for a uniform row and 1 for a certain one, below that
    of p_less everywhere between, so more stays.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the floor stays, to one part in a million. One token left stays.
    n counts what reaches the rule, so padding changes nothing; the authors' code, which stands first, has n = the
    vocabulary.
    Source: Tan, Wu, Howard, arXiv:2509.23234; the authors' p_less_samplers.py, p_less_norm_decode.
    Example: p = [.4, .3, .2, .1] has (4 · .30 − 1) / 3 = .0667, so all four stay; p = [.7, .2, .1] has
    (3 · .54 − 1) / 2 = .31, so one does.
    """

    neutral = None
    examples = ({},)
    steers = None

    def floor(self, logits: Array) -> Array:
        """The floor over the largest probability, (rows, 1), less the slack; 0 or less where all stay."""
        xp = namespace(logits)
        n = like(count(xp.isfinite(logits)), logits)
        largest = 1 / xp.sum(weights(logits), axis=-1, keepdims=True)
        return (n * collision(logits) - 1 / largest) / xp.where(n > 1, n - 1, n) * (1 - SLACK)

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the floor; -inf where that is 0."""
        xp = namespace(logits)
        floor = self.floor(logits)
        some = floor > 0
        return keep(top(logits) + xp.log(xp.where(some, floor, xp.ones_like(floor))), some)

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over the floor: it stays while that is at least 1."""
        xp = namespace(logits)
        floor, p = self.floor(logits), gather(weights(logits), token)
        some = floor > 0
        return keep(p / xp.where(some, floor, xp.ones_like(floor)), some, float("inf"))
