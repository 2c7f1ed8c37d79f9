"""The compiled kernels of a process: nobody waits for them. They are compiled, or read from Numba's cache, beside the
work, and serve from then on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from logitherm.errors import RecipeError
from logitherm.kernels.codes import NARROW
from logitherm.kernels.given import Given

WORTHWHILE = 8192
"""Rows of fewer tokens do not make anybody compile; kernels that are there serve them all the same."""

Rules = tuple[np.ndarray, np.ndarray]
"""The rules, for each row or for all, and what they add to listed tokens."""


class Kernels:
    """Not asked for yet, on their way, there, or not to be had.

    threads:    how many rows are drawn beside each other; 1 unless somebody chooses more.
    draws, run: those of `kernels.cpu.calls` once they are there, else None.
    """

    def __init__(self) -> None:
        self.draws: Callable[..., int] | None = None
        self.run: Callable[..., Any] | None = None
        self._memory: Any = None
        self._why: str | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._own = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self.threads = 1

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
            self._memory, self.run, self.draws = workspace.memory, calls.run, calls.draws

    def draw(self, logits: Given, rules: Rules, given: Sequence[np.ndarray], *answers: np.ndarray) -> int:
        """`draws` on all rows: one after another, or in blocks beside each other if `threads` says so.

        logits, rules, given: its arguments before the workspace; given and answers have an entry a row.
        answers:              its arguments after the workspace.
        """
        size = logits[0].shape[1] or logits[1].shape[1]
        if self.threads == 1:
            return self._block(size, (*logits, *rules, *given), answers)
        (rows, narrow, kind), (told, pairs) = logits, rules
        blocks = []
        for ids in np.array_split(np.arange(len(given[0])), min(self.threads, len(given[0]))):
            block = slice(ids[0], ids[-1] + 1)
            own = rows[block], narrow[block], kind, told if len(told) == 1 else told[block], pairs
            blocks.append((size, (*own, *(x[block] for x in given)), [x[block] for x in answers]))
        each = list(self._started().map(lambda block: self._block(*block), blocks))
        return max(each) if max(each) >= 0 else min(each)

    def _block(self, size: int, given: Sequence[Any], answers: Sequence[np.ndarray]) -> int:
        came = self.draws(*given, *self.workspace(size), *answers)  # type: ignore[misc]
        return self.draws(*given, *self.workspace(size, True), *answers) if came == NARROW else came  # type: ignore[misc]

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._pool._max_workers != self.threads:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="logitherm-rows")
            return self._pool

    def forked(self) -> None:
        """In a child process, which has none of its parent's threads: forget them.

        If one was compiling, it took the locks of half-imported modules with it, and nobody may wait for those.
        """
        if self._thread is not None and self.draws is None and self._why is None:
            self._why = "the process was forked while they were being compiled"
        self._lock, self._pool, self._thread = threading.Lock(), None, None

    def workspace(self, size: int, wide: bool = False) -> tuple[np.ndarray, ...]:
        """This thread's memory for rows of a size; once it was asked for a wide one, it stays wide."""
        own = self._own
        if wide or getattr(own, "size", None) != size:
            own.size, own.memory = size, self._memory(size, wide)
        memory: tuple[np.ndarray, ...] = own.memory
        return memory


KERNELS = Kernels()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=KERNELS.forked)


def set_num_threads(threads: int) -> None:
    """Draw so many rows of a batch beside each other, in threads of our own; the tokens are the same.

    threads: a whole number ≥ 1. 1, the default, is serial: for few rows, or beside a model that uses all cores.
    Raises RecipeError if it is not one.
    """
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise RecipeError(f"threads must be a whole number >= 1; got {threads!r}")
    KERNELS.threads = threads
