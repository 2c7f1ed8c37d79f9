"""Where a cut lies, without sorting: the smallest key such that what lies strictly above it is less than a target.

What lies above is weighed. top_p asks for mass; top_k counts, which is weighing at an infinite temperature, where every
token weighs 1.
"""

from __future__ import annotations

import triton
import triton.language as tl

from logitherm.kernels.gpu.keys import block
from logitherm.kernels.gpu.passes import around

PLACES = tl.constexpr(8)
"""So many places are tried in one pass of the guess."""

STEPS = tl.constexpr(4)
"""So often a guess that is off is mended by looking at its neighbour; after that the interval is halved."""

PASSES = tl.constexpr(64)
"""Halving 32 bits takes 32 passes; after so many, rounding has it both ways."""

FARTHEST = tl.constexpr(-1e37)
"""The guess takes no larger distance from the largest logit, so that times 0 it is 0."""


@triton.jit
def guess(row, n, top, top_key, t, cut, target, BLOCK: tl.constexpr):
    """Where it is likely to lie, by float32 sums. A wrong guess costs passes, never a token."""
    low, high = cut.to(tl.int64), top_key.to(tl.int64)
    each = tl.arange(0, PLACES).to(tl.int64)
    factor, wanted = (1.0 / t).to(tl.float32), target.to(tl.float32)
    while low < high:
        places = low + (high - low) * each // PLACES
        sums = tl.zeros([BLOCK, PLACES], tl.float32)
        for begin in range(0, n, BLOCK):
            _, x, key = block(row, begin, n, BLOCK)
            w = tl.where(key >= cut, tl.exp(tl.maximum(x - top, FARTHEST) * factor), 0.0)
            sums += tl.where(key[:, None].to(tl.int64) > places[None, :], w[:, None], 0.0)
        enough = tl.sum(sums, axis=0) < wanted
        high = tl.minimum(high, tl.min(tl.where(enough, places, high), axis=0))
        low = tl.maximum(low, tl.max(tl.where(enough, low, places + 1), axis=0))
        low = tl.minimum(low, high)  # float32 sums need not be ordered as their places are
    return low.to(tl.int32)


@triton.jit
def settle(row, n, top, top_key, t, cut, target, start, slack, margin, BLOCK: tl.constexpr):
    """Where it lies, by float64 sums, and whether that is certain: a relative `slack` and a `margin` do not move it."""
    low, high, pivot = cut.to(tl.int64), top_key.to(tl.int64), start
    left = PASSES + 0
    sure = left < 0
    while left > 0:
        above, on, up, down = around(row, n, top, t, cut, pivot, BLOCK)
        left -= 1
        if above >= target:
            low = tl.maximum(low, up.to(tl.int64))
            pivot = up
        elif above + on < target:
            high = tl.minimum(high, down.to(tl.int64))
            pivot = down
        else:
            sure = (above + margin < target * (1.0 - slack)) & (above + on - margin > target * (1.0 + slack))
            left = 0
        if left < PASSES - STEPS and left > 0:
            pivot = (low + (high - low) // 2).to(tl.int32)
    return pivot, sure
