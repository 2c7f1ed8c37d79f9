"""All that generation knows about weights: ids in, next-token logits and a cache out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from logitherm.arrays import Array
from logitherm.vocabulary import Vocabulary


class Cache(Protocol):
    """What a model remembers of its rows. Immutable: an old cache stays true after a step."""

    def take(self, rows: Sequence[int]) -> Self:
        """The cache of these rows, in this order; a row may be taken twice."""

    def join(self, other: Self) -> Self:
        """The rows of this cache, then the rows of the other."""

    def crop(self, lengths: Sequence[int]) -> Self:
        """The same rows, as they were when row i had seen lengths[i] tokens."""


class Model(Protocol):
    """A causal language model."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its tokens."""

    @property
    def fingerprint(self) -> str | None:
        """What tells its weights and tokens apart from others, such as a hash of them; None if nobody can say."""

    @property
    def context(self) -> int | None:
        """The most tokens that a row can hold, or None if there is no limit."""

    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[Array, Cache]:
        """Read prompts, each of one token or more; next-token logits (rows, vocabulary) and the cache."""

    def step(self, ids: Sequence[int], cache: Any) -> tuple[Array, Cache]:
        """Read one more token a row; next-token logits (rows, vocabulary) and the new cache."""
