"""Dynamic temperature: one temperature a row, from how sure the model is of its next token.

The features of a row are functionals of its distribution p; with S = −log p(X), X drawn from p:
entropy is the mean of S, varentropy its variance, surprisal_median its median, and −log max p its minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from logitherm.arrays import (
    Array,
    before,
    count,
    descending,
    entropy,
    gather,
    like,
    log_softmax,
    namespace,
    softmax,
    surprisal,
)
from logitherm.errors import RecipeError
from logitherm.rules.base import Numbers, Tempering, choice, parameter
from logitherm.schedule import Schedule
from logitherm.state import At, Step


def max_p(logits: Array) -> Array:
    """The largest probability of each row, (rows, 1)."""
    return namespace(logits).amax(softmax(logits), axis=-1, keepdims=True)


def normalised_entropy(logits: Array) -> Array:
    """Entropy as a fraction of log n, n being the tokens not removed; 0 where one token is left."""
    xp = namespace(logits)
    n = count(xp.isfinite(logits))
    return entropy(logits) / xp.log(like(xp.clip(n, 2, None), logits))


def median(logits: Array) -> Array:
    """The median of the probabilities of the tokens not removed; the mean of the middle two if they are even."""
    xp = namespace(logits)
    n = count(xp.isfinite(logits))
    p = descending(softmax(logits))
    return (gather(p, (n - 1) // 2) + gather(p, n // 2)) / 2


def surprisal_median(logits: Array) -> Array:
    """−log of the probability of the token at which the mass, added from the likeliest down, reaches one half."""
    down = descending(logits)
    crossing = count(before(softmax(down)) < 0.5) - 1
    return -gather(log_softmax(down), crossing)


def varentropy(logits: Array) -> Array:
    """The variance of the surprisal, nats²."""
    xp = namespace(logits)
    deviation = surprisal(logits) - entropy(logits)
    return xp.sum(softmax(logits) * deviation * deviation, axis=-1, keepdims=True)


SUREST = 1e-6
"""Entropies below this count as this; edt is greedy there."""

MOST_SURPRISED = 700.0
"""Nats that a drawn token counts at most: a forced one may be impossible, and exp of more would overflow."""


def perplexity(surprisals: np.ndarray) -> np.ndarray:
    """Exp of the mean surprisal of each row, (rows, 1), over what is no NaN; 0 where nothing is."""
    seen = ~np.isnan(surprisals)
    n = seen.sum(axis=1, keepdims=True)
    mean = np.where(seen, surprisals, 0.0).sum(axis=1, keepdims=True) / np.maximum(n, 1)
    return np.where(n > 0, np.exp(mean), 0.0)


FEATURES: dict[str, Callable[[Array], Array]] = {
    "max_p": max_p,
    "entropy": entropy,
    "log_perplexity": entropy,
    "median": median,
    "surprisal_median": surprisal_median,
    "normalised_entropy": normalised_entropy,
    "varentropy": varentropy,
}
"""What dynamic_temperature can look at: a name, and a function from logits to one number a row."""


def coefficient(unit: str) -> Any:
    """The weight of one feature in the temperature, 0 = not used."""
    return parameter("a finite number", isfinite, unit=unit, default=0.0)


@dataclass(frozen=True)
class DynamicTemperature(Tempering, name="dynamic_temperature"):
    """Divide every logit by T = clip(a + Σ coefficient · feature, t_min, t_max), a temperature for each row and step.

    a: the temperature before features, a finite number; 1 with no coefficient is neutral. Usual 0.1 to 1.
    max_p: coefficient of the largest probability, in [0, 1] (it falls as the model grows unsure). Usual −0.5 to 0.
    entropy: coefficient of the entropy H in nats, in [0, log V]; usual 0.05 to 0.8, and then set t_max: a = 0.1 with
       entropy = 0.8 reaches 8.76 at V = 50,257.
    log_perplexity: an alias of entropy, for log exp(H) = H; given both, the coefficients add.
    median: coefficient of the median probability over the tokens not removed. At a real vocabulary it is about 1e-7,
       so it moves nothing; kept because it is published. Note that it rises as the model grows unsure.
    surprisal_median: coefficient of the mass-weighted median of the surprisal in nats, the useful median.
    normalised_entropy: coefficient of H / log n, in [0, 1], n being the tokens not removed.
    varentropy: coefficient of the variance of the surprisal, nats².
    running_perplexity: coefficient of exp(mean of −log p) over the row's last drawn tokens, p being the model's own
       probability of each; 0 before the first one. It rises when the text has become surprising. Usual 0 to 0.05.
    window: over how many tokens it runs, a whole number ≥ 1; 16 unless given.
    of: "raw", features of the model's own logits before any rule (the default), or "kept", of those that this rule
        receives.
    t_min, t_max: bounds of T, 0 ≤ t_min ≤ t_max ≤ inf; neutral 0 and inf. A T at or below 1e-6 keeps one token.
    Each number may be a list with one value a row, or a schedule.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes.
    Raises RecipeError if a bound is negative or t_min exceeds t_max.
    Source: docs/dynamic-temperature.md, with the strategies that it covers (maximum probability, entropy, perplexity,
    quantile, combined) and the definition of every feature.
    Example: p = [.01, .02, .03, .94] has H = .28765, so dynamic_temperature(0.1, entropy=0.8) uses T = .33012.
    """

    a: Numbers = parameter("a finite number", isfinite, unit="temperature")
    max_p: Numbers = coefficient("temperature per unit of probability")
    entropy: Numbers = coefficient("temperature per nat")
    log_perplexity: Numbers = coefficient("temperature per nat")
    median: Numbers = coefficient("temperature per unit of probability")
    surprisal_median: Numbers = coefficient("temperature per nat")
    normalised_entropy: Numbers = coefficient("temperature per unit of log n")
    varentropy: Numbers = coefficient("temperature per square nat")
    running_perplexity: Numbers = coefficient("temperature per unit of perplexity")
    window: int = parameter("a whole number >= 1", lambda w: w >= 1, unit="tokens", default=16, whole=True)
    of: str = choice("raw", "kept", default="raw")
    t_min: Numbers = parameter("a finite number >= 0", lambda t: 0 <= t < inf, unit="temperature", default=0.0)
    t_max: Numbers = parameter(">= 0, or inf", lambda t: t >= 0, unit="temperature", default=inf)

    neutral = {"a": 1.0}
    examples = (
        {"a": 0.5, "max_p": -0.4},
        {"a": 0.1, "entropy": 0.8},
        {"a": 0.1, "log_perplexity": 0.8, "t_max": 1.5},
        {"a": 0.5, "median": -0.4},
        {"a": 0.4, "running_perplexity": 0.05, "window": 3, "t_max": 2.0},
        {"a": 0.4, "max_p": -0.2, "entropy": 0.1, "of": "kept"},
        {
            "a": 0.3,
            "surprisal_median": 0.2,
            "normalised_entropy": 0.5,
            "varentropy": 0.05,
            "t_min": 0.2,
            "t_max": 2.0,
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.window, tuple):
            raise RecipeError(f"DynamicTemperature.window must be one number for all rows; got {list(self.window)}")
        low, high = (v if isinstance(v, tuple) else (v,) for v in (self.t_min, self.t_max))
        pairs = (
            zip(low * len(high), high * len(low), strict=True)
            if 1 in (len(low), len(high))
            else zip(low, high, strict=False)
        )
        if any(not isinstance(a, Schedule) and not isinstance(b, Schedule) and a > b for a, b in pairs):
            raise RecipeError(f"DynamicTemperature.t_min must be at most t_max; got {self.t_min!r} > {self.t_max!r}")

    def init(self, rows: int) -> np.ndarray | None:
        """(rows, window) the surprisal of the last tokens, NaN where there was none; nothing if it is not asked for."""
        return np.full((rows, self.window), np.nan) if self.running_perplexity != 0 else None

    def advance(self, memory: np.ndarray | None, step: Step) -> np.ndarray | None:
        """The window, moved on by the surprisal of the tokens just drawn."""
        if memory is None:
            return None
        surprisals = np.minimum(-step.raw_logprobs, MOST_SURPRISED)
        return np.concatenate([memory[:, 1:], surprisals[:, None]], axis=1)

    def temperature(self, logits: Array, at: At) -> Array:
        """The clipped sum, (rows, 1)."""
        xp = namespace(logits)
        source = at.raw if self.of == "raw" else logits
        t = xp.zeros_like(logits[:, :1]) + at.column(self.a)
        for name, feature in FEATURES.items():
            weight = getattr(self, name)
            if weight != 0:
                t = t + at.column(weight) * feature(source)
        if at.memory is not None:
            t = t + at.column(self.running_perplexity) * like(perplexity(at.memory), logits)
        low, high = (like(at.column(bound), logits) for bound in (self.t_min, self.t_max))
        return xp.minimum(xp.maximum(t, low), high)


@dataclass(frozen=True)
class Dynatemp(Tempering, name="dynatemp"):
    """Divide by T = low + (high − low) · (H / log n)^exponent: low where the row is sure, high where it is flat.

    low, high: the temperatures of a row with one candidate and of a uniform one, ≥ 0; low may exceed high, which cools
       the rows that are unsure. 1 and 1 are neutral. Usual 0.5 and 1.5.
    exponent: bends the way between, > 0; 1 unless given. Above 1 stays longer near low.
    of: "kept", the entropy of what reaches this rule, n being the tokens that are left (the default, as in llama.cpp,
       where it stands last); or "raw", of the model's own distribution. The same numbers mean other temperatures then.
    Each number may be a list with one value a row, or a schedule.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes.
    Raises RecipeError if a temperature is negative or the exponent not positive.
    Source: llama.cpp's temp_ext (src/llama-sampler.cpp, as in llama-cpp-python 0.3.36), whose dynatemp_range r around t
    is dynatemp(max(0, t - r), t + r).
    Example: p = [.01, .02, .03, .94] has H / log 4 = .2075, so dynatemp(0.5, 1.5) uses T = .7075.
    """

    low: Numbers = parameter("a finite number >= 0", lambda t: 0 <= t < inf, unit="temperature")
    high: Numbers = parameter("a finite number >= 0", lambda t: 0 <= t < inf, unit="temperature")
    exponent: Numbers = parameter("a finite number > 0", lambda e: 0 < e < inf, unit="power", default=1.0)
    of: str = choice("raw", "kept", default="kept")

    neutral = {"low": 1.0, "high": 1.0}
    examples = ({"low": 0.5, "high": 1.5}, {"low": 1.2, "high": 0.4, "exponent": 2.0, "of": "raw"})

    def temperature(self, logits: Array, at: At) -> Array:
        """The interpolation, (rows, 1)."""
        share = normalised_entropy(at.raw if self.of == "raw" else logits) ** at.column(self.exponent)
        return at.column(self.low) + (at.column(self.high) - at.column(self.low)) * share


@dataclass(frozen=True)
class Edt(Tempering, name="edt"):
    """Divide by T = t0 · base^(theta / H): cool where the model is sure, t0 where its entropy is large.

    t0: the temperature of a row of infinite entropy, ≥ 0. Neutral is 1, with theta 0.
    theta: how strongly it cools, nats, ≥ 0; neutral is 0.
       Usual 1 for t0 and 0.1 to 2 for theta.
    base: in (0, 1]; 0.8 unless given, as published.
    of: "raw", the entropy of the model's own distribution in nats (the default), or "kept", of what reaches this rule.
    Each number may be a list with one value a row, or a schedule.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes. As H goes to 0, T does: one
    token stays.
    Raises RecipeError if a number is out of its range.
    Source: Zhang, Bao, Huang, "EDT: Improving Large Language Models' Generation by Entropy-based Dynamic Temperature
    Sampling", arXiv:2403.14541.
    Example: p = [.01, .02, .03, .94] has H = .28765, so edt(1.0, 1.0) uses T = .4604.
    """

    t0: Numbers = parameter("a finite number >= 0", lambda t: 0 <= t < inf, unit="temperature")
    theta: Numbers = parameter("a finite number >= 0", lambda t: 0 <= t < inf, unit="nats")
    base: Numbers = parameter("in (0, 1]", lambda b: 0 < b <= 1, unit="factor", default=0.8)
    of: str = choice("raw", "kept", default="raw")

    neutral = {"t0": 1.0, "theta": 0.0}
    examples = ({"t0": 0.8, "theta": 1.0}, {"t0": 1.4, "theta": 0.3, "base": 0.6, "of": "kept"})

    def temperature(self, logits: Array, at: At) -> Array:
        """The product, (rows, 1)."""
        h = entropy(at.raw if self.of == "raw" else logits)
        h = namespace(logits).maximum(h, like(SUREST, h))
        return at.column(self.t0) * at.column(self.base) ** (at.column(self.theta) / h)
