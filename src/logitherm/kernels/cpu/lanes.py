"""Sixteen numbers at a time, written like sixteen at a time in NumPy.

`Lanes` is a value that exists while Numba compiles: adding two of them writes one machine instruction. A function over
Lanes becomes a Numba intrinsic through `over_chunks`; the kernels call that in ordinary loops. Sixteen float32 lanes
are one AVX-512 register; narrower machines use several, and get the same numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16
CHUNK = 128
"""Tokens that are looked at together: eight times sixteen."""
SIDE = 4
"""So many steps of a loop over arrays stand side by side."""

FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
INT16, INT32, INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
SHORT = {FLOAT: "f32", DOUBLE: "f64"}
INTEGER = {FLOAT: INT32, DOUBLE: INT64}
MANTISSA = {FLOAT: 23, DOUBLE: 52}


def looks_up() -> bool:
    """Whether the processor that Numba compiles for has `Lanes.entry_of`, one instruction of AVX-512."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in config.CPU_FEATURES
    return config.CPU_NAME in (None, "host") and bool(binding.get_host_cpu_features().get("avx512f"))


def _vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, WIDTH)


class Lanes:
    """Sixteen float32 or float64 numbers, or the sixteen answers of a comparison."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder = builder
        self.value = value

    @property
    def element(self) -> Any:
        """What one lane holds."""
        return self.value.type.element

    def _new(self, value: Any) -> Lanes:
        return Lanes(self.builder, value)

    def _lift(self, other: Lanes | float) -> Any:
        if isinstance(other, Lanes):
            return other.value
        return ir.Constant(self.value.type, [ir.Constant(self.element, other)] * WIDTH)

    def _call(self, name: str, result: ir.Type, arguments: Sequence[Any], **flags: Any) -> Any:
        module = self.builder.module
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, arguments, **flags)

    def constant(self, number: float) -> Lanes:
        """A number in every lane, of the same type."""
        return self._new(self._lift(number))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._new(self.builder.fadd(self.value, self._lift(other)))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._new(self.builder.fsub(self.value, self._lift(other)))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._new(self.builder.fmul(self.value, self._lift(other)))

    def __neg__(self) -> Lanes:
        return self._new(self.builder.fneg(self.value))

    def __gt__(self, other: Lanes | float) -> Lanes:
        return self._new(self.builder.fcmp_ordered(">", self.value, self._lift(other)))

    def __ge__(self, other: Lanes | float) -> Lanes:
        return self._new(self.builder.fcmp_ordered(">=", self.value, self._lift(other)))

    def __and__(self, other: Lanes) -> Lanes:
        return self._new(self.builder.and_(self.value, other.value))

    def __or__(self, other: Lanes) -> Lanes:
        return self._new(self.builder.or_(self.value, other.value))

    def __invert__(self) -> Lanes:
        return self._new(self.builder.not_(self.value))

    def fma(self, factor: Lanes | float, summand: Lanes | float) -> Lanes:
        """Self · factor + summand, rounded once."""
        arguments = [self.value, self._lift(factor), self._lift(summand)]
        name = f"llvm.fma.v{WIDTH}{SHORT[self.element]}"
        return self._new(self._call(name, self.value.type, arguments))

    def where(self, mask: Lanes, other: Lanes | float) -> Lanes:
        """These numbers where the mask is true, the others elsewhere."""
        return self._new(self.builder.select(mask.value, self.value, self._lift(other)))

    def or_more(self, other: Lanes | float) -> Lanes:
        """The larger of both; the other where this is NaN."""
        return self.where(self > other, other)

    def is_nan(self, other: Lanes) -> Lanes:
        """Where this or the other is NaN: one instruction for both."""
        return self._new(self.builder.fcmp_unordered("uno", self.value, other.value))

    def widened(self) -> Lanes:
        """The same numbers in float64."""
        return self if self.element == DOUBLE else self._new(self.builder.fpext(self.value, _vector(DOUBLE)))

    def times_two_to(self, n: Lanes, part: int = 0) -> Lanes:
        """Self · 2ⁿ, where n stands in the low bits of numbers that 1.5 · 2²³ (or 2⁵²) was added to.

        part: so many bits of n stand behind the point; what they add to the mantissa is the caller's business.
        """
        whole = INTEGER[self.element]
        bits = ir.Constant(_vector(whole), [ir.Constant(whole, MANTISSA[self.element] - part)] * WIDTH)
        b = self.builder
        exponent = b.shl(b.bitcast(n.value, _vector(whole)), bits)
        return self._new(b.bitcast(b.add(b.bitcast(self.value, _vector(whole)), exponent), self.value.type))

    def entry_of(self, table: Sequence[int]) -> Lanes:
        """The numbers whose bits stand in a table at the places in the low bits of the lanes: a table of 32 for float32
        lanes, of 16 for float64 lanes, two registers either way.
        """
        b, whole, room = self.builder, INTEGER[self.element], 512 // INTEGER[self.element].width
        part = ir.VectorType(whole, room)
        halves = [ir.Constant(part, [ir.Constant(whole, bits) for bits in table[k : k + room]]) for k in (0, room)]
        name = f"llvm.x86.avx512.vpermi2var.{'d' if whole is INT32 else 'q'}.512"
        lanes, undefined = b.bitcast(self.value, _vector(whole)), ir.Constant(_vector(whole), ir.Undefined)

        def looked_up(begin: int) -> Any:
            places = ir.Constant(ir.VectorType(INT32, room), list(range(begin, begin + room)))
            return self._call(name, part, [halves[0], b.shuffle_vector(lanes, undefined, places), halves[1]])

        found = [looked_up(begin) for begin in range(0, WIDTH, room)]
        every = ir.Constant(_vector(INT32), list(range(WIDTH)))
        joined = found[0] if len(found) == 1 else b.shuffle_vector(*found, every)
        return self._new(b.bitcast(joined, _vector(self.element)))

    def total(self) -> Any:
        """The sum of the lanes, a scalar of their type, in any order."""
        zero = ir.Constant(self.element, -0.0)
        name = f"llvm.vector.reduce.fadd.v{WIDTH}{SHORT[self.element]}"
        return self._call(name, self.element, [zero, self.value], fastmath=("reassoc",))

    def most(self) -> Any:
        """The largest lane; none is NaN."""
        name = f"llvm.vector.reduce.fmax.v{WIDTH}{SHORT[self.element]}"
        return self._call(name, self.element, [self.value], fastmath=("nnan",))

    def word(self) -> Any:
        """The answers of a comparison as the bits of an integer, the first lane lowest; widened to 64 bits."""
        return self.builder.zext(self.builder.bitcast(self.value, INT16), INT64)


def pairwise(values: Sequence[Lanes], combine: Callable[[Lanes, Lanes], Lanes]) -> Lanes:
    """All values combined, in a tree: eight float32 sums are rounded three times one after another, not seven."""
    while len(values) > 1:
        values = [combine(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def words(masks: Sequence[Lanes]) -> Any:
    """Four masks as one 64-bit integer."""
    builder = masks[0].builder
    shifted = (builder.shl(m.word(), ir.Constant(INT64, WIDTH * place)) for place, m in enumerate(masks))
    return reduce(builder.or_, shifted)


def splat(builder: Any, number: Any) -> Lanes:
    """One number in every lane."""
    blank = ir.Constant(_vector(number.type), ir.Undefined)
    first = builder.insert_element(blank, number, ir.Constant(INT32, 0))
    spread = ir.Constant(_vector(INT32), [0] * WIDTH)
    return Lanes(builder, builder.shuffle_vector(first, blank, spread))


def at(builder: Any, pointer: Any, index: Any, element: ir.Type) -> Any:
    """Where sixteen neighbours begin, as a pointer to them."""
    return builder.bitcast(builder.gep(pointer, [index]), _vector(element).as_pointer())


def load(builder: Any, pointer: Any, index: Any, element: ir.Type = FLOAT) -> Lanes:
    """Sixteen neighbours in memory, which need not be aligned."""
    read = builder.load(at(builder, pointer, index, element))
    read.align = 2
    return Lanes(builder, read)


def store(lanes: Lanes, pointer: Any, index: Any) -> None:
    """Write sixteen neighbours."""
    written = lanes.builder.store(lanes.value, at(lanes.builder, pointer, index, lanes.element))
    written.align = 4


def _constants(builder: Any, numbers: Any) -> list[Lanes]:
    return [splat(builder, n) for n in cgutils.unpack_tuple(builder, numbers)]


def over_chunks(*results: Any) -> Callable[[Callable[..., Sequence[Any]]], Any]:
    """Make an intrinsic f(row, begin, constants) of a function over a chunk of a float32 row.

    results: the Numba types of what it returns.
    The function gets the chunk as eight Lanes and the constants (a tuple of numbers) as one Lanes each; it returns
    scalars. Nothing checks that the chunk lies within the row.
    """

    def decorate(function: Callable[..., Sequence[Any]]) -> Any:
        @intrinsic
        def block(typingctx: Any, row: Any, begin: Any, constants: Any) -> Any:
            returns = types.Tuple(results) if len(results) > 1 else results[0]

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                kinds = signature.args
                pointer = context.make_array(kinds[0])(context, builder, value=arguments[0]).data
                places = (builder.add(arguments[1], ir.Constant(INT64, WIDTH * k)) for k in range(CHUNK // WIDTH))
                chunk = [load(builder, pointer, place) for place in places]
                found = function(chunk, *_constants(builder, arguments[2]))
                return context.make_tuple(builder, returns, found) if len(results) > 1 else found[0]

            return returns(row, types.int64, constants), generate

        return block

    return decorate


def over_arrays(
    result: Any, reads: Sequence[ir.Type], writes: Sequence[ir.Type], adds: ir.Type = DOUBLE
) -> Callable[[Callable[..., Sequence[Lanes]]], Any]:
    """Make an intrinsic f(arrays, sixteens, constants) of a function over sixteen entries of one or more arrays.

    arrays:   a tuple, those that are read first, then those that are written; `sixteens` times sixteen entries of each.
    result:   None, or types.float64 for the sum of what the function returns last.
    adds:     in which type it is added, with four sums side by side, for one would wait for itself.
    """

    def decorate(function: Callable[..., Sequence[Lanes]]) -> Any:
        @intrinsic
        def block(typingctx: Any, arrays: Any, sixteens: Any, constants: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                each = cgutils.unpack_tuple(builder, arguments[0])
                pointers = [
                    context.make_array(kind)(context, builder, value=value).data
                    for kind, value in zip(signature.args[0], each, strict=True)
                ]
                fixed = _constants(builder, arguments[2])
                zero = ir.Constant(_vector(adds), [ir.Constant(adds, 0.0)] * WIDTH)
                totals = [cgutils.alloca_once_value(builder, zero) for _ in range(SIDE)]

                def step(sixteen: Any, total: Any) -> None:
                    place = builder.mul(sixteen, ir.Constant(INT64, WIDTH))
                    read = [load(builder, p, place, e) for p, e in zip(pointers, reads, strict=False)]
                    found = list(function(*read, *fixed))
                    for value, pointer in zip(found, pointers[len(reads) : len(reads) + len(writes)], strict=False):
                        store(value, pointer, place)
                    if result is not None:
                        builder.store(builder.fadd(builder.load(total), found[-1].value), total)

                whole = builder.and_(arguments[1], ir.Constant(INT64, -SIDE))
                with cgutils.for_range_slice(builder, ir.Constant(INT64, 0), whole, ir.Constant(INT64, SIDE)) as (i, _):
                    for k, total in enumerate(totals):
                        step(builder.add(i, ir.Constant(INT64, k)), total)
                with cgutils.for_range(builder, builder.sub(arguments[1], whole)) as loop:
                    step(builder.add(whole, loop.index), totals[0])
                if result is None:
                    return context.get_dummy_value()
                sums = [Lanes(builder, builder.load(total)) for total in totals]
                total = pairwise(sums, operator.add)
                return (total.widened() if adds == FLOAT else total).total()

            returns = types.void if result is None else result
            return returns(arrays, types.int64, constants), generate

        return block

    return decorate
