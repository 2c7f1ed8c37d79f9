"""The inverse CDF over the kept tokens in token order."""

from __future__ import annotations

import triton
import triton.language as tl

from logitherm.kernels.gpu.keys import HIGHEST, block
from logitherm.kernels.gpu.passes import weight, whole

TINY = tl.constexpr(1e-290)
"""Below it exp loses its digits: what decides there is how weights underflow."""


@triton.jit
def draw(row, n, top, t, cut, u, slack, margin, BLOCK: tl.constexpr):
    """The smallest id whose running mass exceeds u × the mass, its log-probability, how many are kept, and whether the
    token is certain: a relative `slack` of sums and a `margin` of the mass do not change it. −1 if there is none.
    """
    total, count, first, last = whole(row, n, top, t, cut, BLOCK)
    target = u * total
    before = total * 0.0
    low, high, chosen = before, before, before
    token, begin = last * 0 - 1, last * 0
    while (begin < n) & (token < 0):
        ids, x, key = block(row, begin, n, BLOCK)
        w = weight(x, key >= cut, top, t)
        running = before + tl.cumsum(w, axis=0)
        id = tl.min(tl.where((running > target) & (w > 0.0), ids, HIGHEST), axis=0)
        if id < HIGHEST:
            token = id
            low = tl.maximum(before, tl.max(tl.where(ids < id, running, 0.0), axis=0))
            high = tl.max(tl.where(ids == id, running, 0.0), axis=0)
            chosen = tl.max(tl.where(ids == id, w, 0.0), axis=0)
        before += tl.sum(w, axis=0)
        begin += BLOCK
    under = (low == 0.0) | (target - low > slack * (target + low) + margin * total)
    over = (token == last) | (u == 0.0) | (high - target > slack * (high + target) + margin * total)
    plain = (target > TINY) | ((token == first) & (chosen > TINY))
    return token, tl.log(tl.maximum(chosen, TINY) / total), count, under & over & plain & (token >= 0)
