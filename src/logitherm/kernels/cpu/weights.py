"""The weight of a token: w(x) = 2^(x · scale − C), with scale = log2(e) / T and C = rint(largest · scale).

Two ways to compute the same real number. `rough` is float32, with a relative error of at most ROUGH; `exact` is
float64. Both count from the same C, so that their sums may be mixed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from logitherm.kernels.cpu.lanes import Lanes, looks_up

OWNING: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""How functions are compiled that make arrays or return them."""

JIT: dict[str, Any] = {**OWNING, "_nrt": False}
"""How all others are: without counting who refers to an array, which took 1.7 µs of a step."""

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


PART64 = 4 if PART else 0
"""The same for `exact`: 2⁴ powers of two, and a polynomial of degree 5 instead of 11."""


def _table(part: int, numbers: Any, whole: Any, mantissa: int) -> list[int]:
    """The bits of 2^(j / 2^part), less what j itself adds when an exponent is put together from 2^part · n + j."""
    places = np.arange(2**part)
    powers = np.exp2(places / 2**part).astype(numbers).view(whole)
    found: list[int] = (powers - (places << (mantissa - part))).tolist()
    return found


def _small(part: int, degree: int) -> list[float]:
    """The coefficients of (2^(f / 2^part) − 1) / f on [−1/2, 1/2], by least squares at Chebyshev's points."""
    f = np.cos(np.pi * (np.arange(64) + 0.5) / 64) / 2
    powers = np.stack([f**k for k in range(degree, 0, -1)], axis=1)
    found: list[float] = np.linalg.lstsq(powers, np.expm1(f * math.log(2) / 2**part), rcond=None)[0].tolist()
    return found


TABLE32, SMALL32 = _table(5, np.float32, np.int32, 23), [float(np.float32(c)) for c in _small(5, 2)]
TABLE64, SMALL64 = _table(4, np.float64, np.int64, 52), _small(4, 5)


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
        power = n.entry_of(TABLE32).times_two_to(n, PART)
        return power.fma(polynomial(f, SMALL32) * f, power)
    return polynomial(f, POWERS32).times_two_to(n)


def exact(x: Lanes, largest: Lanes, scale: Lanes, rest: Lanes) -> Lanes:
    """The weight in float64, 0 for a removed token."""
    y = (x.widened() - largest) * scale
    live = y > -FARTHEST
    y = y.where(live, 0.0) + rest
    n = y.fma(2.0**PART64, SHIFT64)
    f = y.fma(2.0**PART64, -(n - SHIFT64))
    if PART64:
        power = n.entry_of(TABLE64).times_two_to(n, PART64)
        return power.fma(polynomial(f, SMALL64) * f, power).where(live, 0.0)
    return polynomial(f, POWERS64).times_two_to(n).where(live, 0.0)
