"""The weight of a token: w(x) = 2^(x · scale − C), with scale = log2(e) / T and C = rint(largest · scale).

Two ways to compute the same real number. `rough` is float32, with a relative error of at most ROUGH; `exact` is
float64. Both count from the same C, so that their sums may be mixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from logitherm.kernels.cpu.lanes import Lanes, looks_up

JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

LOG2E = 1.4426950408889634
NONE = np.float32(-np.inf)
LOWEST = np.float32(-3.4028234663852886e38)
"""The lowest logit that is one: tokens at or above it have not been removed."""

ROUGH = 2e-7
"""Bounds the relative error of `rough`; a test measures it over arguments of all sizes."""

SHIFT32, SHIFT64 = float(np.float32(1.5 * 2**23)), 1.5 * 2**52
"""Added to a number they round it to an integer, which then stands in the low bits."""

COLD = 1e5
"""Above this |C| float32 cannot reduce the argument, and every weight is computed exactly."""

FARTHEST = 1000.0
"""Weights below 2^−FARTHEST of the largest count as nothing."""


def _fit(degree: int) -> list[float]:
    """The coefficients of 2^f on [−1/2, 1/2], highest power first, by interpolation at Chebyshev's points."""
    f = np.cos(np.pi * (np.arange(64) + 0.5) / 64) / 2
    fitted = np.polynomial.Chebyshev.fit(f, np.exp2(f), degree, domain=[-0.5, 0.5])
    return [float(c) for c in fitted.convert(kind=np.polynomial.Polynomial).coef[::-1]]


POWERS32 = [float(np.float32(c)) for c in _fit(6)]
POWERS64 = _fit(11)

PART = 5 if looks_up() else 0
"""`rough` rounds its argument to so many bits behind the point: 2⁵ powers of two are looked up, the rest is a parabola.
Without the instruction for that it rounds to whole numbers, and the rest is a polynomial of degree 6."""


def _table() -> list[int]:
    """The bits of 2^(j/32) in float32, less what j itself adds when an exponent is put together from 32 n + j."""
    places = np.arange(32)
    found: list[int] = (np.exp2(places / 32).astype(np.float32).view(np.int32) - (places << 18)).tolist()
    return found


def _parabola() -> list[float]:
    """The coefficients a, b in 2^(f/32) − 1 ≈ f · (b + a f) on [−1/2, 1/2], by least squares at Chebyshev's points."""
    f = np.cos(np.pi * (np.arange(64) + 0.5) / 64) / 2
    fitted = np.linalg.lstsq(np.stack([f**2, f], axis=1), np.exp2(f / 32) - 1, rcond=None)[0]
    return [float(np.float32(c)) for c in fitted]


TABLE, PARABOLA = _table(), _parabola()


@njit(**JIT)
def scales(largest, t):
    """The constants of `rough` and of `exact` for a row and a temperature, and whether float32 can serve at all."""
    scale = LOG2E / t
    c = np.rint(largest * scale)
    high = np.float32(scale * 2**PART)
    low = np.float32(scale * 2**PART - np.float64(high))
    floor = max(np.float32((c - 125.0) / scale), LOWEST)
    floor = min(floor, np.nextafter(largest, NONE))  # the largest itself always counts
    wide = np.float64(largest)
    return (
        (high, low, np.float32(SHIFT32 - c * 2**PART), floor),
        (wide, scale, wide * scale - c),
        abs(c) < COLD and np.isfinite(high),
    )


def polynomial(x: Lanes, coefficients: list[float]) -> Lanes:
    """Horner's rule with fused steps."""
    value = x.constant(coefficients[0])
    for c in coefficients[1:]:
        value = value.fma(x, c)
    return value


def rough(x: Lanes, high: Lanes, low: Lanes, shift: Lanes, floor: Lanes) -> Lanes:
    """The weight in float32; a removed token weighs about 2⁻¹²⁵ instead of nothing.

    x · scale is split as x · high + x · low, so that its distance from the nearest integer keeps all its digits.
    """
    x = x.or_more(floor)
    n = x.fma(high, shift)
    f = x.fma(low, x.fma(high, -(n - shift)))
    if PART:
        power = n.entry_of(TABLE).times_two_to(n, PART)
        return power.fma(polynomial(f, PARABOLA) * f, power)
    return polynomial(f, POWERS32).times_two_to(n)


def exact(x: Lanes, largest: Lanes, scale: Lanes, rest: Lanes) -> Lanes:
    """The weight in float64, 0 for a removed token."""
    y = (x.widened() - largest) * scale
    live = y > -FARTHEST
    y = y.where(live, 0.0) + rest
    n = y + SHIFT64
    f = y - (n - SHIFT64)
    return polynomial(f, POWERS64).times_two_to(n).where(live, 0.0)
