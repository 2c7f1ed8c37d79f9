"""Temperatures that a row's statistics make, and how far they may be from those of the plain rules.

Nothing here decides: a temperature comes with the lowest and the highest that sums in another order could have made.
"""

from __future__ import annotations

import triton
import triton.language as tl

from logitherm.kernels import codes
from logitherm.kernels.gpu.passes import moments

LINEAR, INTERPOLATED = tl.constexpr(codes.LINEAR), tl.constexpr(codes.INTERPOLATED)

SUREST = tl.constexpr(1e-6)
"""Entropies below this count as this much, nats."""

ULP = tl.constexpr(2.0**-52)
"""Twice what one float64 operation may be off, relative to its result."""

RAISED = tl.constexpr(1e-12)
"""How far two ways to raise to a power may be apart: its logarithm is some tens, or the result is as good as 0."""

DEEP = tl.constexpr(750.0)
"""Weights of gaps beyond it are 0 in float64."""


@triton.jit
def loose(doubt, top, t):
    """How far the exponents x/t − top/t may be from those of the plain rules, given the relative doubt of t.

    0 for one given temperature: then both make the same bits. Else a gap is off by its share of the doubt, and both
    sides round x/t and top/t, each on its own t.
    """
    return 2.0 * doubt * (tl.abs(top.to(tl.float64) / t) + DEEP)


@triton.jit
def blur(doubt, top, t, n):
    """How far a sum of weights may be from that of the plain rules: relative to itself, and relative to the row's mass.

    The order of adding: their running sums go through n additions. Rounding x/t on another t: part of each weight. The
    doubt of t: a gap d moves by |d| · doubt, so a sum by Σ w·|d| · doubt at most, which is E|d| of the mass; and as
    H = log Z + E|d| is at most log n, so is E|d|. Two sums are compared, and twice that for safety.
    """
    rounding = tl.where(doubt > 0.0, ULP * (tl.abs(top.to(tl.float64) / t) + DEEP), 0.0)
    slack = (n + 256).to(tl.float64) * ULP + 8.0 * rounding
    return slack, 4.0 * doubt * (tl.log(n.to(tl.float64)) + 1.0)


@triton.jit
def within(t, least, most):
    """Clip as the plain rules do."""
    t = tl.where(t < least, least, t)
    return tl.where(t > most, most, t)


@triton.jit
def power(base, exponent):
    """The power of a base > 0, and 0 of 0."""
    return tl.where(base > 0.0, tl.exp(exponent * tl.log(tl.where(base > 0.0, base, 1.0))), 0.0)


@triton.jit
def interpolated(numbers, share):
    """The temperature low + (high − low) · share ^ exponent."""
    low, high = tl.load(numbers), tl.load(numbers + 1)
    return low + (high - low) * power(share, tl.load(numbers + 2))


@triton.jit
def exponential(numbers, entropy):
    """The temperature t0 · base ^ (theta / entropy)."""
    raised = tl.load(numbers + 1) / tl.maximum(entropy, SUREST)
    return tl.load(numbers) * power(tl.load(numbers + 2), raised)


@triton.jit
def heat(kind, numbers, row, n, top, t, cut, off, BLOCK: tl.constexpr):
    """The temperature that a dynamic rule makes of softmax(row / t) above a cut, the lowest it may be, and the highest.

    off: how far the exponents may be from the plain rules' (`loose`).
    With d = x/t − top/t and Z = Σ exp(d): H = log Z − E[d], the largest probability is 1 / Z, and the variance of the
    surprisal is E[d²] − E[d]². All terms of a sum have one sign, so each sum is off by its `share` at most.
    """
    mass, first, second, count = moments(row, n, top, t, cut, BLOCK)
    mean, square = first / mass, second / mass
    entropy, most = tl.maximum(tl.log(mass) - mean, 0.0), 1.0 / mass
    varentropy = tl.maximum(square - mean * mean, 0.0)
    share = off + (n // BLOCK + 64).to(tl.float64) * ULP  # theirs are added in pairs, a tree of small blocks
    unsure = 8.0 * share * (1.0 + entropy)
    options = tl.log(tl.maximum(count, 2).to(tl.float64))
    flatness = tl.where(count > 1, entropy / options, 0.0)
    unflat = tl.where(count > 1, unsure / options + 4.0 * ULP * flatness, 0.0)
    if kind == LINEAR:
        a, b = tl.load(numbers), tl.load(numbers + 1) * most
        c, d, e = tl.load(numbers + 2), tl.load(numbers + 3), tl.load(numbers + 4)
        own = a + b + c * entropy + d * flatness + e * varentropy
        doubt = 4.0 * share * tl.abs(b) + tl.abs(c) * unsure + tl.abs(d) * unflat
        doubt += tl.abs(e) * 32.0 * share * (1.0 + square)
        doubt += (
            8.0 * ULP * (tl.abs(a) + tl.abs(b) + tl.abs(c * entropy) + tl.abs(d * flatness) + tl.abs(e * varentropy))
        )
        least, greatest = tl.load(numbers + 5), tl.load(numbers + 6)
        low, high = within(own - doubt, least, greatest), within(own + doubt, least, greatest)
        own = within(own, least, greatest)
    elif kind == INTERPOLATED:
        own = interpolated(numbers, flatness)
        one = interpolated(numbers, tl.maximum(flatness - unflat, 0.0))
        other = interpolated(numbers, flatness + unflat)
        doubt = 16.0 * ULP * (tl.abs(tl.load(numbers)) + tl.abs(tl.load(numbers + 1)))
        low, high = tl.minimum(one, other) - doubt, tl.maximum(one, other) + doubt
    else:
        own = exponential(numbers, entropy)
        low = exponential(numbers, tl.maximum(entropy - unsure, 0.0)) * (1.0 - RAISED)
        high = exponential(numbers, entropy + unsure) * (1.0 + RAISED)
    return own, low, high
