"""The compiled kernels of a process: nobody waits for them. They are compiled, or read from Numba's cache, beside the
work, and serve from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

WORTHWHILE = 8192
"""Rows of fewer tokens do not make anybody compile; kernels that are there serve them all the same."""


class Kernels:
    """Not asked for yet, on their way, there, or not to be had.

    draws: `kernels.cpu.calls.draws` once it is there, else None.
    """

    def __init__(self) -> None:
        self.draws: Callable[..., int] | None = None
        self._memory: Any = None
        self._why: str | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._own = threading.local()

    @property
    def standing(self) -> str:
        """Where they stand, in a few words."""
        if self.draws is not None:
            return "compiled"
        return "plain until it is compiled" if self._why is None else f"plain: {self._why}"

    def ask(self, size: int) -> None:
        """See to it, in the background, for rows of so many tokens."""
        if size >= WORTHWHILE and self._why is None and self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self.load, name="logitherm-kernels", daemon=True)
                    self._thread.start()

    def load(self) -> None:
        """Compile them, or read them from Numba's cache, now."""
        try:
            from logitherm.kernels.cpu import calls, workspace
        except ImportError as error:
            self._why = f"{error.name} is not installed"
        except Exception as error:  # whatever a compiler may meet: the plain bodies serve
            self._why = f"compiling failed: {error!r}"
        else:
            self._memory, self.draws = workspace.memory, calls.draws

    def workspace(self, size: int, wide: bool = False) -> tuple[np.ndarray, ...]:
        """This thread's memory for rows of a size; once it was asked for a wide one, it stays wide."""
        own = self._own
        if wide or getattr(own, "size", None) != size:
            own.size, own.memory = size, self._memory(size, wide)
        memory: tuple[np.ndarray, ...] = own.memory
        return memory


KERNELS = Kernels()
