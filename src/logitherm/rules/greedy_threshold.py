"""Greedy where the model is unsure: the reverse of heating an uncertain row."""

from __future__ import annotations

from dataclasses import dataclass

from logitherm.arrays import Array, greedy, namespace, softmax, top
from logitherm.rules.base import SLACK, Numbers, Rule, parameter
from logitherm.state import At


@dataclass(frozen=True)
class GreedyThreshold(Rule, name="greedy_threshold"):
    """Keep one token where the largest probability is below p, and leave the other rows alone.

    p: the confidence below which a row is greedy, in [0, 1]; one, or one a row. 0 is off; 1 makes every row greedy
       that is not certain. Usual 0.1 to 0.3. The largest probability is that of what this rule receives.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: in a greedy row the lowest id among the largest logits stays. A largest probability of exactly p, to one part
    in a million, is not below it.
    Raises RecipeError if p is outside [0, 1].
    Source: Li, Su, Sachan, Geiping, "Sample Smart, Not Hard: Correctness-First Decoding for Better Reasoning in LLMs",
    arXiv:2510.05987, Greedy-Threshold, whose active set is the argmax iff p_max < p_GT.
    Example: greedy_threshold(0.5) on p = [.4, .3, .2, .1] keeps the first, on p = [.5, .3, .2] all.
    """

    p: Numbers = parameter("in [0, 1]", lambda p: 0 <= p <= 1, unit="probability")

    neutral = {"p": 0.0}
    examples = ({"p": 0.9}, {"p": 0.3}, {"p": 1.0})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, one a row where the row is unsure."""
        xp = namespace(logits)
        unsure = top(softmax(logits)) < at.column(self.p) * (1 - SLACK)
        return xp.where(unsure, greedy(logits), logits)
