"""The door to the kernels on graphics cards. Triton is imported only once a tensor that lies on one is given."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

from logitherm.kernels.codes import ENTRY, FINE, OFF

Place = tuple[Any, Any]
"""A device and a dtype: for each pair there is one compiled kernel."""

NARROW = "torch.bfloat16", "torch.float16", "torch.float32"
"""What kernels read where it lies. float64 logits are for the plain rules."""


class Cards:
    """The kernels of this process on graphics cards: not asked for yet, on their way, there, or not to be had."""

    def __init__(self) -> None:
        self._chain: Any = None
        self._why: str | None = None
        self._ready: set[Place] = set()
        self._threads: dict[Place, threading.Thread] = {}
        self._lock = threading.Lock()

    @property
    def standing(self) -> str:
        """Where they stand, in a few words; nothing while no tensor on a card has been seen."""
        if self._why is not None:
            return f"; on a graphics card plain: {self._why}"
        if self._ready:
            return "; on a graphics card compiled"
        return "; on a graphics card plain until it is compiled" if self._threads else ""

    def takes(self, logits: Any) -> bool:
        """Whether a torch tensor lies where these kernels run."""
        return bool(logits.device.type == "cuda")

    def draw(
        self, logits: Any, seeds: np.ndarray, positions: np.ndarray, told: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """One token a row and their log-probabilities; None where the plain rules are to do it.

        logits: (rows, vocabulary) torch tensor on a card, bfloat16, float16 or float32, read where it lies.
        seeds, positions: (rows,) whole numbers in [0, 2⁶⁴).
        told: (rows or 1, rules, ENTRY) the rules of each row, or of all.
        None as well while the kernels are being compiled, which happens in the background, and if any row cannot be
        decided or drawn from.
        """
        if str(logits.dtype) not in NARROW or logits.ndim != 2 or len(logits) != len(seeds) or not logits.shape[1]:
            return None
        if not self._is_ready((logits.device, logits.dtype)):
            return None
        found = self._answers(logits, seeds, positions, told)
        if (found[:, 0] != FINE).any():
            return None
        return found[:, 1].astype(np.int64), found[:, 2].copy()

    def load(self, place: Place) -> None:
        """Compile them for a device and a dtype, or read them from Triton's cache, now."""
        torch = sys.modules["torch"]
        try:
            from logitherm.kernels.gpu import chain

            self._chain = chain
            row = torch.zeros((1, 8), dtype=place[1], device=place[0])
            self._answers(row, np.zeros(1, np.uint64), np.zeros(1, np.uint64), np.empty((1, 0, ENTRY)))
        except ImportError as error:
            self._why = f"{error.name} is not installed"
        except Exception as error:  # whatever a compiler or a driver may meet: the plain rules serve
            self._why = f"compiling failed: {error!r}"
        else:
            self._ready.add(place)

    def _is_ready(self, place: Place) -> bool:
        if place in self._ready or self._why is not None:
            return place in self._ready
        with self._lock:
            if place not in self._threads:
                thread = threading.Thread(target=self.load, args=(place,), name="logitherm-cards", daemon=True)
                self._threads[place] = thread
                thread.start()
        return False

    def _answers(self, logits: Any, seeds: np.ndarray, positions: np.ndarray, told: np.ndarray) -> np.ndarray:
        """What `chain.draws` says, on the host."""
        torch = sys.modules["torch"]
        logits = logits.detach()
        if logits.shape[1] > 1 and logits.stride(1) != 1:
            logits = logits.contiguous()
        kinds, numbers = together(told, len(logits))
        words = (np.asarray(x).astype(np.uint64).view(np.int64) for x in (seeds, positions))
        given = (torch.from_numpy(x).to(logits.device) for x in (*words, kinds, numbers))
        with torch.cuda.device_of(logits):  # Triton launches on the current device, which need not be theirs
            found: np.ndarray = self._chain.draws(logits, *given).cpu().numpy()
        return found


def together(told: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The kinds of all rows' rules, (rows, rules) int32, and their numbers, (rows, rules, NUMBERS); at least one."""
    given = told if told.shape[1] else np.full((1, 1, ENTRY), OFF, dtype=np.float64)
    each = np.broadcast_to(given, (rows, *given.shape[1:]))
    return np.array(each[..., 0], dtype=np.int32, order="C"), np.array(each[..., 1:], order="C")


CARDS = Cards()
