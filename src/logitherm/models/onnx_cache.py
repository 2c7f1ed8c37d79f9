"""Keys and values of rows of different lengths, aligned at the left: the cache of an ONNX model, as a value.

The graph masks by length what lies behind a row's places, and looks at all places of the arrays that it is fed, which
must be contiguous. So the layers come first, then the rows: some rows side by side are contiguous in every layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from logitherm.models.places import Places

SPARE = 64
"""How many places to allocate beyond need. A graph computes on spare places too, so they stay few, and doubling would
be dearer than a copy once in so many steps."""


class OnnxCache:
    """What a model has computed of its rows. Immutable: nothing that a living value sees is ever written.

    array:   keys, values, keys, values … of the layers: (layers · 2, slots, heads, places, width); read it, never
             write.
    lengths: how many tokens each row has.
    places:  where its rows lie: row i in the first lengths[i] places of its slot. Unless given, row by row.
    """

    def __init__(self, array: np.ndarray, lengths: Sequence[int] | np.ndarray, places: Places | None = None) -> None:
        self.array = array
        self.lengths = np.array(lengths, dtype=np.int64)
        self.lengths.flags.writeable = False
        self._places = places or Places(tuple(range(len(self.lengths))), tuple(self.lengths.tolist()))

    @classmethod
    def of(cls, new: Sequence[np.ndarray], lengths: Sequence[int] | np.ndarray) -> OnnxCache:
        """The value of keys and values that a model gave for prompts, each (rows, heads, places, width)."""
        return cls(np.stack(new), lengths)

    def take(self, rows: Sequence[int]) -> OnnxCache:
        """These rows, in this order. Copies nothing; the next step moves what does not lie side by side."""
        lengths = self.lengths[np.asarray(rows, dtype=np.int64)]
        slots = tuple(self._places.slots[row] for row in rows)
        return OnnxCache(self.array, lengths, self._places.part(slots, tuple(lengths.tolist())))

    def join(self, other: OnnxCache) -> OnnxCache:
        """The rows of this, then the rows of the other, which are copied into slots that nobody sees, if there are."""
        slots = self._places.unseen(self.array.shape[1])[: len(other.lengths)]
        longest = int(other.lengths.max(initial=0))
        places = None
        if longest <= self.array.shape[3] and len(slots) == len(other.lengths):
            starts = self._places.ends + (0,) * len(slots)
            places = self._places.claim(self._places.slots + slots, starts, self._places.ends + other._places.ends)
        if places is None:
            wider = self._copied(longest, slots=len(self.lengths) + len(other.lengths))
            return wider.join(other)
        for slot, theirs, end in zip(slots, other._places.slots, other._places.ends, strict=True):
            self.array[:, slot, :, :end] = other.array[:, theirs, :, :end]
            self.array[:, slot, :, end:] = 0  # who was there before may have left a NaN, which no mask hides
        return OnnxCache(self.array, np.concatenate([self.lengths, other.lengths]), places)

    def crop(self, lengths: Sequence[int] | np.ndarray) -> OnnxCache:
        """The same rows, row i cut to its first lengths[i] places; copies nothing."""
        cut = np.asarray(lengths, dtype=np.int64)
        if cut.shape != self.lengths.shape or (cut < 0).any() or (cut > self.lengths).any():
            raise ValueError(f"crop lengths must be in [0, {self.lengths.tolist()}]; got {cut.tolist()}")
        return OnnxCache(self.array, cut, self._places.part(self._places.slots, tuple(cut.tolist())))

    def grown(self) -> OnnxCache:
        """The value after one more token a row, side by side; `write` is still to give it that token's keys."""
        ends, slots = self._places.ends, self._places.in_line()
        longest, room = max(ends), self.array.shape[3]
        places = None
        fits = len(ends) <= self.array.shape[1]  # or a row was taken more often than there are slots
        if fits and longest < room <= 2 * (longest + SPARE):  # not full, nor left almost empty by a long row
            pairs = zip(slots, self._places.slots, ends, strict=True)
            starts = tuple(end if new == old else 0 for new, old, end in pairs)
            places = self._places.claim(slots, starts, tuple(end + 1 for end in ends))
        if places is None:
            return self._copied(longest + SPARE).grown()
        for new, old in zip(slots, self._places.slots, strict=True):
            if new != old:
                self.array[:, new] = self.array[:, old]
        return OnnxCache(self.array, self.lengths + 1, places)

    def feed(self) -> list[np.ndarray]:
        """The arrays of a grown value as the graph wants them, (rows, heads, places, width) each, contiguous."""
        first = self._places.slots[0]
        return list(self.array[:, first : first + len(self.lengths)])

    def write(self, new: Sequence[np.ndarray]) -> None:
        """Put the keys and values of a grown value's last tokens, each (rows, heads, 1, width), into their places."""
        slots = np.array(self._places.slots)
        self.array[:, slots, :, self.lengths - 1] = np.stack(new)[:, :, :, 0].transpose(1, 0, 2, 3)

    def _copied(self, room: int, slots: int = 0) -> OnnxCache:
        """The same rows in an array of their own, of so many slots and at least so many places."""
        rows, longest = len(self.lengths), int(self.lengths.max(initial=0))
        layers, _, heads, _, width = self.array.shape
        copy = np.empty((layers, max(slots, rows), heads, max(room, longest), width), self.array.dtype)
        for new, old in enumerate(self._places.slots):
            copy[:, new, :, :longest] = self.array[:, old, :, :longest]
        copy[:, :rows, :, longest:] = 0
        return OnnxCache(copy, self.lengths)
