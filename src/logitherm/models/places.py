"""Which places of shared buffers the living values see: how a cache grows, shrinks and merges without copying.

A cache is a value, and an old one must stay true. But nobody can tell that a place was written if no living value
sees it. So each value on some buffers holds a `Places`, and these know of each other for as long as they live.
"""

from __future__ import annotations

from threading import RLock
from typing import NamedTuple
from weakref import WeakSet


class Living(NamedTuple):
    """All places that values on the same buffers see; shared by them."""

    places: WeakSet[Places]
    lock: RLock


class Places:
    """What one value sees: of row i, the places before ends[i] in slot slots[i]. It must live as long as the value.

    living: those on the same buffers; none where the buffers are new.
    """

    def __init__(self, slots: tuple[int, ...], ends: tuple[int, ...], living: Living | None = None) -> None:
        self.slots = slots
        self.ends = ends
        self._living = living or Living(WeakSet(), RLock())
        with self._living.lock:
            self._living.places.add(self)

    def part(self, slots: tuple[int, ...], ends: tuple[int, ...]) -> Places:
        """Some of these places, as another value sees them."""
        return Places(slots, ends, self._living)

    def claim(self, slots: tuple[int, ...], starts: tuple[int, ...], ends: tuple[int, ...]) -> Places | None:
        """The places of a value that is about to write slot slots[i] from starts[i] on, and then sees it up to ends[i].

        None if a living value sees some of what would be written. Two threads never claim the same place.
        """
        with self._living.lock:
            seen = self._seen()
            if any(seen.get(slot, 0) > start for slot, start in zip(slots, starts, strict=True)):
                return None
            return Places(slots, ends, self._living)

    def unseen(self, slots: int) -> tuple[int, ...]:
        """Those of so many slots of which no living value sees anything, the lowest first."""
        with self._living.lock:
            seen = self._seen()
        return tuple(slot for slot in range(slots) if slot not in seen)

    def in_line(self) -> tuple[int, ...]:
        """Slots one after the other for these rows: their own if they lie like that, else the lowest."""
        first = min(self.slots, default=0)
        line = tuple(range(first, first + len(self.slots)))
        return line if line == self.slots else tuple(range(len(self.slots)))

    def _seen(self) -> dict[int, int]:
        """Up to where some living value sees each slot."""
        seen: dict[int, int] = {}
        for places in self._living.places:
            for slot, end in zip(places.slots, places.ends, strict=True):
                seen[slot] = max(end, seen.get(slot, 0))
        return seen
