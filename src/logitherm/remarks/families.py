"""What can be known of a rule without running it: its family, the range of its numbers, whether it is off.

Families are classes where rules have one (Cutoff, Tempering) and a memory where they have one; the tables here name
the rest, once. A rule in no family, such as somebody's own, is passed over: nothing is claimed about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from logitherm.rules import (
    AdaptiveP,
    Allow,
    BadWords,
    Ban,
    Bias,
    Cutoff,
    DistortionBudget,
    Dry,
    DynamicTemperature,
    EntropyCap,
    EntropyRate,
    ForcedEos,
    Frequency,
    GreedyThreshold,
    LengthDecay,
    Masked,
    MinK,
    MinNewTokens,
    Mirostat,
    NoRepeatNgram,
    Presence,
    Quadratic,
    Repetition,
    RiskBudget,
    Rule,
    SequenceBias,
    TargetEntropy,
    Temperature,
    Tempering,
    TopK,
    TopNSigma,
    TopP,
    Typical,
    Xtc,
)
from logitherm.rules.base import GREEDY
from logitherm.schedule import Schedule

CUTS = Cutoff, Typical, Xtc, Mirostat, GreedyThreshold
"""What removes tokens by their probabilities."""

PENALTIES = Repetition, Frequency, Presence, Dry, LengthDecay
"""What changes the logits of tokens that were seen, or of ends, and removes none."""

EDITS = (*PENALTIES, Bias, SequenceBias, Ban, BadWords, Allow, NoRepeatNgram, MinNewTokens, ForcedEos, Masked)
"""What looks at which token a logit belongs to; all other rules give permuted tokens permuted logits."""

SIGNED = Repetition, LengthDecay
"""What depends on where zero lies."""

SHIFTS = Frequency, Presence, Dry, Bias, SequenceBias, Quadratic, AdaptiveP
"""What adds to some logits and not to others, and so moves signs."""

UNSCALED = TopK, TopNSigma
"""Cutoffs that keep the same tokens at every temperature before them."""

WHOLE_ROW = TopNSigma, MinK
"""Cutoffs that measure the spread of the whole row, so that any cut before them changes their measure."""

MASS = TopP, Typical
"""Cuts that keep a share of the mass."""

PROMISES = TargetEntropy, EntropyCap, RiskBudget, DistortionBudget
"""Temperatures with a promise about the row that they give."""

LAST = Mirostat, AdaptiveP
"""What learns from the probabilities that it gives."""

TIED = (Cutoff, Typical, Xtc, Mirostat, Quadratic, AdaptiveP)
"""What treats tokens of one logit alike, and so does nothing where all are equal."""

BOUNDED = DynamicTemperature, EntropyRate
"""What its neutral setting does not make neutral, unless its other parameters are left alone."""


def span(value: Any) -> tuple[float, float]:
    """The least and the largest that a number can be: itself, one a row, or from a schedule's start to its end."""
    if isinstance(value, Schedule):
        return min(value.start, value.end), max(value.start, value.end)
    values = value if isinstance(value, tuple) else (value,)
    return min(values), max(values)


def off(rule: Rule) -> bool:
    """Whether a rule is at its neutral setting, for every row and position."""
    if rule.neutral is None:
        return False
    if isinstance(rule, BOUNDED):
        return rule == type(rule)(**rule.neutral)
    return all(_is(getattr(rule, name), value) for name, value in rule.neutral.items())


def _is(value: Any, neutral: Any) -> bool:
    if isinstance(neutral, tuple | str):
        return bool(value == neutral)
    return span(value) == (neutral, neutral)


def greedy(rule: Rule) -> bool:
    """Whether a rule surely leaves one token."""
    cold = isinstance(rule, Temperature) and span(rule.t)[1] <= GREEDY
    return cold or (isinstance(rule, TargetEntropy) and span(rule.h)[1] <= 0)


def warm(rule: Rule) -> bool:
    """Whether a rule is a plain temperature that surely does not pick one token."""
    return isinstance(rule, Temperature) and span(rule.t)[0] > GREEDY


def maxima(rule: Rule) -> bool:
    """Whether a rule surely leaves the largest logits only, all of them."""
    return isinstance(rule, TopK) and span(rule.k) == (1, 1)


def steers(rule: Rule) -> bool:
    """Whether a rule learns from the tokens that are drawn how hot or narrow to make the next row."""
    if isinstance(rule, DynamicTemperature):
        return bool(rule.running_perplexity != 0)
    return isinstance(rule, (*TIED, Tempering)) and type(rule).advance is not Rule.advance


def heat(rules: Sequence[Rule]) -> float | None:
    """The product of plain temperatures, or None if it is no single number."""
    product = 1.0
    for rule in rules:
        if isinstance(rule, Temperature):
            low, high = span(rule.t)
            if low != high:
                return None
            product *= low
    return product
