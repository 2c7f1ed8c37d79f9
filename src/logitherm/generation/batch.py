"""The rows that run side by side: they join when there is room and leave when they are done, and none sees the
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from logitherm.arrays import Array, is_torch, namespace
from logitherm.errors import LogitsError
from logitherm.model import Model
from logitherm.sampler import Sampler
from logitherm.state import State, Step


class Batch:
    """A model, a sampler, and the rows in flight.

    waiting: the rows that have not begun, as the sampler's `start` made them; they are known by their number there.
    size:    the most rows to run at once.
    """

    def __init__(self, model: Model, sampler: Sampler, waiting: State, size: int) -> None:
        self._model = model
        self._sampler = sampler
        self._waiting = waiting
        self._size = size
        self._next = 0
        self.rows: list[int] = []
        self._state: State | None = None
        self._cache: Any = None
        self._logits: Any = None

    def admit(self) -> bool:
        """Let waiting rows join while there is room; false if there is no row at all."""
        room = min(self._size - len(self.rows), len(self._waiting) - self._next)
        new = list(range(self._next, self._next + room))
        self._next += room
        if new:
            state = self._waiting.take(new)
            logits, cache = prefill(self._model, [tuple(ids.tolist()) for ids in state.tokens])
            if self._state is None:
                self._state, self._cache, self._logits = state, cache, logits
            else:
                self._state, self._cache = self._state.join(state), self._cache.join(cache)
                self._logits = namespace(logits).concatenate([self._logits, logits])
            self.rows += new
        return bool(self.rows)

    def draw(self) -> tuple[Step | None, State | None, dict[int, LogitsError]]:
        """Draw one token for every row; rows that cannot be drawn from leave.

        Returns the step, the state before it (both None if no row is left), and what was wrong with the rows that left.
        """
        failed: dict[int, LogitsError] = {}
        while self._state is not None:
            try:
                return self._sampler.step(self._logits, self._state), self._state, failed
            except LogitsError as error:
                if error.row is None:
                    raise
                failed[self.rows[error.row]] = LogitsError(error.what, self.rows[error.row])
                self.leave([self.rows[error.row]])
        return None, None, failed

    def advance(self, step: Step, done: Sequence[int]) -> None:
        """Take the step as done; rows that are finished leave, and the model reads the new tokens of the others."""
        self._state, self._logits = step.state, None  # the model is about to give new ones
        tokens = step.tokens
        if done:
            tokens = tokens[self._places(done)]
            self.leave(done)
        if self.rows:
            logits, self._cache = self._model.step(tokens.tolist(), self._cache)
            self._logits = in_numpy(logits)

    def leave(self, gone: Sequence[int]) -> None:
        """These rows leave; the others go on."""
        places = self._places(gone)
        self.rows = [self.rows[place] for place in places]
        if not places:
            self._state = self._cache = self._logits = None
            return
        assert self._state is not None
        self._state, self._cache = self._state.take(places), self._cache.take(places)
        if self._logits is not None:
            self._logits = self._logits[np.array(places)]

    def _places(self, gone: Sequence[int]) -> list[int]:
        """Where the rows that stay are now: the last of them take the places that become free, so that a cache which
        keeps rows side by side need not move the others.
        """
        stay = [place for place, row in enumerate(self.rows) if row not in gone]
        last = (place for place in stay if place >= len(stay))
        return [next(last) if self.rows[place] in gone else place for place in range(len(stay))]


def prefill(model: Model, prompts: Sequence[tuple[int, ...]]) -> tuple[Any, Any]:
    """Logits and cache after the prompts; a prompt that several rows share is read once."""
    unique = list(dict.fromkeys(prompts))
    logits, cache = model.prefill(unique)
    logits = in_numpy(logits)
    if len(unique) == len(prompts):
        return logits, cache
    places = [unique.index(prompt) for prompt in prompts]
    return logits[np.array(places)], cache.take(places)


def in_numpy(logits: Array) -> Array:
    """The same memory as a NumPy array if it is a float32 tensor on the CPU, where plain rules take NumPy half the time
    or less; else the logits as they are.
    """
    if is_torch(logits) and logits.device.type == "cpu" and logits.dtype == namespace(logits).float32:
        return logits.detach().numpy()
    return logits
