"""The first look at a row, and what else can be had from it: the weights' sums at a temperature known by then, or the
entropy. Looking once instead of twice saves the time that a row takes to come from memory.

The largest logit is not known before the end, so each chunk counts from its own largest, most: the weight of x is
2^(x · scale − rint(most · scale)). Afterwards the chunks are brought to one scale by powers of two, which float32 and
float64 multiply by exactly.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.cpu.blocks import fetch_ahead, largest
from logitherm.kernels.cpu.lanes import CHUNK, DOUBLE, FLOAT, WIDTH, Lanes, over_arrays, over_chunks, pairwise
from logitherm.kernels.cpu.rows import ADDITION, EXACT_SUM, ROUGH_SUM, read_rest
from logitherm.kernels.cpu.weights import JIT, LOG2E, NONE, PART, ROUGH, SHIFT32, SHIFT64, rough

REACH = 120.0
"""Below 2^−REACH of a chunk's largest weight, weights count as that."""

FAINTEST = 800.0
"""Chunks below 2^−FAINTEST of the largest count as nothing. Their sums go down to 2^−130 of their own largest weight,
and float64 ends at 2^−1022."""

GAP_SUM = ROUGH + 5 * ADDITION
"""Bounds the relative error of a chunk's Σ w · (x − most): the weight's, a difference, a product, three additions."""


def _whole(most: Lanes, high: Lanes) -> Lanes:
    """The rounded most · scale, a whole number in float32: `high` is scale · 2^PART."""
    return most.fma(high * 2.0**-PART, SHIFT32) - SHIFT32


def _weights(chunk: list[Lanes], most: Lanes, high: Lanes, low: Lanes, reach: Lanes) -> list[Lanes]:
    shift = _whole(most, high).fma(-(2.0**PART), SHIFT32)
    return [rough(x, high, low, shift, most - reach) for x in chunk]


@over_chunks(types.float64)
def own_sum(chunk: list[Lanes], most: Lanes, *scale: Lanes) -> Sequence[Any]:
    """The sum of the weights, from the chunk's own scale."""
    return [pairwise(_weights(chunk, most, *scale), operator.add).widened().total()]


@over_chunks(types.float64, types.float64)
def own_sums(chunk: list[Lanes], most: Lanes, high: Lanes, low: Lanes, reach: Lanes) -> Sequence[Any]:
    """The same, and the sum of weight · (x − most)."""
    weights = _weights(chunk, most, high, low, reach)
    gaps = [(x.or_more(most - reach) - most) * w for x, w in zip(chunk, weights, strict=True)]
    return [pairwise(terms, operator.add).widened().total() for terms in (weights, gaps)]


@over_arrays(types.float64, [FLOAT, DOUBLE], [DOUBLE])
def to_one_scale(most: Lanes, total: Lanes, high: Lanes, c: Lanes) -> Sequence[Lanes]:
    """Write the chunks' sums as if all had counted from C; returns their sum."""
    gap = _whole(most, high).widened() - c
    live = gap > -FAINTEST
    power = total.constant(1.0).times_two_to(gap.where(live, 0.0) + SHIFT64)
    scaled = (total * power).where(live, 0.0)  # a sum may be 0, whose exponent says nothing: so not by its bits
    return [scaled, scaled]


@over_arrays(types.float64, [FLOAT, DOUBLE], [])
def weighted(most: Lanes, total: Lanes) -> Sequence[Lanes]:
    """The sum of sum · largest over chunks."""
    return [(most.widened() * total).where(total > 0.0, 0.0)]


@over_arrays(types.float64, [FLOAT, DOUBLE], [])
def strayed(most: Lanes, total: Lanes, mean: Lanes) -> Sequence[Lanes]:
    """The sum of sum · |largest − mean| over chunks."""
    off = most.widened() - mean
    return [(off.where(off > 0.0, -off) * total).where(total > 0.0, 0.0)]


@njit(**JIT)
def constants(t):
    """What the first look takes of a temperature."""
    scale = LOG2E / t * 2**PART
    high = np.float32(scale)
    return high, np.float32(scale - np.float64(high)), np.float32(REACH * t / LOG2E)


