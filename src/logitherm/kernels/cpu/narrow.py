"""Rows of bfloat16 and float16: widened into a workspace, one by one, when their turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import njit

from logitherm.kernels.codes import BFLOAT16
from logitherm.kernels.cpu.lanes import FLOAT, INT16, INT32, WIDTH, Lanes, over_arrays
from logitherm.kernels.cpu.weights import JIT


def _many(number: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(INT32, WIDTH), [ir.Constant(INT32, number)] * WIDTH)


def _as_float(lanes: Lanes, bits: Any) -> Lanes:
    return Lanes(lanes.builder, lanes.builder.bitcast(bits, ir.VectorType(FLOAT, WIDTH)))


@over_arrays(None, [INT16], [FLOAT])
def from_bfloat16(x: Lanes) -> Sequence[Lanes]:
    """Write what bfloat16 numbers are in float32: they are its upper halves."""
    b = x.builder
    return [_as_float(x, b.shl(b.zext(x.value, _many(0).type), _many(16)))]


@over_arrays(None, [INT16], [FLOAT])
def from_float16(x: Lanes) -> Sequence[Lanes]:
    """Write what float16 numbers are in float32, with whole numbers alone, for not every processor has halves.

    Exponent and mantissa move to their places and the smaller bias of the exponent is made up for by a product, which
    is exact, also for denormal numbers. What was infinite or no number gets the exponent of those back.
    """
    b = x.builder
    wide = b.zext(x.value, _many(0).type)
    sign = b.shl(b.and_(wide, _many(0x8000)), _many(16))
    moved = b.shl(b.and_(wide, _many(0x7FFF)), _many(13))
    sized = b.bitcast((_as_float(x, moved) * 2.0**112).value, wide.type)
    endless = b.icmp_unsigned(">=", moved, _many(0x7C00 << 13))
    sized = b.select(endless, b.or_(sized, _many(0x7F800000)), sized)
    return [_as_float(x, b.or_(sized, sign))]


@njit(**JIT)
def widen(narrow, kind, row):
    """Write a row of bfloat16 or float16, given as its bits, as float32. It has sixteen tokens or more."""
    size, sixteens = len(narrow), len(narrow) // WIDTH
    if kind == BFLOAT16:
        from_bfloat16((narrow, row), sixteens, ())
        from_bfloat16((narrow[size - WIDTH :], row[size - WIDTH :]), 1, ())
    else:
        from_float16((narrow, row), sixteens, ())
        from_float16((narrow[size - WIDTH :], row[size - WIDTH :]), 1, ())
