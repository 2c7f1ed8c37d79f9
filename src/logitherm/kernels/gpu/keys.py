"""Logits as integers of the same order, so that a cut can be sought by halving what lies between two of them."""

from __future__ import annotations

import triton
import triton.language as tl

MINUS_ZERO = tl.constexpr(-(2**31))
"""The bits of −0.0, which is to tie with 0.0."""

BUT_THE_SIGN = tl.constexpr(2**31 - 1)

LOWEST = tl.constexpr(-2139095040)
"""The key of the lowest finite float32: tokens at or above it have not been removed."""

HIGHEST = tl.constexpr(2**31 - 1)
"""Above the key of every logit."""


@triton.jit
def key_of(x):
    """float32 -> int32: the bits, with those but the sign turned over where it is negative."""
    bits = x.to(tl.int32, bitcast=True)
    bits = tl.where(bits == MINUS_ZERO, 0, bits)
    return bits ^ ((bits >> 31) & BUT_THE_SIGN)


@triton.jit
def logit_of(key):
    """int32 -> float32, the way back."""
    return (key ^ ((key >> 31) & BUT_THE_SIGN)).to(tl.float32, bitcast=True)


@triton.jit
def block(row, begin, n, BLOCK: tl.constexpr):
    """The ids of a block of a row, their logits (float32, whatever the row holds) and keys; −inf beyond the end."""
    ids = begin + tl.arange(0, BLOCK)
    x = tl.load(row + ids, mask=ids < n, other=float("-inf")).to(tl.float32)
    return ids, x, key_of(x)
