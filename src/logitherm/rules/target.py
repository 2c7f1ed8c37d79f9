"""Target entropy: the one temperature at which a row has a wanted entropy.

With H(T) the entropy of softmax(l / T) and u = log T, dH/du is the varentropy of that distribution: H rises with T from
log m (m tokens tie for the largest logit) to log n (n tokens not removed), so every value between has exactly one T.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import Any

from logitherm.arrays import Array, count, entropy, keep, like, namespace, top
from logitherm.rules.base import Numbers, Tempering, parameter
from logitherm.state import At

TOLERANCE = 1e-12
"""How far from the wanted entropy a solution may be, nats."""

PASSES = 80
"""The most passes over a row; about seven are usual."""

COLD, HOT = log(1e-9), log(1e9)
"""The bounds of log T: colder is greedy, hotter is uniform."""


def solve(logits: Array, h: Any) -> Array:
    """The temperature (rows, 1) at which each row's entropy is h nats; 0 or 1e9 where none is.

    Newton in log T inside a bracket that bisection shrinks: the entropy is monotone but not convex in log T, so that
    Newton alone may run away. A row that is solved stays as it is while others go on, so rows do not see each other.
    """
    xp = namespace(logits)
    gap = top(logits) - logits  # +inf where removed
    alive = xp.isfinite(logits)
    gap = keep(gap, alive, 0.0)
    zero = xp.zeros_like(gap[:, :1])
    h = zero + h
    ties, n = count(alive & (gap == 0)), count(alive)
    low, high, u = zero + COLD, zero + HOT, zero
    done = (h <= xp.log(ties * xp.ones_like(zero)) + TOLERANCE) | (h >= xp.log(n * xp.ones_like(zero)) - TOLERANCE)
    for _ in range(PASSES):
        if bool(done.all()):
            break
        z = -gap * xp.exp(-u)
        weight = keep(xp.exp(z), alive, 0.0)
        total = xp.sum(weight, axis=-1, keepdims=True)
        mean = xp.sum(weight * z, axis=-1, keepdims=True) / total
        error = xp.log(total) - mean - h
        slope = xp.sum(weight * z * z, axis=-1, keepdims=True) / total - mean * mean
        low, high = xp.where(error < 0, u, low), xp.where(error < 0, high, u)
        newton = u - error / xp.where(slope > TOLERANCE, slope, xp.ones_like(slope))
        inside = (slope > TOLERANCE) & (newton > low) & (newton < high)
        done = done | (xp.abs(error) <= TOLERANCE) | (high - low < TOLERANCE)
        u = xp.where(done, u, xp.where(inside, newton, (low + high) / 2))
    t = xp.exp(u)
    t = keep(t, h > xp.log(ties * xp.ones_like(zero)) + TOLERANCE, 0.0)
    return keep(t, (h < xp.log(n * xp.ones_like(zero)) - TOLERANCE) | (t == 0), 1e9)


@dataclass(frozen=True)
class TargetEntropy(Tempering, name="target_entropy"):
    """Divide every logit by the temperature at which the row has an entropy of h nats.

    h: the wanted entropy of what this rule receives, nats, ≥ 0; one, or one a row. Usual 1 to 3. At or below log m,
       where m tokens tie for the largest logit, one token stays; at or above log n, where n are not removed, the row
       is uniform. There is no neutral setting. It holds every token to one entropy, which is a blunt default:
       entropy_cap leaves sure rows alone.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes. Multiplying all logits by a
    number changes nothing.
    Raises RecipeError if h is negative.
    Source: dH/dT = Var(l)/T³ ≥ 0 (docs/dynamic-temperature.md); solved to 1e-12 nats.
    Example: target_entropy(0.5) on logits [1, 2, 3, 4] uses T = .532303107418.
    """

    h: Numbers = parameter("a finite number >= 0", lambda h: 0 <= h < inf, unit="nats")

    examples = ({"h": 0.5}, {"h": 2.0}, {"h": 0.0})

    def temperature(self, logits: Array, at: At) -> Array:
        """The root, (rows, 1)."""
        return solve(logits, at.column(self.h))


@dataclass(frozen=True)
class EntropyCap(Tempering, name="entropy_cap"):
    """Cool the rows whose entropy is above h nats down to h, and leave the others alone.

    h: the highest entropy, nats, ≥ 0; one, or one a row. inf is neutral. Usual 1 to 4.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes.
    Raises RecipeError if h is negative.
    Source: the one-sided form of target_entropy; solved to 1e-12 nats.
    Example: logits [1, 2, 3, 4] have an entropy of .9475, so entropy_cap(0.5) uses T = .5323 and entropy_cap(1) uses 1.
    """

    h: Numbers = parameter(">= 0, or inf (= off)", lambda h: h >= 0, unit="nats")

    neutral = {"h": inf}
    examples = ({"h": 0.5}, {"h": 1.5})

    def temperature(self, logits: Array, at: At) -> Array:
        """The root where the entropy is above h, 1 elsewhere."""
        xp = namespace(logits)
        h = like(at.values(self.h), logits)[:, None]
        above = entropy(logits) > h
        if not bool(above.any()):
            return xp.ones_like(logits[:, :1])
        return keep(solve(logits, h), above, 1.0)