@njit(**JIT)
def read_and_weigh(row, t, maxima, tail, sums):
    """`rows.read`, and each chunk's rough sum of weights at temperature t, from its own scale.

    The largest of a chunk is sought while the one before it is weighed: else all would wait for it.
    """
    full, scale = row.shape[0] // CHUNK, constants(t)
    top, bad = NONE, False
    for chunk in range(full + 1):
        if chunk < full:
            fetch_ahead(row, chunk * CHUNK)
            maxima[chunk], nan = largest(row, chunk * CHUNK, ())
            bad |= nan
            top = maxima[chunk] if maxima[chunk] > top else top
        if chunk > 0:
            sums[chunk - 1] = own_sum(row, (chunk - 1) * CHUNK, (maxima[chunk - 1], *scale))
    chunks, top, bad = read_rest(row, full, maxima, tail, top, bad)
    if full < chunks:
        sums[full] = own_sum(tail, 0, (maxima[full], *scale))
    sums[chunks : maxima.shape[0]] = 0.0
    return top, chunks, not bad and top < np.inf


@njit(**JIT)
def read_and_measure(row, t, maxima, tail, sums, gaps):
    """The same, and each chunk's sum of weight · (x − largest)."""
    full, scale = row.shape[0] // CHUNK, constants(t)
    top, bad = NONE, False
    for chunk in range(full + 1):
        if chunk < full:
            fetch_ahead(row, chunk * CHUNK)
            maxima[chunk], nan = largest(row, chunk * CHUNK, ())
            bad |= nan
            top = maxima[chunk] if maxima[chunk] > top else top
        if chunk > 0:
            sums[chunk - 1], gaps[chunk - 1] = own_sums(row, (chunk - 1) * CHUNK, (maxima[chunk - 1], *scale))
    chunks, top, bad = read_rest(row, full, maxima, tail, top, bad)
    if full < chunks:
        sums[full], gaps[full] = own_sums(tail, 0, (maxima[full], *scale))
    sums[chunks : maxima.shape[0]] = 0.0
    gaps[chunks : maxima.shape[0]] = 0.0
    return top, chunks, not bad and top < np.inf


@njit(**JIT)
def settled(top, t, maxima, sums):
    """Bring the sums to the scale of `weights.scales`; returns their total."""
    c = np.rint(np.float64(top) * (LOG2E / t))
    return to_one_scale((maxima, sums, sums), maxima.shape[0] // WIDTH, (constants(t)[0], c))


@njit(**JIT)
def entropy(top, t, maxima, sums, gaps):
    """The entropy (nats) and largest probability of softmax(row / t) after `read_and_measure`; bounds on their errors.

    With M the chunks' largest logits, p their shares of the mass and A = Σ w · (x − M) / Z: E[x] = Σ p · M + A and
    H = log Z − (E[x] − top) / t. Relative errors e of a chunk's mass and f of its A move E[x] by Σ p · e · (M − E[x])
    and by f · A, and log Z by e; so the error is bounded by what comes out of the sums themselves.
    """
    sixteens, c = maxima.shape[0] // WIDTH, np.rint(np.float64(top) * (LOG2E / t))
    scale = constants(t)[0], c
    mass = to_one_scale((maxima, sums, sums), sixteens, scale)
    gap = to_one_scale((maxima, gaps, gaps), sixteens, scale) / mass
    mean = weighted((maxima, sums), sixteens, ()) / mass + gap
    stray = strayed((maxima, sums), sixteens, (mean,)) / mass
    unit = mass * 2.0 ** (c - np.float64(top) * (LOG2E / t))  # Z: the largest token counts as 1
    found = max(0.0, math.log(unit) - (mean - np.float64(top)) / t)
    doubt = ROUGH_SUM + (ROUGH_SUM * stray - GAP_SUM * gap) / t
    return found, 1.0 / unit, 1.001 * doubt + EXACT_SUM, 1.001 * ROUGH_SUM / unit
