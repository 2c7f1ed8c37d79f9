"""Where a rising function of one number a row is zero: Newton's steps inside a bracket, which cannot run away."""

from __future__ import annotations

from collections.abc import Callable

from logitherm.arrays import Array, namespace

NEAR, PASSES = 1e-12, 100
"""How far from zero a value may be; and the most passes. Few are used."""


def root(f: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, start: Array, known: Array) -> Array:
    """The place in [low, high] at which each row's f is 0, to 1e-12; all are (rows, 1).

    f: its values and slopes at such places; each row's value rises with its place, negative at low, positive at high.
    start: where to begin, within the bracket.
    known: true for the rows whose start is the answer.

    Each pass shrinks the bracket, and goes on at its middle where Newton's step would leave it or is too small to move.
    It ends where the bracket has closed, so at high where the value there is negative and it began there; and after 100
    passes anyhow. A row that is solved stays as it is while others go on, so rows do not see each other.
    """
    xp, x = namespace(start), start
    for _ in range(PASSES):
        if bool(known.all()):
            break
        error, slope = f(x)
        below = error < 0
        low, high = xp.where(below, x, low), xp.where(below, high, x)
        inside = xp.abs(error) < slope * (high - low)  # x is one end: the step stays on this side of the other
        newton = x - error / xp.where(inside, slope, xp.ones_like(slope))
        step = xp.where(inside & (newton != x), newton, (low + high) / 2)
        known = known | (xp.abs(error) <= NEAR) | (step == x)
        x = xp.where(known, x, step)
    return x
