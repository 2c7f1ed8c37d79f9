"""What the library calls: a row through a run of rules, and a whole step. Compiled once and kept in Numba's cache."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.codes import APART, ASK, DRAWN, FINE, FLOAT32, FULL, MARKS, NARROW, OF, SPOILED, UNSURE
from logitherm.kernels.cpu.chain import MEASURED, NOT_YET, WEIGHED, attempt
from logitherm.kernels.cpu.coins import coin
from logitherm.kernels.cpu.edits import heads, patch
from logitherm.kernels.cpu.first import read_and_measure, read_and_weigh
from logitherm.kernels.cpu.floors import measuring, weighing
from logitherm.kernels.cpu.heats import COLDEST, leading, measurable
from logitherm.kernels.cpu.narrow import widen
from logitherm.kernels.cpu.rows import read
from logitherm.kernels.cpu.weights import JIT, NONE, OWNING
from logitherm.kernels.cpu.workspace import divided


def stamp(folder: Path) -> str:
    """A digest of all sources of kernels.

    Numba's cache knows a function by its own file alone: if a file beside it changes, it would go on with what it has.
    So what is cached has this in its closure, which is part of what it is known by.
    """
    sources = (path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return blake2b(b"\0".join(sources), digest_size=16).hexdigest()


@njit(**JIT)
def look(row, rules, work, exact):
    """The first look, with what else the run will want at once. Returns the largest logit, how many chunks there are,
    whether the row can be drawn from, and what was made.
    """
    t, place = leading(rules)
    if exact or t <= COLDEST:
        seen = NOT_YET
    elif place == len(rules) or weighing(rules[place]):
        seen = WEIGHED
    else:
        seen = MEASURED if measurable(rules[place]) or measuring(rules[place]) else NOT_YET
    if seen == WEIGHED:
        top, chunks, sound = read_and_weigh(row, t, work.maxima, work.tail, work.sums)
    elif seen == MEASURED:
        t = 1.0 if rules[place, 1 + OF] > 0.0 else t
        top, chunks, sound = read_and_measure(row, t, work.maxima, work.tail, work.sums, work.gaps)
    else:
        top, chunks, sound = read(row, work.maxima, work.tail)
    return top, chunks, sound, seen


ROW, RULES = types.Array(types.float32, 1, "C", readonly=True), types.Array(types.float64, 2, "C", readonly=True)
ROWS, TOLD = types.Array(types.float32, 2, "C", readonly=True), types.Array(types.float64, 3, "C", readonly=True)
COUNTS, SEEDS = types.Array(types.int64, 1, "C", readonly=True), types.Array(types.uint64, 1, "C", readonly=True)
PAIRS = types.Array(types.float64, 2, "C", readonly=True)
MEMORY = types.float32[::1], types.float64[::1], types.int32[::1], types.float32[::1]
OUTCOME = types.Tuple(
    [types.int64, types.int64, types.float64, types.int64, types.float32, types.float64, types.boolean]
)


def _compile_run(stamp: str) -> Any:
    @njit(OUTCOME(ROW, types.float64, RULES, COUNTS, types.int64, PAIRS, *MEMORY, types.boolean), cache=True, **OWNING)
    def run(row, u, rules, past, begun, pairs, floats, doubles, ids, patched, exact):
        """One row through a run of rules, and its draw.

        row: (vocabulary,) float32. u: in [0, 1). rules: (rules, ENTRY).
        past, begun, pairs: what rules at the head read (`edits.patch`). patched: a row's room for them, or none.
        floats, doubles, ids: a workspace. exact: use exact weights from the beginning.
        Returns what came of it (FINE, SPOILED, ASK, FULL), the token, its log-probability after the rules, how many
        tokens are kept (UNCUT: all that were not removed), the cut, the temperature, and whether exact weights were
        needed.
        """
        _ = stamp  # which puts it into the closure, and so into the key of Numba's cache
        head = heads(rules)
        if head:
            edited, rounded, true, n, told = patch(rules[:head], row, past, begun, pairs, patched)
            if not told:
                return ASK, -1, 0.0, 0, NONE, 1.0, exact
            row, rules = patched, rules[head:]
            work = divided(row.shape[0], floats, doubles, ids, edited[:n], rounded, true, np.empty(len(true)))
        else:
            work = divided(row.shape[0], floats, doubles, ids, ids[:0], floats[:0], doubles[:0], doubles[:0])
        top, chunks, sound, seen = look(row, rules, work, exact)
        if not sound or top == NONE:
            return SPOILED, -1, 0.0, 0, NONE, 1.0, exact
        bracket = (np.float32(1.0), np.float32(0.0))
        while True:
            answer, bracket = attempt(row, u, rules, work, top, chunks, seen, bracket, exact)
            if answer[0] != UNSURE:
                return answer
            if exact:
                return ASK, -1, 0.0, 0, NONE, 1.0, exact
            exact = True

    return run


@njit(**JIT)
def mark(row):
    """A number by which a row is known again: a sum over logits here and there."""
    total, step = 0.0, max(1, row.shape[0] // MARKS)
    for j in range(0, row.shape[0], step):
        if np.isfinite(row[j]):
            total += row[j] * (1.0 + j % 7)
    return total


def _compile_draws(stamp: str) -> Any:
    logits = ROWS, types.Array(types.int16, 2, "C", readonly=True), types.int64
    arrays = [*logits, TOLD, PAIRS, SEEDS, COUNTS, COUNTS, types.int64[:, ::1], types.int64[::1]]
    answers = [types.int64[::1], types.float64[:, ::1], types.int64[::1]]

    @njit(types.int64(*arrays, *answers, *MEMORY), cache=True, **JIT)
    def draws(
        rows,
        narrow,
        kind,
        told,
        pairs,
        seeds,
        prompt,
        lengths,
        history,
        written,
        tokens,
        seen,
        after,
        floats,
        doubles,
        ids,
        patched,
    ):
        """`run` on every row with the coin of its seed and position, and the tokens into their histories.

        rows:    (rows, vocabulary) float32, if `kind` is FLOAT32.
        narrow:  (rows, vocabulary) the bits of bfloat16 or float16, if it is one of them; 16 tokens or more.
        told:    (rows or 1, rules, ENTRY). pairs: (n, 2) ids and what is added.
        seeds, prompt, lengths: one a row, uint64, int64, int64: lengths of prompts and of histories.
        history, written: the buffer of a `Ragged` and how far it is written; the caller holds its lock.
        tokens, seen, after: where the answers go, (rows, 2) their log-probabilities and the rows' marks, new lengths.
        floats, doubles, ids, patched: a workspace.
        Returns DRAWN, APART, NARROW, or the first row that was not FINE.
        """
        _ = stamp  # which puts it into the closure, and so into the key of Numba's cache
        room = True
        for i in range(len(lengths)):
            u = coin(seeds[i], np.uint64(lengths[i] - prompt[i]))
            rules, past = told[i if len(told) > 1 else 0], history[i, : lengths[i]]
            if kind == FLOAT32:
                row = rows[i]
            else:
                widen(narrow[i], kind, patched)
                row = patched
            marked = mark(row)  # before rules at the head change it where it was widened
            outcome = run(row, u, rules, past, prompt[i], pairs, floats, doubles, ids, patched, False)
            if outcome[0] != FINE:
                return NARROW if outcome[0] == FULL else i
            tokens[i], seen[i, 0], seen[i, 1], after[i] = outcome[1], outcome[2], marked, lengths[i] + 1
            room &= lengths[i] < history.shape[1] and written[i] == lengths[i]
        if not room:
            return APART
        for i in range(len(lengths)):
            history[i, lengths[i]] = tokens[i]
            written[i] = after[i]
        return DRAWN

    return draws


SOURCES = stamp(Path(__file__).parents[1])
run = _compile_run(SOURCES)
draws = _compile_draws(SOURCES)
