"""What can be counted in a text: how often it repeats itself, how varied its words are, how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from logitherm.generation.loop import Generation

RESAMPLES, COVERAGE = 4000, 0.95
"""How an interval is found: so many resamples of the texts, and the share of their means that lie within."""


@dataclass(frozen=True)
class Interval:
    """A mean over texts and the bootstrap's 95 % interval of it; low and high are None for fewer than two texts."""

    mean: float
    low: float | None
    high: float | None


def repetition(tokens: Sequence[int], n: int = 4) -> float | None:
    """The share of a text's n-grams of tokens that occurred in it before, 0 to 1; None for fewer than n tokens.

    Source: Welleck et al., "Neural Text Generation with Unlikelihood Training", arXiv:1908.04319, section 6: seq-rep-n.
    """
    different = distinct(tokens, n)
    return None if different is None else 1 - different


def distinct(tokens: Sequence[int], n: int) -> float | None:
    """Different n-grams of tokens over all of them, above 0 to 1; None for fewer than n tokens.

    Source: Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", arXiv:1510.03055,
    section 5: distinct-1 and distinct-2. It falls as texts grow: compare texts of like length.
    """
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def measure(texts: Sequence[Generation]) -> dict[str, Interval]:
    """What texts of one recipe are like: repetition, distinct_1, distinct_2, entropy and length.

    entropy: the mean over a text's steps of the entropy after all rules, nats; only if the texts carry details.
    length:  tokens drawn.
    A text that is too short for a measure does not count for it; a measure without any text is left out.
    """
    ids = [[token.id for token in text.tokens] for text in texts]
    columns: dict[str, list[float | None]] = {
        "repetition": [repetition(row) for row in ids],
        "distinct_1": [distinct(row, 1) for row in ids],
        "distinct_2": [distinct(row, 2) for row in ids],
        "entropy": [_entropy(text) for text in texts],
        "length": [float(len(row)) for row in ids],
    }
    known = {name: [value for value in column if value is not None] for name, column in columns.items()}
    return {name: interval(values) for name, values in known.items() if values}


def interval(values: Sequence[float]) -> Interval:
    """The mean of one value or more, and the interval in which it would lie had other texts been drawn.

    The percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), with a fixed
    seed, so that the same values give the same interval.
    """
    if len(values) < 2:
        return Interval(fmean(values), None, None)
    rng = np.random.default_rng(0)
    means = rng.choice(np.asarray(values), (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(fmean(values), float(low), float(high))


def _entropy(text: Generation) -> float | None:
    steps = [token.summary.final_entropy for token in text.tokens if token.summary]
    return fmean(steps) if steps else None
