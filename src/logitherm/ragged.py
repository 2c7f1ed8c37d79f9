"""Rows of different lengths that only grow, kept side by side in shared buffers, with the manners of a value.

Token histories and key/value caches both need this: appending must not copy what is there, and yet an old value must
stay true when two continuations grow from it. So a value is a length per row over a buffer; appending writes the next
free places, and copies first only if a sibling has already written there.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np

SPARE = 64
"""The fewest places to allocate beyond need. A buffer at least doubles, so that appending costs the same on average."""


class Written(NamedTuple):
    """How far each row of some buffers has been written, by whichever value; shared by all values on them."""

    lengths: np.ndarray
    lock: Lock


class Ragged:
    """One or more arrays (rows, …, places, …) of which row i holds the first lengths[i] places.

    arrays:  the buffers; places lie along `axis` (1 or more), rows along 0. Read them, never write.
    lengths: (rows,) int64.
    written: how far the buffers are written, by this value or by others, and the lock under which that may change.
    """

    __slots__ = ("arrays", "axis", "lengths", "written")

    def __init__(
        self, arrays: Sequence[np.ndarray], lengths: Any, axis: int = 1, written: Written | None = None
    ) -> None:
        self.arrays = tuple(arrays)
        self.lengths = np.array(lengths, dtype=np.int64)
        self.lengths.flags.writeable = False
        self.axis = axis
        self.written = written or Written(self.lengths.copy(), Lock())

    def extended(self, lengths: np.ndarray) -> Self:
        """The value after somebody wrote up to these lengths into these very buffers, and noted it in `written`.

        lengths: (rows,) int64, which becomes the value's own.
        """
        grown = object.__new__(type(self))
        lengths.setflags(write=False)  # `flags.writeable` takes longer, in every step
        grown.arrays, grown.lengths, grown.axis, grown.written = self.arrays, lengths, self.axis, self.written
        return grown

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    @property
    def places(self) -> int:
        """How many places the buffers have."""
        return int(self.arrays[0].shape[self.axis])

    def append(self, values: Sequence[np.ndarray], counts: Any = 1) -> Self:
        """Row i grows by the first counts[i] places of its values; `values` are laid out like `arrays`."""
        lengths = self.lengths + counts
        need = int(lengths.max(initial=0))
        with self.written.lock:  # two threads may grow two continuations of one value
            free = need <= self.places and bool((self.written.lengths == self.lengths).all())
            if free:
                self.written.lengths[:] = lengths
        room = self.places if need <= self.places else max(need + SPARE, 2 * self.places)
        base = self if free else self._copied(room)
        for buffer, new in zip(base.arrays, values, strict=True):
            if self.axis == 1:
                target, source = buffer, new
            else:
                target, source = np.moveaxis(buffer, self.axis, 1), np.moveaxis(new, self.axis, 1)
            for row, (start, end) in enumerate(zip(self.lengths.tolist(), lengths.tolist(), strict=True)):
                target[row, start:end] = source[row, : end - start]
        return type(self)(base.arrays, lengths, self.axis, self.written if free else None)

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        """These rows, in this order, in buffers of their own."""
        index = np.asarray(rows, dtype=np.int64)
        return type(self)([a[index] for a in self.arrays], self.lengths[index], self.axis)

    def join(self, other: Self) -> Self:
        """The rows of this, then the rows of the other."""
        places = max(self.places, other.places)
        pairs = zip(self._copied(places).arrays, other._copied(places).arrays, strict=True)
        lengths = np.concatenate([self.lengths, other.lengths])
        return type(self)([np.concatenate(pair) for pair in pairs], lengths, self.axis)

    def crop(self, lengths: Any) -> Self:
        """The same rows, row i cut to its first lengths[i] places; copies nothing."""
        cut = np.asarray(lengths, dtype=np.int64)
        if cut.shape != self.lengths.shape or (cut < 0).any() or (cut > self.lengths).any():
            raise ValueError(f"crop lengths must be in [0, {self.lengths.tolist()}]; got {cut.tolist()}")
        return type(self)(self.arrays, cut, self.axis, self.written)

    def row(self, index: int) -> np.ndarray:
        """The places of one row of the first array, as a read-only view."""
        view = np.moveaxis(self.arrays[0], self.axis, 1)[index, : self.lengths[index]]
        view.flags.writeable = False
        return view

    def _copied(self, places: int) -> Self:
        grown = []
        for a in self.arrays:
            shape = list(a.shape)
            shape[self.axis] = places
            new = np.zeros(shape, dtype=a.dtype)
            np.moveaxis(new, self.axis, 1)[:, : self.places] = np.moveaxis(a, self.axis, 1)
            grown.append(new)
        return type(self)(grown, self.lengths, self.axis)
