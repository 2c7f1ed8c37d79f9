"""Cutoffs that look at logits and their gaps, so that a temperature before them moves little or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from logitherm.arrays import Array, count, descending, first, gather, keep, like, namespace, top
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At


def deviation(logits: Array) -> Array:
    """The standard deviation of the logits not removed, (rows, 1): the root of the mean square, over n, not n − 1."""
    xp = namespace(logits)
    alive = xp.isfinite(logits)
    n = count(alive)
    gap = keep(logits - top(logits), alive, 0.0)
    away = keep(gap - xp.sum(gap, axis=-1, keepdims=True) / n, alive, 0.0)
    return xp.sqrt(xp.sum(away * away, axis=-1, keepdims=True) / n)


@dataclass(frozen=True)
class TopNSigma(Cutoff, name="top_n_sigma"):
    """Keep the tokens whose logit is within n standard deviations of the largest.

    n: the width in standard deviations of the row's logits, ≥ 0 and finite; one, or one a row. 0 is off. Usual 0.5 to
       2; smaller is stricter. The deviation is of the logits that this rule receives, without the removed ones: let it
       stand before other cutoffs, as in its paper, or the deviation is that of the few that they leave.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    A temperature before it changes nothing, since both sides of the test scale alike.
    Ties: a token at the cutoff stays, l ≥ largest − n · σ · (1 + 1e-6). Rows of equal logits stay whole.
    Raises RecipeError if n is negative or infinite.
    Source: Tang, Liu, Xu, Huang, "Top-nσ: Not All Logits Are You Need", arXiv:2411.07641; llama.cpp's top_n_sigma
    (src/llama-sampler.cpp, as in llama-cpp-python 0.3.36), which divides by the number of finite logits.
    Example: logits [3, 2, 1, 0] have σ = √1.25 = 1.118, so top_n_sigma(1) cuts at 1.882 and keeps two,
    top_n_sigma(2) at .764 and keeps three.
    """

    n: Numbers = parameter("a finite number >= 0 (0 = off)", lambda n: 0 <= n < inf, unit="standard deviations")

    neutral = {"n": 0.0}
    examples = ({"n": 1.0}, {"n": 0.3}, {"n": 2.5})
    steers = "n", ">="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The largest logit less n deviations; -inf where n is 0."""
        n = like(at.values(self.n), logits)[:, None]
        return keep(top(logits) - n * (1 + SLACK) * deviation(logits), n > 0)

    def critical(self, logits: Array, token: int) -> Array:
        """The token's distance from the largest logit in deviations, over 1 + 1e-6; 0 for the maxima."""
        gap, sigma = top(logits) - gather(logits, token), deviation(logits) * (1 + SLACK)
        return gap / keep(sigma, sigma > 0, 1.0)


@dataclass(frozen=True)
class MinK(Cutoff, name="min_k"):
    """Keep what stands above the steepest drop of the sorted logits, drops counting less the deeper they lie.

    With l₁ ≥ … ≥ lₙ the logits that are left, the drop after place i weighs (lᵢ − lᵢ₊₁) / i, and the place of the
    heaviest one is how many stay: the earliest, where several are within one part in a million. But no fewer than
    ⌊tau / R⌋, where R = l₁ − lₙ: a row with little range is one that the model knows nothing of.
    tau: that fallback, in logits, ≥ 0; one, or one a row. inf is off, everything stays. Usual 3; 1 to 10 is said to
       matter little, for real rows have a range of 20 or more.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    The place of the drop does not move with a temperature before it; the fallback does, for R does.
    Ties: tokens that tie with the last to stay all stay. Rows of equal logits stay whole.
    Raises RecipeError if tau is negative.
    Source: Ding et al., "Min-k Sampling: Decoupling Truncation from Temperature Scaling via Relative Logit Dynamics",
    ACL 2026, arXiv:2604.11012, as a digest of it and vLLM's pull request 48142 (MinKLogitsProcessor) both give it.
    Example: logits [5, 4.5, 2, 1] drop by .5/1, 2.5/2 and 1/3, so min_k(3) keeps two; its fallback is ⌊3/4⌋ = 0.
    """

    tau: Numbers = parameter(">= 0, or inf (= off)", lambda t: t >= 0, unit="logits")

    neutral = {"tau": inf}
    examples = ({"tau": 3.0}, {"tau": 0.0}, {"tau": 40.0})
    steers = "tau", ">="

    def _cliff(self, down: Array) -> tuple[Array, Array, Array]:
        """How many stand above the drop, how many are left, and the range of the row; each (rows, 1), numbers."""
        xp = namespace(down)
        n = count(xp.isfinite(down))
        lowest = gather(down, n - 1)
        left = xp.maximum(down, lowest)  # nothing drops behind the last that is left
        drop = left[:, :-1] - left[:, 1:]
        weight = drop / xp.cumsum(xp.ones_like(drop), axis=-1)
        heaviest = xp.amax(weight, axis=-1, keepdims=True)
        place = first(weight >= heaviest * (1 - SLACK))[:, None] + xp.ones_like(down[:, :1])
        return place, n, down[:, :1] - lowest

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the last that stays."""
        xp = namespace(logits)
        if logits.shape[-1] < 2:
            return logits
        down = descending(logits)
        place, n, spread = self._cliff(down)
        tau = like(at.values(self.tau), logits)[:, None]
        floor = xp.floor(tau * (1 + SLACK) / keep(spread, spread > 0, 1.0))
        return gather(down, xp.maximum(place, xp.fmin(floor, n)) - 1)  # n too where the floor is inf / inf

    def critical(self, logits: Array, token: int) -> Array:
        """The token's rank times the row's range, over 1 + 1e-6; 0 for what stands above the drop."""
        xp = namespace(logits)
        rank = count(logits > gather(logits, token)) + xp.ones_like(logits[:, :1])
        if logits.shape[-1] < 2:
            return rank * 0
        place, _, spread = self._cliff(descending(logits))
        return keep(rank * spread / (1 + SLACK), rank > place, 0.0)
