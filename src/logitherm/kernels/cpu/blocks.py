"""What kernels ask of a chunk of 128 tokens, or of a list of candidates: maxima, sums of weights, masks."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from logitherm.kernels.cpu.lanes import (
    CHUNK,
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    WIDTH,
    Lanes,
    over_arrays,
    over_chunks,
    pairwise,
    splat,
    words,
)
from logitherm.kernels.cpu.weights import exact, rough

AHEAD = 1024
"""Logits between what is read and what is asked for: 4 KB, where a processor's own guesses end with the page."""


def _sum(values: Sequence[Lanes]) -> Any:
    """A chunk's sum, float64. float32 numbers are added in pairs, three deep; then their sixteen sums in float64."""
    total = pairwise(values, operator.add)
    return (total.widened() if total.element == FLOAT else total).total()


@over_chunks(types.float32, types.boolean)
def largest(chunk: list[Lanes]) -> Sequence[Any]:
    """The largest of a chunk, and whether any is NaN."""
    builder = chunk[0].builder
    nans = [a.is_nan(b) for a, b in zip(chunk[::2], chunk[1::2], strict=True)]
    some = builder.bitcast(pairwise(nans, operator.or_).value, INT16)
    return pairwise(chunk, Lanes.or_more).most(), builder.icmp_unsigned("!=", some, ir.Constant(INT16, 0))


@intrinsic
def fetch_ahead(typingctx: Any, row: Any, begin: Any) -> Any:
    """Ask the memory for what stands AHEAD logits after a chunk, so that it is there in time; that may be beyond the
    row, for asking touches nothing.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        address = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [address, INT32, INT32, INT32])
        name = "llvm.prefetch.p0i8"
        prefetch = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        to_read, into_l1, data = (ir.Constant(INT32, number) for number in (0, 3, 1))
        for line in range(0, CHUNK, WIDTH):  # sixteen float32 numbers are a line of a cache
            place = builder.add(arguments[1], ir.Constant(INT64, AHEAD + line))
            builder.call(prefetch, [builder.bitcast(builder.gep(pointer, [place]), address), to_read, into_l1, data])
        return context.get_dummy_value()

    return types.void(row, types.int64), generate


@over_chunks(types.float64)
def rough_sum(chunk: list[Lanes], *scale: Lanes) -> Sequence[Any]:
    """The sum of the chunk's weights."""
    return [_sum([rough(x, *scale) for x in chunk])]


@over_chunks(types.float64)
def exact_sum(chunk: list[Lanes], *scale: Lanes) -> Sequence[Any]:
    """The sum of the chunk's weights."""
    return [_sum([exact(x, *scale) for x in chunk])]


def _parted(chunk: list[Lanes], weights: list[Lanes], low: Lanes, high: Lanes) -> Sequence[Any]:
    above = [x > high for x in chunk]
    between = [(x >= low) & ~over for x, over in zip(chunk, above, strict=True)]
    kept = [w.where(over, 0.0) for w, over in zip(weights, above, strict=True)]
    rest = [w - k for w, k in zip(weights, kept, strict=True)]
    masks = [words(above[:4]), words(above[4:]), words(between[:4]), words(between[4:])]
    return [_sum(rest), _sum(kept), *masks]


PARTED = types.float64, types.float64, types.uint64, types.uint64, types.uint64, types.uint64


@over_chunks(*PARTED)
def rough_parted(chunk: list[Lanes], low: Lanes, high: Lanes, *scale: Lanes) -> Sequence[Any]:
    """The sum of what is not above `high`, and of what is; which are above it, which from `low` to `high`: two words of
    bits each. The sums are added apart, so that their errors are apart.
    """
    return _parted(chunk, [rough(x, *scale) for x in chunk], low, high)


@over_chunks(*PARTED)
def exact_parted(chunk: list[Lanes], low: Lanes, high: Lanes, *scale: Lanes) -> Sequence[Any]:
    """The same in float64."""
    return _parted(chunk, [exact(x, *scale) for x in chunk], low, high)


@over_chunks(types.uint64, types.uint64)
def at_least(chunk: list[Lanes], least: Lanes) -> Sequence[Any]:
    """Which tokens of the chunk are at least so large: two words of bits."""
    masks = [x >= least for x in chunk]
    return [words(masks[:4]), words(masks[4:])]


@over_chunks(types.uint64, types.uint64)
def within(chunk: list[Lanes], low: Lanes, high: Lanes) -> Sequence[Any]:
    """Which of the chunk are in (low, high]: two words of bits."""
    masks = [(x > low) & ~(x > high) for x in chunk]
    return [words(masks[:4]), words(masks[4:])]


@over_arrays(None, [FLOAT], [DOUBLE])
def exact_weights(x: Lanes, *scale: Lanes) -> Sequence[Lanes]:
    """Write the weights of some logits."""
    return [exact(x, *scale)]


@over_arrays(types.float64, [FLOAT, DOUBLE], [])
def mass_above(x: Lanes, weight: Lanes, limit: Lanes) -> Sequence[Lanes]:
    """The sum of the weights whose logits are above the limit."""
    return [weight.where(x > limit, 0.0)]


@over_arrays(None, [FLOAT], [FLOAT])
def rough_weights(x: Lanes, factor: Lanes, *scale: Lanes) -> Sequence[Lanes]:
    """Write the weights of some logits, times a factor, in float32."""
    return [rough(x, *scale) * factor]


@over_arrays(types.float64, [FLOAT, FLOAT], [], adds=FLOAT)
def rough_mass_above(x: Lanes, weight: Lanes, limit: Lanes) -> Sequence[Lanes]:
    """The sum of float32 weights whose logits are above the limit, roughly."""
    return [weight.where(x > limit, 0.0)]


@intrinsic
def squeeze(typingctx: Any, ids: Any, n: Any, first: Any, low: Any, high: Any) -> Any:
    """Write the ids of a chunk's tokens whose bits are set, from ids[n] on: one instruction of AVX-512 for sixteen.

    first: the id of the chunk's first token. low, high: two words of bits. Returns n and how many there were.
    Up to fifteen entries behind them are written as well, with nothing in them.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, count, first, *words = arguments
        pointer = context.make_array(signature.args[0])(context, builder, value=array).data
        vector, mask = ir.VectorType(INT32, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)
        kind = ir.FunctionType(vector, [vector, vector, mask])
        name = "llvm.x86.avx512.mask.compress.v16i32"
        compress = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        begin = splat(builder, builder.trunc(first, INT32)).value
        for part in range(CHUNK // WIDTH):
            word = builder.lshr(words[part // 4], ir.Constant(INT64, WIDTH * (part % 4)))
            chosen = builder.trunc(word, INT16)
            steps = ir.Constant(vector, [ir.Constant(INT32, WIDTH * part + lane) for lane in range(WIDTH)])
            every = builder.add(begin, steps)
            found = builder.call(compress, [every, every, builder.bitcast(chosen, mask)])
            written = builder.store(found, builder.bitcast(builder.gep(pointer, [count]), vector.as_pointer()))
            written.align = 4
            count = builder.add(count, builder.zext(builder.ctpop(chosen), INT64))
        return count

    return types.int64(ids, types.int64, types.int64, types.uint64, types.uint64), generate


@intrinsic
def lowest_bit(typingctx: Any, word: Any) -> Any:
    """The place of the lowest bit of a word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def bits(typingctx: Any, word: Any) -> Any:
    """How many bits of a word are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate
