"""Masks from outside: rules whose every row follows a matcher, which says what tokens may come next.

A grammar engine takes part by one small adapter, a Matcher; another package may subclass Masked for one of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from logitherm.arrays import Array, keep, namespace
from logitherm.errors import LogitsError, RecipeError
from logitherm.rules.base import Rule
from logitherm.state import At, Step
from logitherm.vocabulary import Vocabulary, label


class Matcher(Protocol):
    """Where a text stands in a grammar. A value: `after` gives another and leaves this one as it was."""

    def allowed(self) -> np.ndarray:
        """(vocabulary,) bool: the tokens that may come next, apart from those that end a text."""

    def ends(self) -> bool:
        """Whether the text may end here."""

    def after(self, token: int) -> Matcher:
        """Where it stands after one of the allowed tokens."""


class Place:
    """Where a row of a masked rule stands: immutable, shared between threads, and pickled as the tokens it has read.

    tokens: what the row has drawn so far.
    wrong:  why nothing can come next, or None.
    """

    def __init__(self, rule: Masked, matcher: Matcher | None, tokens: tuple[int, ...] = (), wrong: str | None = None):
        self.tokens = tokens
        self.wrong = wrong
        self._rule = rule
        self._matcher = matcher  # None: the text has ended, or something was wrong
        self._lock = Lock()  # engines work out a mask in place

    @cached_property
    def mask(self) -> np.ndarray:
        """(vocabulary,) bool: what may come next; where the text has ended, its end once more."""
        vocabulary = self._rule.bound
        with self._lock:
            allowed = np.zeros(vocabulary.size, dtype=bool)
            if self._matcher is not None:
                allowed |= self._matcher.allowed()
            allowed[list(vocabulary.eos)] = self.wrong is None and (self._matcher is None or self._matcher.ends())
        return allowed

    def after(self, token: int) -> Place:
        """Where the row stands after one more token, allowed or not."""
        tokens, vocabulary = (*self.tokens, token), self._rule.bound
        if self.wrong is not None:
            return Place(self._rule, None, tokens, self.wrong)
        if token >= vocabulary.size or not self.mask[token]:
            wrong = f"token {token} ({label(vocabulary, token)!r}) came, which it does not allow there"
            return Place(self._rule, None, tokens, wrong)
        if self._matcher is None or token in vocabulary.eos:
            return Place(self._rule, None, tokens)
        with self._lock:
            return Place(self._rule, self._matcher.after(token), tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._rule, self.tokens)


def _again(rule: Masked, tokens: tuple[int, ...]) -> Place:
    place = rule.first
    for token in tokens:
        place = place.after(token)
    return place


class Masked(Rule):
    """The family of rules that remove what a matcher does not allow; each row has one, from its first drawn token on.

    Such a rule must be bound to a model's vocabulary, which is no part of its value: it prints, compares and is written
    to recipes without. Subclass it with `start`. LogitsError, naming the row, where nothing can come next.
    """

    vocabulary: ClassVar[Vocabulary | None] = None  # of an instance that is bound

    @abstractmethod
    def start(self, vocabulary: Vocabulary) -> Matcher:
        """The matcher before the first token; RecipeError if there can be none."""

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule for the tokens of this vocabulary."""
        if vocabulary is self.vocabulary:
            return self
        rule = replace(self)
        object.__setattr__(rule, "vocabulary", vocabulary)
        return rule

    @property
    def bound(self) -> Vocabulary:
        """The vocabulary; RecipeError if there is none."""
        if self.vocabulary is None:
            raise RecipeError(f"{self} needs a model's vocabulary: sampler.bind(model.vocabulary)")
        return self.vocabulary

    @cached_property
    def first(self) -> Place:
        """Where every row begins."""
        return Place(self, self.start(self.bound))

    def init(self, rows: int) -> np.ndarray | None:
        """(rows,) places, or None where the rule is off."""
        if self.neutral is not None and all(getattr(self, name) == value for name, value in self.neutral.items()):
            return None
        places = np.empty(rows, dtype=object)
        places.fill(self.first)
        return places

    def apply(self, logits: Array, at: At) -> Array:
        """The logits of the tokens that each row's matcher allows; ids beyond the vocabulary are removed."""
        if at.memory is None:
            return logits
        allowed = np.zeros(tuple(logits.shape), dtype=bool)
        for row, place in enumerate(at.memory):
            mask = place.mask[: logits.shape[1]]
            allowed[row, : len(mask)] = mask
            if not allowed[row].any():
                why = place.wrong or "no token of the vocabulary can come next"
                raise LogitsError(f"every token was removed after {str(self)!r}: {why}", row)
        return keep(logits, namespace(logits).asarray(allowed, device=logits.device))

    def advance(self, memory: np.ndarray | None, step: Step) -> np.ndarray | None:
        """The places after the tokens just drawn; the old ones stay true."""
        if memory is None:
            return None
        places = np.empty(len(memory), dtype=object)
        places[:] = [place.after(token) for place, token in zip(memory, step.tokens.tolist(), strict=True)]
        return places

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "first"}  # engines are not pickled
