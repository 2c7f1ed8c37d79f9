"""Rules that compare a token's probability with a threshold: min_p with a part of the largest probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

from logitherm.arrays import NEG_INF, Array, gather, namespace, top, weights
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At


@dataclass(frozen=True)
class MinP(Cutoff, name="min_p"):
    """Keep the tokens at least p times as likely as the likeliest one.

    p: the ratio to the largest probability, in [0, 1]; one, or one a row. 0 is off, 1 keeps the maxima only.
       Usual 0.02 to 0.2; larger is stricter. It adapts: a confident row keeps few tokens, an unsure one many.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the threshold stays. The test is on logits: l ≥ largest + log(p · (1 − 1e-6)), so that a ratio of
    exactly p stays however it was rounded.
    Raises RecipeError if p is outside [0, 1].
    Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling", ICLR 2025, arXiv:2407.01082, section 3.
    Example: min_p(0.6) on p = [.4, .3, .2, .1] keeps the first two: .3 ≥ .6 · .4 > .2.
    """

    p: Numbers = parameter("in [0, 1]", lambda p: 0 <= p <= 1, unit="ratio to the largest probability")

    neutral = {"p": 0.0}
    examples = ({"p": 0.05}, {"p": 0.5}, {"p": 1.0})
    steers = "p", "<="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The largest logit plus log p, less the slack."""
        return top(logits) + at.column(self.p, lambda p: math.log(p * (1 - SLACK)) if p > 0 else NEG_INF)

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over the largest one, over 1 − 1e-6; at most 1, which keeps the maxima."""
        return namespace(logits).clip(gather(weights(logits), token) / (1 - SLACK), None, 1.0)
