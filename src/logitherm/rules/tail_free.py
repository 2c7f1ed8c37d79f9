"""A cutoff where the sorted probabilities stop bending: the tail begins where their second differences end."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from logitherm.arrays import Array, count, descending, gather, keep, like, namespace, softmax
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At

STRAIGHT = 1e-6
"""A row whose second differences sum to no more is straight: each then counts the same."""


def bend(down: Array) -> Array:
    """(rows, vocabulary) for each place of logits sorted downwards, the part of the bend that lies before it.

    It is 0 at the first place; for place i (from 1) it is Σ_{j≤i} |pⱼ₋₁ − 2 pⱼ + pⱼ₊₁| over the sum of all, inf at
    the last, which has none of its own and never stays. Rows with fewer than three tokens left have 0 everywhere.
    """
    xp = namespace(down)
    n = count(xp.isfinite(down))
    p = softmax(down)
    rank = xp.cumsum(xp.ones_like(p), axis=-1)
    inner, short = rank[:, 1:] < n, n < 3
    beyond = xp.concatenate([p, xp.zeros_like(p[:, :1])], axis=-1)[:, 2:]
    sharp = keep(xp.abs(p[:, :-1] - 2 * p[:, 1:] + beyond), inner, 0.0)
    straight = xp.sum(sharp, axis=-1, keepdims=True) <= STRAIGHT
    sharp = xp.where(straight, like(inner, sharp), sharp)
    part = sharp / xp.where(short, n, xp.sum(sharp, axis=-1, keepdims=True))
    before = xp.concatenate([xp.zeros_like(p[:, :1]), xp.cumsum(part, axis=-1)], axis=-1)
    return keep(before, (rank < n) | short, inf)


@dataclass(frozen=True)
class Tfs(Cutoff, name="tfs"):
    """Keep tokens until the sorted probabilities have spent a part z of their bend (tail-free sampling).

    With p₀ ≥ p₁ ≥ … ≥ pₙ₋₁ the probabilities of what is left, the bend at place i is |pᵢ₋₁ − 2 pᵢ + pᵢ₊₁| over the sum
    of all bends. Place 0 stays; place i stays iff the bends at 1 … i sum to at most z; the last place never stays.
    z: that part, in [0, 1]; one, or one a row. 1 is off. Usual 0.9 to 0.99; smaller is stricter.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens that tie with the last to stay all stay. A row of fewer than three tokens is left as it is; where all
    bends sum to at most 1e-6 they count alike. A sum that meets z to a millionth is within it.
    Raises RecipeError if z is outside [0, 1].
    Source: Bricken, "Tail Free Sampling", trentbrick.github.io/Tail-Free-Sampling, as TailFreeLogitsWarper of
    text-generation-webui has it (modules/sampler_hijack.py, 1dcde41d); what happens in rows that are short or straight
    is koboldcpp's (gpttype_adapter.cpp, sample_tail_free).
    Example: p = [.5, .25, .15, .1] bends by .15 at place 1 and .05 at place 2, of .2: parts .75 and .25. So tfs(0.8)
    keeps places 0 and 1, tfs(0.5) place 0.
    """

    z: Numbers = parameter("in [0, 1]", lambda z: 0 <= z <= 1, unit="part of the bend")

    neutral = {"z": 1.0}
    examples = ({"z": 0.95}, {"z": 0.5}, {"z": 0.0})
    steers = "z", ">="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the last place that stays; the lowest of all where z is 1."""
        down = descending(logits)
        z = like(at.values(self.z), logits)[:, None]
        inside = (bend(down) <= z + SLACK) | (z >= 1)
        return gather(down, count(inside) - 1)

    def critical(self, logits: Array, token: int) -> Array:
        """The bend before the token, less 1e-6; 1 for the last, which stays only where the rule is off."""
        spent = gather(bend(descending(logits)), count(logits > gather(logits, token)))
        return namespace(logits).clip(spent - SLACK, 0.0, 1.0)
