"""Once over a row: what several rules need to know of it.

Sums are kept apart for each place of a block and added up at the end, so a number goes through n / BLOCK additions one
after another and then a tree.
"""

from __future__ import annotations

import triton
import triton.language as tl

from logitherm.kernels.gpu.keys import HIGHEST, LOWEST, block


@triton.jit
def gap(x, top, t):
    """x/t − top/t in float64, as the plain rules divide and then subtract."""
    return x.to(tl.float64) / t - top.to(tl.float64) / t


@triton.jit
def weight(x, kept, top, t):
    """exp(x/t − top/t) in float64, 0 where not kept. At an infinite temperature every kept token weighs 1."""
    return tl.where(kept, tl.exp(gap(tl.where(kept, x, top), top, t)), 0.0)


@triton.jit
def read(row, n, BLOCK: tl.constexpr):
    """The largest key, and whether the row can be drawn from: no NaN, no +inf, something left."""
    most = tl.full([BLOCK], LOWEST - 1, tl.int32)
    bad = tl.zeros([BLOCK], tl.int32)
    for begin in range(0, n, BLOCK):
        _, x, key = block(row, begin, n, BLOCK)
        bad |= ((x != x) | (x == float("inf"))).to(tl.int32)
        most = tl.maximum(most, key)
    top_key = tl.max(most, axis=0)
    return top_key, (tl.max(bad, axis=0) == 0) & (top_key >= LOWEST)


@triton.jit
def whole(row, n, top, t, cut, BLOCK: tl.constexpr):
    """The tokens at or above the cut: their mass, how many, the first id, and the last that weighs anything."""
    mass = tl.zeros([BLOCK], tl.float64)
    count = tl.zeros([BLOCK], tl.int32)
    first = tl.full([BLOCK], HIGHEST, tl.int32)
    last = tl.full([BLOCK], -1, tl.int32)
    for begin in range(0, n, BLOCK):
        ids, x, key = block(row, begin, n, BLOCK)
        kept = key >= cut
        w = weight(x, kept, top, t)
        mass += w
        count += kept.to(tl.int32)
        first = tl.minimum(first, tl.where(kept, ids, HIGHEST))
        last = tl.maximum(last, tl.where(w > 0.0, ids, -1))
    return tl.sum(mass, axis=0), tl.sum(count, axis=0), tl.min(first, axis=0), tl.max(last, axis=0)


@triton.jit
def around(row, n, top, t, cut, pivot, BLOCK: tl.constexpr):
    """The mass of the kept tokens strictly above a key, of those on it, and the nearest kept keys above and below."""
    above = tl.zeros([BLOCK], tl.float64)
    on = tl.zeros([BLOCK], tl.float64)
    up = tl.full([BLOCK], HIGHEST, tl.int32)
    down = tl.full([BLOCK], LOWEST, tl.int32)
    for begin in range(0, n, BLOCK):
        _, x, key = block(row, begin, n, BLOCK)
        w = weight(x, key >= cut, top, t)
        above += tl.where(key > pivot, w, 0.0)
        on += tl.where(key == pivot, w, 0.0)
        up = tl.minimum(up, tl.where((key > pivot) & (key >= cut), key, HIGHEST))
        down = tl.maximum(down, tl.where((key < pivot) & (key >= cut), key, LOWEST))
    return tl.sum(above, axis=0), tl.sum(on, axis=0), tl.min(up, axis=0), tl.max(down, axis=0)


@triton.jit
def moments(row, n, top, t, cut, BLOCK: tl.constexpr):
    """Σ w, Σ w·d and Σ w·d² over the kept tokens, d = x/t − top/t, and how many they are."""
    mass = tl.zeros([BLOCK], tl.float64)
    first = tl.zeros([BLOCK], tl.float64)
    second = tl.zeros([BLOCK], tl.float64)
    count = tl.zeros([BLOCK], tl.int32)
    for begin in range(0, n, BLOCK):
        _, x, key = block(row, begin, n, BLOCK)
        kept = key >= cut
        w = weight(x, kept, top, t)
        d = tl.where(w > 0.0, gap(tl.where(kept, x, top), top, t), 0.0)
        mass += w
        first += w * d
        second += w * d * d
        count += kept.to(tl.int32)
    return tl.sum(mass, axis=0), tl.sum(first, axis=0), tl.sum(second, axis=0), tl.sum(count, axis=0)


@triton.jit
def floor_of(row, n, t, cut, limit, doubt, BLOCK: tl.constexpr):
    """The smallest kept keys whose x/t is at least the limit less the doubt, and at least the limit plus the doubt."""
    wide = tl.full([BLOCK], HIGHEST, tl.int32)
    strict = tl.full([BLOCK], HIGHEST, tl.int32)
    for begin in range(0, n, BLOCK):
        _, x, key = block(row, begin, n, BLOCK)
        y = x.to(tl.float64) / t
        wide = tl.minimum(wide, tl.where((key >= cut) & (y >= limit - doubt), key, HIGHEST))
        strict = tl.minimum(strict, tl.where((key >= cut) & (y >= limit + doubt), key, HIGHEST))
    return tl.min(wide, axis=0), tl.min(strict, axis=0)
