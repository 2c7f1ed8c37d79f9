"""Any function from token ids to logits as a model: an LSTM, an n-gram table, a remote service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from logitherm.arrays import Array, namespace
from logitherm.errors import LogitsError
from logitherm.vocabulary import Vocabulary


@dataclass(frozen=True)
class Row:
    """What one row has read, and what the function remembers of it; `stale` once a crop made that untrue."""

    seen: tuple[int, ...]
    memory: Any = None
    stale: bool = True


@dataclass(frozen=True)
class Rows:
    """The cache of a callable model. A cropped row is read again from its first token when it goes on."""

    rows: tuple[Row, ...]

    def take(self, rows: Sequence[int]) -> Rows:
        """These rows, in this order; copies share what the function returned, which it must not change in place."""
        return Rows(tuple(self.rows[i] for i in rows))

    def join(self, other: Rows) -> Rows:
        """The rows of this, then the rows of the other."""
        return Rows(self.rows + other.rows)

    def crop(self, lengths: Sequence[int]) -> Rows:
        """Row i as it was after lengths[i] tokens."""
        pairs = zip(self.rows, lengths, strict=True)
        return Rows(tuple(r if n == len(r.seen) else Row(r.seen[:n]) for r, n in pairs))


class CallableModel:
    """A model made of a function, called once a row.

    function:   stateless: `function(ids) -> logits`, where ids are all tokens of the row so far.
                stateful:  `function(new_ids, memory) -> (logits, memory)`, where memory is what it returned last
                time for this row, None at first; new_ids is the prompt, then one token at a time. It must return a
                new memory rather than change the old one.
                logits are (vocabulary,), NumPy or torch, for the token that comes next.
    vocabulary:  its tokens.
    name, context, fingerprint: as in `logitherm.model.Model`; a trace file keeps the fingerprint.
    Raises LogitsError if the function returns logits of another size than the vocabulary.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        vocabulary: Vocabulary,
        *,
        stateful: bool = False,
        name: str = "callable",
        context: int | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.vocabulary = vocabulary
        self.context = context
        self._function = function
        self._stateful = stateful

    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[Array, Rows]:
        """Next-token logits (rows, vocabulary) after the prompts, and the cache."""
        return self._call([(Row(()), tuple(row)) for row in rows])

    def step(self, ids: Sequence[int], cache: Rows) -> tuple[Array, Rows]:
        """Next-token logits (rows, vocabulary) after one more token a row, and the new cache."""
        return self._call([(row, (int(token),)) for row, token in zip(cache.rows, ids, strict=True)])

    def _call(self, work: list[tuple[Row, tuple[int, ...]]]) -> tuple[Array, Rows]:
        logits, rows = [], []
        for row, new in work:
            seen = row.seen + new
            if self._stateful:
                line, memory = self._function(list(seen if row.stale else new), row.memory)
            else:
                line, memory = self._function(list(seen)), None
            if not hasattr(line, "shape"):
                line = np.asarray(line, dtype=np.float64)
            if tuple(line.shape) != (self.vocabulary.size,):
                raise LogitsError(
                    f"{self.name} must return logits of shape ({self.vocabulary.size},); got {tuple(line.shape)}"
                )
            logits.append(line)
            rows.append(Row(seen, memory, stale=False))
        return namespace(logits[0]).stack(logits), Rows(tuple(rows))
