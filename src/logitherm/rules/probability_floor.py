"""Cutoffs on the probability itself: epsilon with a fixed floor, eta and top_a with one that moves with the row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from logitherm.arrays import NEG_INF, Array, entropy, gather, keep, like, namespace, softmax, top, weights
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At


def log_of(fraction: float) -> float:
    """The logarithm of a floor, less the slack; -inf where it is 0, which is off."""
    return math.log(fraction * (1 - SLACK)) if fraction > 0 else NEG_INF


def total(logits: Array) -> Array:
    """The sum of exp(logit − largest logit): one over the largest probability, (rows, 1)."""
    return namespace(logits).sum(weights(logits), axis=-1, keepdims=True)


def at_most(logits: Array, cutoff: Array) -> Array:
    """The cutoff, or the largest logit where that is lower: a floor above every probability keeps the maxima."""
    return namespace(logits).minimum(cutoff, top(logits))


def or_always(logits: Array, token: int, value: Array) -> Array:
    """A critical value that is an upper bound; 1, the end of its range, for what no setting removes."""
    below = gather(logits, token) < top(logits)
    return namespace(logits).minimum(keep(value, below, math.inf), like(1.0, logits))


@dataclass(frozen=True)
class Epsilon(Cutoff, name="epsilon"):
    """Keep the tokens whose probability is at least epsilon.

    epsilon: the floor, a probability in [0, 1); one, or one a row. 0 is off. Usual 3e-4 to 9e-4; larger is stricter.
       Where no token reaches it the maxima stay. It is a probability after everything that stands before it in the
       chain, so a temperature before it moves the kept set.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the floor stays, p ≥ epsilon · (1 − 1e-6), so that exactly epsilon stays however it was rounded.
    Raises RecipeError if epsilon is outside [0, 1).
    Source: Hewitt, Manning, Liang, "Truncation Sampling as Language Model Desmoothing", Findings of EMNLP 2022,
    arXiv:2210.15191; EpsilonLogitsWarper of transformers 5.23 (logits_process.py), which removes p < epsilon.
    Example: epsilon(0.2) on p = [.4, .3, .2, .1] keeps three; epsilon(0.6) keeps the first.
    """

    epsilon: Numbers = parameter("in [0, 1)", lambda e: 0 <= e < 1, unit="probability")

    neutral = {"epsilon": 0.0}
    examples = ({"epsilon": 0.05}, {"epsilon": 0.3}, {"epsilon": 0.001})
    steers = "epsilon", "<="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of probability epsilon, or the largest if that is lower."""
        sum_of = namespace(logits).log(total(logits))
        return at_most(logits, top(logits) + sum_of + at.column(self.epsilon, log_of))

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over 1 − 1e-6; 1 for the maxima."""
        return or_always(logits, token, gather(softmax(logits), token) / (1 - SLACK))


@dataclass(frozen=True)
class Eta(Cutoff, name="eta"):
    """Keep the tokens whose probability is at least min(epsilon, √epsilon · e^−H), H being the row's entropy.

    epsilon: the floor of rows that are sure, a probability in [0, 1); one, or one a row. 0 is off. Usual 3e-4 to 4e-3;
       larger is stricter. Where the row is flat, e^−H is small and the floor sinks: unsure rows keep more.
       Where no token reaches the floor the maxima stay. H is in nats, of what this rule receives.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the floor stays, to one part in a million.
    Raises RecipeError if epsilon is outside [0, 1).
    Source: Hewitt, Manning, Liang, arXiv:2210.15191, with α = √epsilon; EtaLogitsWarper of transformers 5.23
    (logits_process.py), whose code is this and whose docstring is not.
    Example: p = [.4, .3, .2, .1] has H = 1.2799, so eta(0.16) has the floor min(.16, .4 · .2781) = .1112 and keeps
    three; eta(0.1) has .3162 · .2781 = .0879 and keeps all four.
    """

    epsilon: Numbers = parameter("in [0, 1)", lambda e: 0 <= e < 1, unit="probability")

    neutral = {"epsilon": 0.0}
    examples = ({"epsilon": 0.3}, {"epsilon": 0.05}, {"epsilon": 0.001})
    steers = "epsilon", "<="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the floor, or the largest if that is lower."""
        xp = namespace(logits)
        fixed: Any = at.column(self.epsilon, log_of)
        moving = at.column(self.epsilon, lambda e: log_of(math.sqrt(e))) - entropy(logits)
        return at_most(logits, top(logits) + xp.log(total(logits)) + xp.minimum(moving, like(fixed, logits)))

    def critical(self, logits: Array, token: int) -> Array:
        """The larger of p and (p · e^H)², p being the token's probability over 1 − 1e-6; 1 for what always stays."""
        xp = namespace(logits)
        p = gather(softmax(logits), token) / (1 - SLACK)
        flat = (p * xp.exp(entropy(logits))) ** 2
        return or_always(logits, token, xp.maximum(flat, p))


@dataclass(frozen=True)
class TopA(Cutoff, name="top_a"):
    """Keep the tokens whose probability is at least a times the square of the largest one.

    a: the factor, in [0, 1]; one, or one a row. 0 is off. Usual 0.1 to 0.3; larger is stricter. A row whose likeliest
       token has half the mass is cut at a / 4, one where it has a tenth at a / 100.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the floor stays: l ≥ largest + log(a · p_max · (1 − 1e-6)). The likeliest always stays.
    Raises RecipeError if a is outside [0, 1].
    Source: BlinkDL, RWKV-LM, README, "The top-a sampling method"; TopALogitsWarper of text-generation-webui
    (modules/sampler_hijack.py, 1dcde41d), which removes p < a · p_max².
    Example: top_a(1) on p = [.4, .3, .2, .1] cuts at .16 and keeps three; on p = [.7, .2, .1] at .49, and keeps one.
    """

    a: Numbers = parameter("in [0, 1]", lambda a: 0 <= a <= 1, unit="1 over a probability")

    neutral = {"a": 0.0}
    examples = ({"a": 0.2}, {"a": 1.0}, {"a": 0.01})
    steers = "a", "<="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The largest logit plus log(a · largest probability)."""
        return at_most(logits, top(logits) - namespace(logits).log(total(logits)) + at.column(self.a, log_of))

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over the square of the largest, over 1 − 1e-6; 1 for what always stays."""
        return or_always(logits, token, gather(weights(logits), token) * total(logits) / (1 - SLACK))
