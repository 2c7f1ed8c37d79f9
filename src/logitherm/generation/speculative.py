"""Speculative decoding: a draft model proposes some tokens, the model reads them, and each is taken or replaced so that
every token has the distribution that the model and the recipe give it.

Sources: Leviathan, Kalman, Matias, "Fast Inference from Transformers via Speculative Decoding", arXiv:2211.17192,
algorithm 1; Chen et al., "Accelerating Large Language Model Decoding with Speculative Sampling", arXiv:2302.01318,
algorithm 2. A proposal x ~ q is taken with probability min(1, p(x) / q(x)), and is else replaced by a draw from
max(0, p − q): so it is taken with probability 1 − TV(p, q) on average. p and q are what the whole recipe makes of the
two models' logits, its memory and its penalties included.

The numbers behind a token are its row's, at its position: the proposal's that of an ordinary draw (so that a model
which drafts for itself gives the tokens it gives without), and two lanes of this file's own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from logitherm.arrays import numpy, softmax
from logitherm.draw import draw
from logitherm.errors import LogitsError, PromptError
from logitherm.generation.batch import in_numpy, prefill
from logitherm.model import Model
from logitherm.models.guidance import same_tokens
from logitherm.rng import lane, uniform
from logitherm.sampler import Sampler
from logitherm.state import State, Step

ACCEPT, REPLACE = lane("speculative accept#1"), lane("speculative replace#1")
"""The lanes of the coin that takes a proposal and of the draw that replaces it."""

Failed = dict[int, LogitsError]
Proposal = tuple[int, np.ndarray]
"""A token that the draft proposes, and the distribution (vocabulary,) that it was drawn from."""

Proposed = dict[int, Proposal]
"""The proposals of some places."""

Drawn = tuple[list[int], Step | None, State | None, Failed]
"""The rows of a step, the step, the state before it, and what was wrong with rows that left."""

Steps = Generator[Drawn, Sequence[int], None]
"""Steps, which are told in turn which of their rows are done."""


class Speculation:
    """The rows in flight, as a Batch has them, but drawn by speculation: a step is of some of them at a time.

    model, draft: which give the distribution, and the proposals; of the same tokens.
    waiting: the rows that have not begun.
    size:    the most rows to run at once.
    ahead:   how many tokens to propose at a time, 1 or more.
    Raises ModelError if the tokens differ, PromptError if a prompt is too long for the draft.
    """

    def __init__(self, model: Model, draft: Model, sampler: Sampler, waiting: State, size: int, ahead: int) -> None:
        same_tokens(model, draft)
        longest = int(waiting.prompt.max(initial=0))
        if draft.context is not None and longest > draft.context:
            raise PromptError(f"the prompt has {longest:,} tokens; {draft.name}, the draft, holds {draft.context:,}")
        self._model, self._draft, self._sampler = model, draft, sampler
        self._waiting, self._size, self._ahead = waiting, size, ahead
        self._next = 0
        self._flying: list[int] = []
        self._state: State | None = None
        self._caches: tuple[Any, Any] = (None, None)
        self._going = self._go()
        self._done: Sequence[int] | None = None
        self.rows: list[int] = []

    def admit(self) -> bool:
        """Work out the next step; false if there is no row at all."""
        try:
            self._found = self._going.send(self._done)  # type: ignore[arg-type]  # None begins it
        except StopIteration:
            return False
        self.rows = self._found[0]
        return True

    def draw(self) -> tuple[Step | None, State | None, Failed]:
        """The step, the state before it (None if no row is left), and what was wrong with the rows that left."""
        self._done = ()
        return self._found[1:]

    def advance(self, step: Step, done: Sequence[int]) -> None:
        """Take the step as done; rows that are finished leave."""
        self._done = done

    def _go(self) -> Steps:
        while self._flying or self._next < len(self._waiting):
            if len(self._flying) < self._size and self._next < len(self._waiting):
                yield from self._open()
            if self._state is not None:
                yield from self._round(self._state)

    def _open(self) -> Steps:
        """New rows: both models read the prompts, and the first tokens are ordinary draws."""
        end = min(self._next + self._size - len(self._flying), len(self._waiting))
        rows, self._next = list(range(self._next, end)), end
        state = self._waiting.take(rows)
        prompts = [tuple(ids.tolist()) for ids in state.tokens]
        logits, cache = prefill(self._model, prompts)
        caches = cache, prefill(self._draft, prompts)[1]
        failed: Failed = {}
        places, lines, state, final = self._shaped(list(range(len(rows))), logits, state, failed, rows)
        if not places:
            yield [], None, None, failed
            return
        step = self._sampler.observe(lines, state, draw(final, uniform(state.seed, state.position)))
        done = yield [rows[place] for place in places], step, state, failed
        stay = [i for i, place in enumerate(places) if rows[place] not in done]
        if stay:
            kept = [places[i] for i in stay]
            self._join([rows[place] for place in kept], step.state.take(stay), [c.take(kept) for c in caches])

    def _join(self, rows: list[int], state: State, caches: Sequence[Any]) -> None:
        if self._state is None:
            self._flying, self._state, self._caches = rows, state, (caches[0], caches[1])
            return
        self._flying, self._state = self._flying + rows, self._state.join(state)
        self._caches = self._caches[0].join(caches[0]), self._caches[1].join(caches[1])

    def _round(self, start: State) -> Steps:
        """One round: the draft proposes, the model reads, and tokens come until each row's first replaced one or one
        more than was proposed. Both caches hold all but the last token of each row, before and after.
        """
        lengths = start.history.lengths
        fed, proposals, counts, drafted = self._propose(start)
        read, cache = [], self._caches[0]
        for i, ids in enumerate(fed):
            logits, cache = feed(self._model, ids, cache, lengths - 1, np.minimum(i, counts), i)
            read.append(in_numpy(logits))
        rows, state, places = self._flying, start, list(range(len(start)))
        kept: list[int] = []
        states: list[State] = []
        for i, logits in enumerate(read):
            failed: Failed = {}
            places, lines, state, final = self._shaped(places, logits, state, failed, rows)
            if not places:
                yield [], None, None, failed
                break
            tokens, taken = choose(final, state, [proposals[i][k] if i < counts[k] else None for k in places])
            step = self._sampler.observe(lines, state, tokens)
            done = yield [rows[place] for place in places], step, state, failed
            ended = [k for k, place in enumerate(places) if not taken[k] and rows[place] not in done]
            if ended:
                states.append(step.state.take(ended))
                kept += [places[k] for k in ended]
            on = [k for k, place in enumerate(places) if taken[k] and rows[place] not in done]
            state, places = step.state.take(on), [places[k] for k in on]
            if not places:
                break
        self._flying = [rows[place] for place in kept]
        self._state = State.join(*states) if states else None
        if self._state is not None:
            ends = (self._state.history.lengths - 1).tolist()
            room = self._draft.context or max(ends)
            mine, theirs = cache.take(kept).crop(ends), drafted.take(kept).crop([min(n, room) for n in ends])
            self._caches = mine, theirs

    def _propose(self, start: State) -> tuple[list[list[int]], list[Proposed], np.ndarray, Any]:
        """What both models are fed (a list a column), for each place the proposals of its row with their distributions,
        how many there are, and the draft's cache after all of them.
        """
        lengths = start.history.lengths
        rooms = [m.context - lengths for m in (self._model, self._draft) if m.context is not None]
        counts = np.clip(np.min([np.full(len(start), self._ahead), *rooms], axis=0), 0, None)
        seen = lengths - 1 if self._draft.context is None else np.minimum(lengths, self._draft.context) - 1
        places = [k for k in range(len(start)) if counts[k] > 0]
        fork, cache = start.take(places), self._caches[1]
        if (seen < lengths - 1).any():  # the draft is full: it reads, proposes nothing, and nobody looks
            cache = cache.crop(seen.tolist())
        fed: list[list[int]] = [[int(ids[-1]) for ids in start.tokens]]
        proposals: list[Proposed] = []
        while True:
            i = len(proposals)
            logits, cache = feed(self._draft, fed[i], cache, seen, np.minimum(i, counts), i)
            if not places:
                return fed, proposals, counts, cache
            found: Proposed = {}
            waiting = places
            places, lines, fork, final = self._shaped(places, in_numpy(logits), fork, {}, self._flying)
            counts[[place for place in waiting if place not in places]] = i
            if places:
                tokens = draw(final, uniform(fork.seed, fork.position))
                q = numpy(softmax(final))
                found = {place: (int(tokens[k]), q[k]) for k, place in enumerate(places)}
                step = self._sampler.observe(lines, fork, tokens)
                on = [k for k, place in enumerate(places) if counts[place] > i + 1]
                fork, places = step.state.take(on), [places[k] for k in on]
            if not found:
                return fed, proposals, counts, cache
            proposals.append(found)
            fed.append([found[k][0] if k in found else last for k, last in enumerate(fed[i])])

    def _shaped(
        self, places: list[int], logits: Any, state: State, failed: Failed, rows: Sequence[int]
    ) -> tuple[list[int], Any, State, Any]:
        """The places that can be drawn from, their logits, states, and logits after the chain. `state` is of the
        places, `logits` of all; what was wrong with the others is put into `failed`, by their row.
        """
        while places:
            lines = logits[np.array(places)]
            try:
                return places, lines, state, self._sampler.apply(lines, state)
            except LogitsError as error:
                if error.row is None:
                    raise
                row = rows[places[error.row]]
                failed[row] = LogitsError(error.what, row)
                state = state.take([k for k in range(len(places)) if k != error.row])
                places = [place for k, place in enumerate(places) if k != error.row]
        return [], None, state, None


def choose(final: Any, state: State, proposed: Sequence[Proposal | None]) -> tuple[np.ndarray, list[bool]]:
    """(rows,) the tokens of a step, and which of them are proposals that were taken.

    final:    (rows, vocabulary) the model's logits after the chain.
    proposed: for each row the proposal and the distribution (vocabulary,) that it was drawn from; None asks for an
              ordinary draw.
    """
    p = numpy(softmax(final))
    tokens = draw(final, uniform(state.seed, state.position))
    coins, others = (uniform(state.seed, state.position, number) for number in (ACCEPT, REPLACE))
    taken = [False] * len(proposed)
    for k, proposal in enumerate(proposed):
        if proposal is None:
            continue
        tokens[k], q = proposal
        rest = np.maximum(p[k] - q, 0.0)
        taken[k] = bool(coins[k] * q[tokens[k]] < p[k, tokens[k]]) or not rest.any()  # p and q but for rounding
        if not taken[k]:
            with np.errstate(divide="ignore"):
                tokens[k] = draw(np.log(rest)[None], others[k : k + 1])[0]
    return tokens, taken


def feed(model: Model, ids: list[int], cache: Any, seen: np.ndarray, own: np.ndarray, i: int) -> tuple[Any, Any]:
    """Let a model read column i; a row without so many proposals reads its last token at its last place again."""
    if (own < i).any():
        cache = cache.crop((seen + own).tolist())
    return model.step(ids, cache)
