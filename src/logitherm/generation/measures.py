"""What can be counted in a text: how often it repeats itself, how varied its words are, how long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, sqrt
from statistics import fmean, stdev

from logitherm.generation.loop import Generation

FEWEST = 5
"""Below so many texts there is a mean and no interval."""


MOST = {"repetition": 1.0, "distinct_1": 1.0, "distinct_2": 1.0}
"""Measures that are shares, and cannot be more."""


@dataclass(frozen=True)
class Interval:
    """A mean over texts and its 95 % interval; low and high are None for fewer than FEWEST texts."""

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
    distinct-1 and distinct-2, here of one text. It falls as texts grow: compare texts of like length.
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
    return {name: interval(values, MOST.get(name, inf)) for name, values in known.items() if values}


def interval(values: Sequence[float], most: float = inf) -> Interval:
    """The mean of one value or more, and its 95 % interval by Student's t, cut to [0, most], where every value lies.

    It holds the true mean in 95 % of cases if values are spread as the normal distribution has them, and about as
    often where they are not, once there are a few dozen.
    """
    mean = fmean(values)
    if len(values) < FEWEST:
        return Interval(mean, None, None)
    half = quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return Interval(mean, max(0.0, mean - half), min(most, mean + half))


def quantile(df: int) -> float:
    """The 97.5 % quantile of Student's t with 4 degrees of freedom or more, to 0.3 %.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.5, from the normal quantile z.
    """
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + fsum(term / df**power for power, term in enumerate(terms, 1))


def _entropy(text: Generation) -> float | None:
    steps = [token.summary.final_entropy for token in text.tokens if token.summary]
    return fmean(steps) if steps else None
