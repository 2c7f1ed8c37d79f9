"""A temperature from a budget of risk: as hot as a given chance of leaving the nucleus allows.

With N a set of a row's tokens that holds the largest, and β = 1 / T, the log-odds of drawing outside N are
g(β) = log Σ_out exp(βl) − log Σ_in exp(βl). Its slope E[l | out] − E[l | in] is negative, so each odds below the flat
row's have exactly one β.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

from logitherm.arrays import Array, count, keep, like, namespace, top
from logitherm.rules.base import Numbers, Tempering, parameter
from logitherm.rules.rank import TopP
from logitherm.state import At

TOLERANCE, PASSES = 1e-13, 100
"""How far from the wanted log-odds, over 1 + their size, a solution may be; and the most passes. Few are used."""

HOTTEST, NEARLY = 1e9, 1e-6
"""The temperature of a flat row; log-odds within the second of the flat row's are taken for them."""


def odds(gap: Array, members: Array, beta: Array) -> tuple[Array, Array]:
    """The log of Σ exp(−β · gap) over the members, and their mean gap under those weights; each (rows, 1)."""
    xp = namespace(gap)
    least = xp.amin(keep(gap, members, inf), axis=-1, keepdims=True)
    least = keep(least, least < inf, 0.0)
    w = keep(xp.exp(-beta * keep(gap - least, members, 0.0)), members, 0.0)
    total = xp.sum(w, axis=-1, keepdims=True)
    total = keep(total, total > 0, 1.0)  # a row without members, which nobody asks about
    return xp.log(total) - beta * least, xp.sum(w * keep(gap, members, 0.0), axis=-1, keepdims=True) / total


def solve(logits: Array, inside: Array, wanted: Array) -> Array:
    """The temperature (rows, 1) at which the log-odds of the tokens not inside are as wanted; 1 where there are none.

    Newton in β inside a bracket that bisection shrinks; a row that is solved stays as it is while others go on.
    """
    xp = namespace(logits)
    alive = xp.isfinite(logits)
    gap, outside = keep(top(logits) - logits, alive, 0.0), alive & ~inside
    inside = alive & inside
    one = xp.ones_like(gap[:, :1])
    some = count(outside) > 0
    flat = xp.log(keep(one * count(outside), some, 1.0)) - xp.log(one * count(inside))
    done = ~some | (wanted >= flat - NEARLY)
    low, high, beta = one / HOTTEST, one * HOTTEST, one
    for _ in range(PASSES):
        if bool(done.all()):
            break
        (out, far), (stay, near) = odds(gap, outside, beta), odds(gap, inside, beta)
        error, slope = out - stay - wanted, far - near  # the slope of −g
        low, high = xp.where(error > 0, beta, low), xp.where(error > 0, high, beta)
        newton = beta + error / keep(slope, slope > 0, 1.0)
        good = (slope > 0) & (newton > low) & (newton < high)
        done = done | (xp.abs(error) <= TOLERANCE * (1 + xp.abs(wanted))) | (high - low <= TOLERANCE * low)
        beta = xp.where(done, beta, xp.where(good, newton, xp.sqrt(low * high)))
    t = keep(1 / beta, wanted < flat - NEARLY, HOTTEST)
    return keep(t, some, 1.0)


@dataclass(frozen=True)
class RiskBudget(Tempering, name="risk_budget"):
    """Divide by the temperature at which a draw falls outside the row's top-p nucleus with probability rho.

    rho: that probability, in (0, 1]; one, or one a row. Usual 0.01 to 0.2. At or above what a flat row has, which is
       the part of tokens outside, the row becomes flat. There is no neutral setting.
    p: the mass that the nucleus reaches, in (0, 1], 0.9 unless given; one, or one a row. The nucleus is that of
       top_p(p) on what this rule receives, before any heat. Where it is the whole row there is nothing to risk: T = 1.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes, and none is removed. Every
    draw of a text has the same risk: over n draws the chance of any outside is at most n · rho.
    Ties: tokens of one logit are in the nucleus together or not at all.
    Raises RecipeError if rho or p is outside (0, 1].
    Source: this project: the mass outside a fixed upper set never falls as T rises (module docstring), so the
    temperature of a given risk is unique; solved to 1e-13 in log-odds.
    Example: p = [.4, .4, .1, .1] has the nucleus of the first two for p = 0.5; their odds against the others are
    4^(1/T), so risk_budget(0.2, 0.5) uses T = 1 (odds 4), and a rho of 1/3 uses T = 2 (odds 2).
    """

    rho: Numbers = parameter("in (0, 1]", lambda r: 0 < r <= 1, unit="probability")
    p: Numbers = parameter("in (0, 1]", lambda p: 0 < p <= 1, unit="probability mass", default=0.9)

    examples = ({"rho": 0.13, "p": 0.8}, {"rho": 0.011}, {"rho": 0.37, "p": 0.3})

    def temperature(self, logits: Array, at: At) -> Array:
        """The root, (rows, 1)."""
        inside = logits >= TopP(self.p).cutoff(logits, at)
        wanted = [log(rho / (1 - rho)) if rho < 1 else inf for rho in at.values(self.rho)]
        return solve(logits, inside, like(wanted, logits)[:, None])
