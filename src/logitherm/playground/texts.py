"""The texts of the playground with their logits: what a step can be looked at, replayed and branched from."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from logitherm.errors import LogithermError
from logitherm.sampler import Sampler
from logitherm.state import State

CAP = 512 << 20
"""Bytes of logits that are held for all texts together; those of the texts longest unused go first."""

MOST = 1000
"""Texts that are known at once; the longest unused are forgotten altogether."""


class Gone(LogithermError):
    """A text, or its logits, that the server no longer holds."""


@dataclass(eq=False)
class Text:
    """A text, or a branch of one: what a recipe drew after a prompt, and where another token was put in its way.

    sampler: bound to the model's vocabulary; recipe is its text.
    parent, shared: the text that it branched from, and how many tokens it has in common with that.
    mixed:   whether tokens before the last branch were drawn by another recipe.
    states:  the state before each token; logits: (vocabulary,) the row that each was drawn from, None once let go.
    cache:   what the model remembers of it, and of how many tokens.
    """

    id: str
    prompt: str
    ids: tuple[int, ...]
    sampler: Sampler
    recipe: str
    seed: int
    parent: str | None = None
    shared: int = 0
    mixed: bool = False
    tokens: list[int] = field(default_factory=list)
    forced: set[int] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    logits: list[np.ndarray] | None = field(default_factory=list)
    cache: Any = None
    stop: str | None = None

    def step(self, place: int) -> tuple[np.ndarray, State]:
        """(1, vocabulary) the logits that a token was drawn from, and the state before it; place is from 0."""
        if self.logits is None:
            raise Gone("the logits of this text were let go to make room for newer ones; write it again")
        if not 0 <= place < len(self.logits):
            raise LogithermError(f"step must be in [1, {len(self.logits)}]; got {place + 1}")
        return self.logits[place][None], self.states[place]


class Texts:
    """All texts by id. cap: bytes of logits to hold at most. Safe to use from several threads."""

    def __init__(self, cap: int = CAP) -> None:
        self._texts: dict[str, Text] = {}  # those longest unused first
        self.cap = cap
        self._held = 0
        self._lock = Lock()

    def new(self, make: Callable[[str], Text]) -> Text:
        """Take in a text that is made with a new id."""
        text = make(secrets.token_urlsafe(8))
        with self._lock:
            self._texts[text.id] = text
            while len(self._texts) > MOST:
                del self._texts[next(iter(self._texts))]
        return text

    def find(self, name: str) -> Text:
        """The text of an id, which counts as a use of it. Gone if there is none."""
        with self._lock:
            text = self._texts.pop(name, None)
            if text is None:
                raise Gone(
                    "this text is not here any more: the server was started again, or holds too many; write it again"
                )
            self._texts[name] = text
        return text

    def make_room(self, size: int) -> None:
        """Let go of logits until there is room for so many bytes more."""
        with self._lock:
            self._held += size
            if self._held <= self.cap:
                return
            self._held = self.held() + size
            for text in list(self._texts.values())[:-1]:
                if self._held <= self.cap:
                    return
                text.logits, text.cache = None, None
                self._held = self.held() + size

    def held(self) -> int:
        """The bytes of logits that are held; branches share those of the text that they branched from."""
        rows = {id(row): row.nbytes for text in self._texts.values() for row in text.logits or ()}
        return sum(rows.values())
