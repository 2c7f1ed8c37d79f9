"""Target entropy: the one temperature at which a row has a wanted entropy.

With H(T) the entropy of softmax(l / T) and u = log T, dH/du is the varentropy of that distribution: H rises with T from
log m (m tokens tie for the largest logit) to log n (n tokens not removed), so every value between has exactly one T.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import Any

from logitherm.arrays import Array, count, entropy, keep, like, namespace, only, top
from logitherm.rules.base import Numbers, Tempering, parameter
from logitherm.rules.root import NEAR, root
from logitherm.state import At

COLD = log(1e-9)
"""The least log T that is looked at: colder is greedy."""


def hottest(logits: Array) -> Array:
    """A temperature, (rows, 1), at which any row is flat: 1e9, or 1e6 times the range of a row with more than 1000."""
    width = top(logits) + top(keep(-logits, namespace(logits).isfinite(logits)))
    return 1e6 * namespace(logits).clip(width, 1e3, 1e300)


def solve(logits: Array, h: Any) -> Array:
    """The temperature (rows, 1) at which each row's entropy is h nats; 0 or `hottest` where none is.

    The root is below range / √(8 · (log n − h)) (docs/theory.md), so in the bracket: h is 1e-12 from log n at least.
    """
    xp = namespace(logits)
    below = logits - top(logits)  # -inf where removed
    h = xp.zeros_like(below[:, :1]) + h
    cold = h <= xp.log(like(count(below == 0), h)) + NEAR
    hot = h >= xp.log(like(count(xp.isfinite(below)), h)) - NEAR

    def off(u: Array) -> tuple[Array, Array]:
        """The entropy less the wanted one, and the varentropy, at log T = u."""
        z = below * xp.exp(-u)
        w = xp.exp(z)
        z = only(z, w > 0)
        mass = xp.sum(w, axis=-1, keepdims=True)
        mean = xp.sum(w * z, axis=-1, keepdims=True) / mass
        return xp.log(mass) - mean - h, xp.sum(w * z * z, axis=-1, keepdims=True) / mass - mean * mean

    most = hottest(logits)
    u = root(off, xp.full_like(h, COLD), xp.log(most), xp.zeros_like(h), cold | hot)
    return xp.where(hot, most, xp.where(cold, xp.zeros_like(h), xp.exp(u)))


@dataclass(frozen=True)
class TargetEntropy(Tempering, name="target_entropy"):
    """Divide every logit by the temperature at which the row has an entropy of h nats.

    h: the wanted entropy of what this rule receives, nats, ≥ 0; one, or one a row. Usual 1 to 3. At or below log m,
       where m tokens tie for the largest logit, one token stays; at or above log n, where n are not removed, the row
       is uniform. There is no neutral setting. It holds every token to one entropy, which is a blunt default:
       entropy_cap leaves sure rows alone.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes. Multiplying all logits by a
    number changes nothing, while T is above 1e-6.
    Ties: m tokens that are the largest have an entropy of log m at least; for less the row is greedy, by the lowest id.
    Raises RecipeError if h is negative.
    Source: dH/dT = Var(l)/T³ ≥ 0 (docs/dynamic-temperature.md); solved to 1e-12 nats by Newton's method in log T.
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
        above = entropy(logits) > h + NEAR  # a flat row at its own entropy is not, whatever its last bit says
        if not bool(above.any()):
            return xp.ones_like(logits[:, :1])
        return keep(solve(logits, h), above, 1.0)
