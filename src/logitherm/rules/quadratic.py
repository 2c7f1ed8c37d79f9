"""Quadratic smoothing: bend the logits below the largest, flat near the top and steep in the tail."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from logitherm.arrays import Array, namespace, only, top
from logitherm.rules.base import Numbers, Rule, parameter
from logitherm.state import At


@dataclass(frozen=True)
class Quadratic(Rule, name="quadratic"):
    """Replace a logit that lies d below the largest by largest − factor · (k · d² + s · d³).

    Here k = (3 − curve) / 2 and s = (curve − 1) / 2, so k + s = 1: a token one below the largest lands `factor` below.
    Nearer ones come closer to the top, further ones go down faster: hot among rivals, cold in the tail.
    factor: how steep, per logit, ≥ 0 and finite; one, or one a row. 0 is off. Usual 0.2 to 0.5.
    curve: from 1, the square alone (unless given), to 3, the cube alone; one, or one a row. Beyond either end the order
       of tokens could turn over, so it is refused.
    logits (rows, vocabulary) float64 -> the same shape; the largest keeps its value, removed tokens stay removed, the
    order of tokens never changes.
    Ties stay ties.
    Raises RecipeError if factor is negative or infinite, or curve outside [1, 3].
    Source: kalomaze's smoothing_factor and smoothing_curve; QuadraticSamplingLogitsWarper of text-generation-webui
    (modules/sampler_hijack.py, 1dcde41d), there with the largest logit of the whole batch.
    Example: quadratic(0.5) on logits [3, 2, 1, 0] gives [3, 2.5, 1, -1.5]; with curve=3 it gives [3, 2.5, -1, -10.5].
    """

    factor: Numbers = parameter("a finite number >= 0 (0 = off)", lambda f: 0 <= f < inf, unit="1 over a logit")
    curve: Numbers = parameter("in [1, 3]", lambda c: 1 <= c <= 3, unit="1", default=1.0)

    neutral = {"factor": 0.0}
    examples = ({"factor": 0.3}, {"factor": 0.2, "curve": 2.0}, {"factor": 0.05, "curve": 3.0})

    def apply(self, logits: Array, at: At) -> Array:
        """The bent logits."""
        xp = namespace(logits)
        factor, curve = at.column(self.factor), at.column(self.curve)
        alive = xp.isfinite(logits)
        d = only(top(logits) - logits, alive)
        bent = top(logits) - factor * d * d * ((3 - curve) / 2 + (curve - 1) / 2 * d)
        return xp.where(alive & (factor > 0), bent, logits)
