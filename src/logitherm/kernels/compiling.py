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

Arrays = Sequence[np.ndarray]


class Own(threading.local):
    """A thread's own workspace, for rows of one size."""

    size = 0
    memory: tuple[np.ndarray, ...] = ()


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
        self._own = Own()
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

    def draw(self, size: int, logits: Given, rules: Rules, known: Arrays, answers: Arrays) -> int:
        """`draws` on all rows, one after another.

        size: how many logits a row has. logits, rules, known, answers: its arguments but the workspace; the last two
        have an entry a row.
        """
        came = self.draws(*logits, *rules, *known, *answers, *self.workspace(size))  # type: ignore[misc]
        if came == NARROW:
            came = self.draws(*logits, *rules, *known, *answers, *self.workspace(size, True))  # type: ignore[misc]
        return came

    def draw_beside(self, size: int, logits: Given, rules: Rules, known: Arrays, answers: Arrays) -> int:
        """The same in blocks of rows beside each other, as many as `threads` says."""
        (rows, narrow, kind), (told, pairs) = logits, rules

        def block(ids: np.ndarray) -> int:
            own = slice(ids[0], ids[-1] + 1)
            mine = told if len(told) == 1 else told[own], pairs
            return self.draw(
                size, (rows[own], narrow[own], kind), mine, [x[own] for x in known], [x[own] for x in answers]
            )

        blocks = np.array_split(np.arange(len(known[0])), min(self.threads, len(known[0])))
        came = list(self._started().map(block, blocks))
        return max(came) if max(came) >= 0 else min(came)

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
        if wide or own.size != size:
            own.memory, own.size = self._memory(size, wide), size
        return own.memory


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
