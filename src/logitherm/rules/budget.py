"""Budgets: as hot as a given chance of leaving the nucleus allows; as far from the model as a given divergence allows.

With N a set of a row's tokens that holds the largest, and β = 1 / T, the log-odds of drawing outside N are
g(β) = log Σ_out exp(βl) − log Σ_in exp(βl). Its slope E[l | out] − E[l | in] is negative, so each odds below the flat
row's have exactly one β.

With p the model's probabilities and d what a chain added to its logits, the tokens left have q_s ∝ p · exp(s·d)
on the way from the model (s = 0) to the chain (s = 1). KL(q_s ‖ p) = s·E[d] − log Σ p · exp(s·d) rises with s, for its
slope is s · Var(d) under q_s. A chain of one temperature T has d = l/T − l, so q_s is the model at T′ with
1/T′ = 1 − s + s/T: the temperature nearest to T that the budget allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

from logitherm.arrays import Array, count, keep, like, log_softmax, namespace, only, top
from logitherm.rules.base import Numbers, Rule, Tempering, parameter
from logitherm.rules.rank import TopP
from logitherm.rules.root import NEAR, root
from logitherm.rules.target import hottest
from logitherm.state import At

COLDEST = 1e-9
"""The least temperature that is looked at: colder is greedy."""


def odds(logits: Array, members: Array, beta: Array) -> tuple[Array, Array]:
    """The log of Σ exp(β · l) over the members, and their mean l under those weights; each (rows, 1)."""
    xp = namespace(logits)
    members = keep(logits, members)
    most = top(members)
    w = xp.exp(beta * (members - most))
    mass = xp.sum(w, axis=-1, keepdims=True)
    return xp.log(mass) + beta * most, xp.sum(w * only(members, w > 0), axis=-1, keepdims=True) / mass


def solve(logits: Array, inside: Array, wanted: Array) -> Array:
    """The temperature (rows, 1) at which the tokens not inside have the wanted log-odds; 1 where there are none."""
    xp = namespace(logits)
    logits = logits - top(logits)
    outside = xp.isfinite(logits) & ~inside
    some = count(outside) > 0
    outside = xp.where(some, outside, inside)  # where there are none, nobody asks

    def off(u: Array) -> tuple[Array, Array]:
        """How far the log-odds are below the wanted ones at log β = u, and the slope of that."""
        beta = xp.exp(u)
        (stay, near), (out, far) = odds(logits, inside, beta), odds(logits, outside, beta)
        return wanted + stay - out, beta * (near - far)

    one, most = xp.ones_like(wanted), hottest(logits)
    low = -xp.log(most)
    flat = off(low)[0] >= 0
    u = root(off, low, xp.full_like(low, -log(COLDEST)), xp.zeros_like(low), flat | ~some)
    return xp.where(some, xp.where(flat, most, xp.exp(-u)), one)


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
    temperature of a given risk is unique; solved to 1e-12 in log-odds.
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


def strayed(log_p: Array, added: Array, s: Array) -> tuple[Array, Array]:
    """KL(q_s ‖ p) in nats, and its slope; each (rows, 1).

    log_p: the model's log-probabilities, -inf for what is not left. added: d, 0 there.
    """
    xp = namespace(log_p)
    z = log_p + s * added
    most = top(z)
    w = xp.exp(z - most)
    mass = xp.sum(w, axis=-1, keepdims=True)
    mean = xp.sum(w * added, axis=-1, keepdims=True) / mass
    away = added - mean
    return s * mean - most - xp.log(mass), s * xp.sum(w * away * away, axis=-1, keepdims=True) / mass


def share(log_p: Array, added: Array, kappa: Array) -> Array:
    """The largest s in [0, 1], (rows, 1), at which KL(q_s ‖ p) is at most kappa; 0 where none is."""
    xp = namespace(log_p)

    def off(s: Array) -> tuple[Array, Array]:
        """How far the divergence is above kappa, and its slope."""
        far, slope = strayed(log_p, added, s)
        return far - kappa, slope

    zero, one = xp.zeros_like(kappa), xp.ones_like(kappa)
    nowhere = off(zero)[0] >= -NEAR
    return root(off, zero, one, xp.where(nowhere, zero, one), nowhere)


@dataclass(frozen=True)
class DistortionBudget(Rule, name="distortion_budget"):
    """Take back as much of what the chain did before as makes the row differ from the model's own by at most kappa.

    kappa: the most that KL(q ‖ p) may be, nats, ≥ 0; one, or one a row, or a schedule. inf is neutral. Usual 0.01 to
       0.5. q is what a token is drawn from at this place, p the model's own distribution, before any rule: their KL is
       how many nats more likely, on average, q's own tokens are under q than under the model.
    A row within the budget is left as it is. Else its logits become (1 − s) · raw + s · received with the largest s in
    [0, 1] that the budget allows. After temperature(T) alone that is the temperature nearest to T within the budget.
    What was removed stays removed, and costs −log(the mass that is left): where that alone is over the budget s is 0,
    which leaves the tokens in the model's own proportions, as near as they can come. Put it after what it shall hold.
    logits (rows, vocabulary) float64 -> the same shape.
    Ties: tokens that tie before the chain and after it stay tied.
    Raises RecipeError if kappa is negative.
    Source: this project: KL(q_s ‖ p) rises with s (module docstring), so the largest s is unique; solved to 1e-12 nats.
    Example: p = [.8, .2] after temperature(2.0) is [2/3, 1/3], with KL = 2/3 · log(5/6) + 1/3 · log(5/3) = .0487. So
    distortion_budget(0.05) leaves it, distortion_budget(0.01) goes back to T = 1.315, which gives [.742, .258].
    """

    kappa: Numbers = parameter(">= 0, or inf (= off)", lambda k: k >= 0, unit="nats")

    neutral = {"kappa": inf}
    examples = ({"kappa": 0.05}, {"kappa": 0.0})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, nearer to the raw ones where they had gone too far."""
        xp = namespace(logits)
        alive = xp.isfinite(logits)
        kappa = like(at.values(self.kappa), logits)[:, None]
        raw = only(at.raw, alive)
        added = only(logits, alive) - raw
        s = share(keep(log_softmax(at.raw), alive), added, kappa)
        return xp.where(s < 1, keep(raw + s * added, alive), logits)
