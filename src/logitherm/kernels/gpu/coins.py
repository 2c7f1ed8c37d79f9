"""The uniform numbers of `logitherm.rng` on a graphics card: the same bits."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def coin(seed, position):
    """`rng.uniform(seed, position)`, the draw's own lane; both are int64 with the bits of the unsigned number."""
    low, high = (position & 0xFFFFFFFF).to(tl.uint32), ((position >> 32) & 0xFFFFFFFF).to(tl.uint32)
    first, second, _, _ = tl.philox(seed, low, high, low * 0, low * 0)
    word = (second.to(tl.uint64) << 32) | first.to(tl.uint64)
    return (word >> 11).to(tl.int64).to(tl.float64) * 2.0**-53
