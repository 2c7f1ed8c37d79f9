"""The texts of the playground with their logits: what a step can be looked at, replayed and branched from."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from logitherm.errors import LogithermError
from logitherm.sampler import Sampler
from logitherm.state import State
from logitherm.vocabulary import Vocabulary

CAP = 512 << 20
"""Bytes that are held for all texts together; the texts longest unused are forgotten first."""

TOLD = 4096
"""Bytes of what is kept of a token besides its logits, a little above what was measured: its event and its state."""

CACHES = 4
"""Texts of which the model's memory is kept, so that a branch need not be read again: those begun last."""


class Gone(LogithermError):
    """A text that the server no longer holds."""


@dataclass(eq=False)
class Text:
    """A text, or a branch of one: what a recipe drew after a prompt, and where another token was put in its way.

    It may be read while it is being written: it is as long as its events, which come last.

    sampler: bound to the model's vocabulary; recipe is its text.
    chat:    whether the prompt is a user's message.
    parent, shared: the text that it branched from, and how many tokens it has in common with that.
    mixed:   whether tokens before the last branch were drawn by another recipe.
    states:  the state before each token, and after the last; logits: (vocabulary,) the row that each was drawn from.
    cache:   what the model remembers of it, and of how many tokens.
    """

    prompt: str
    ids: tuple[int, ...]
    sampler: Sampler
    recipe: str
    seed: int
    chat: bool = False
    parent: str | None = None
    shared: int = 0
    mixed: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    tokens: list[int] = field(default_factory=list)
    forced: set[int] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    cache: Any = None
    stop: str | None = None

    def __len__(self) -> int:
        return len(self.events)

    def add(self, row: np.ndarray, token: int, after: State, event: dict[str, Any]) -> None:
        """One token more."""
        self.logits.append(row)
        self.states.append(after)
        self.tokens.append(token)
        self.events.append(event)

    def step(self, place: int) -> tuple[np.ndarray, State]:
        """(1, vocabulary) the logits that a token was drawn from, and the state before it; place is from 0."""
        if not 0 <= place < len(self):
            raise LogithermError(f"step must be in [1, {len(self)}]; got {place + 1}")
        return self.logits[place][None], self.states[place]

    def under(self, sampler: Sampler | None, vocabulary: Vocabulary, places: int) -> tuple[Sampler, Sequence[State]]:
        """A recipe, bound, and the states before the first so many tokens and after them, as its rules would have seen
        them; None: the text's own.
        """
        if sampler is None:
            return self.sampler, self.states[: places + 1]
        bound = sampler.bind(vocabulary)
        states = [bound.start([self.ids], self.seed)]
        learns = any(memory is not None for memory in states[0].memory)
        for place, token in enumerate(self.tokens[:places]):
            before = states[-1]
            after = bound.observe(self.step(place)[0], before, [token]).state if learns else before.push(_one(token))
            states.append(after)
        return bound, states


def _one(token: int) -> np.ndarray:
    return np.array([token])


class Texts:
    """All texts by id. Safe to use from several threads.

    cap:  bytes to hold at most, of logits and of what is told of each token.
    turn: held while the model works, for not every model may be asked by two threads at once.
    """

    def __init__(self, cap: int = CAP) -> None:
        self.cap = cap
        self.turn = Lock()
        self._texts: dict[str, Text] = {}  # those longest unused first
        self._held = 0  # at least as much as is held: branches share rows, which counts only when there is no room
        self._lock = Lock()

    def new(self, text: Text) -> Text:
        """Take in a text. LogithermError if it alone is larger than the cap."""
        with self._lock:
            self._held += _size(text)
            self._texts[text.id] = text
            self._make_room(text, 0)
            for old in list(self._texts.values())[:-CACHES]:
                old.cache = None
        return text

    def find(self, name: str) -> Text:
        """The text of an id, which counts as a use of it. Gone if there is none."""
        with self._lock:
            return self._used(name)

    def make_room(self, text: Text, size: int) -> None:
        """Let go of the texts longest unused until there is room for so many bytes more of a text.

        Gone if the text itself had to go meanwhile, LogithermError if it alone is larger than the cap.
        """
        with self._lock:
            self._used(text.id)
            self._make_room(text, size)

    def held(self) -> int:
        """The bytes that are held; branches share the rows of the text that they branched from."""
        rows = {id(row): row.nbytes + TOLD for text in self._texts.values() for row in text.logits}
        return sum(rows.values()) + sum(map(_size, self._texts.values()))

    def _used(self, name: str) -> Text:
        text = self._texts.pop(name, None)
        if text is None:
            raise Gone(
                "this text is not here any more: the server was started again, or let it go to make room for newer "
                "ones; write it again"
            )
        self._texts[name] = text
        return text

    def _make_room(self, text: Text, size: int) -> None:
        self._held += size
        while self._held > self.cap:
            self._held = self.held() + size
            oldest = next(iter(self._texts))
            if self._held > self.cap and oldest == text.id:
                raise LogithermError(
                    f"this text fills the {self.cap >> 20:,} MB that the server holds of all texts; start it with more "
                    "(--memory)"
                )
            if self._held > self.cap:
                del self._texts[oldest]


def _size(text: Text) -> int:
    """Bytes of a text without its tokens."""
    return TOLD + 4 * len(text.prompt) + 64 * len(text.ids)
