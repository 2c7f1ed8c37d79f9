"""A run of rules on one row, each as what it does to two numbers: the temperature and the cut.

Rules that keep an upper set compose by the largest cut, temperatures by their product, so the run is (T, cut), and the
draw is of the tokens at or above the cut, weighted by exp(l / T). Every decision is made on rough sums first and counts
only if it is farther from its boundary than the sums may be wrong; else the row is done again with exact weights. So
the answer is the float64 answer.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.codes import (
    APART,
    ASK,
    DRAWN,
    FINE,
    INTERPOLATED,
    LINEAR,
    MIN_P,
    OF,
    OFF,
    SPOILED,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    UNSURE,
)
from logitherm.kernels.cpu.candidates import draw, first_k, nth_largest, nucleus_of, padded, smallest, weigh_candidates
from logitherm.kernels.cpu.coins import coin
from logitherm.kernels.cpu.lanes import CHUNK
from logitherm.kernels.cpu.nucleus import nucleus
from logitherm.kernels.cpu.rows import EXACT_SUM, ROUGH_SUM, count, gather, locate, read, weigh, weigh_kept
from logitherm.kernels.cpu.statistics import statistics, statistics_of
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE, scales
from logitherm.kernels.cpu.workspace import divided

SUREST = 1e-6
"""Entropies below this count as this much, nats."""

COLDEST = 1e-6
"""A temperature at or below this keeps one token."""


def stamp(folder: Path) -> str:
    """A digest of all sources of kernels.

    Numba's cache knows a function by its own file alone: if a file beside it changes, it would go on with what it has.
    So what is cached has this in its closure, which is part of what it is known by.
    """
    sources = (path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return blake2b(b"\0".join(sources), digest_size=16).hexdigest()


FEW = 4096
"""So many kept tokens are listed and weighed exactly; of more, chunks are summed."""


@njit(**JIT)
def heat(kind, numbers, entropy, most, varentropy, n):
    """The temperature that a dynamic rule makes of a row's statistics; n tokens are not removed."""
    if kind == LINEAR:
        share = entropy / math.log(n) if n > 1 else 0.0
        t = numbers[0] + numbers[1] * most + numbers[2] * entropy + numbers[3] * share + numbers[4] * varentropy
        return min(max(t, numbers[5]), numbers[6])
    if kind == INTERPOLATED:
        share = entropy / math.log(n) if n > 1 else 0.0
        return numbers[0] + (numbers[1] - numbers[0]) * share ** numbers[2]
    return numbers[0] * numbers[2] ** (numbers[1] / max(entropy, SUREST))


@njit(**JIT)
def own_heat(kind, now, row, work, chunks, top, t, n, slow):
    """The temperature of a dynamic rule, from the whole row before any rule, or from what reaches it at temperature t:
    n candidates that have been weighed, or (−1) the whole row.
    """
    if n >= 0 and now[OF] == 0.0:
        entropy, most, varentropy = statistics_of(work.values, work.weights, n, t, np.float64(top), slow)
        return heat(kind, now, entropy, most, varentropy, n)
    if now[OF] > 0.0:
        t, slow = 1.0, scales(top, 1.0)[1]
    entropy, most, varentropy = statistics(row, work.tail, chunks, t, slow)
    return heat(kind, now, entropy, most, varentropy, count(row, work.tail, chunks, work.maxima, LOWEST))


@njit(**JIT)
def attempt(row, u, rules, work, top, chunks, bracket, exact):
    """The same with rough weights or with exact ones; UNSURE if rough ones cannot tell, with a bracket for the next."""
    t, cut, n, last = 1.0, LOWEST, -1, len(rules) - 1  # n: how many candidates there are, −1 while it is the whole row
    fast, slow, able = scales(top, 1.0)
    nothing = (UNSURE, -1, 0.0, 0, cut, t, exact)
    for place in range(len(rules)):
        kind, now = int(rules[place, 0]), rules[place, 1:]
        if kind == OFF:
            continue
        if n < 0 and cut > LOWEST and kind != TEMPERATURE and kind != MIN_P:
            n = gather(row, work.tail, work.maxima, chunks, cut, work.values, work.ids)
            weigh_candidates(work.values, n, slow, work.weights)
        if kind == TEMPERATURE:
            if now[0] <= COLDEST:
                return _greedy(row, top, work.maxima, exact), bracket
            t *= now[0]
        elif kind == TOP_K:
            k = int(now[0])
            if 0 <= n <= k or k >= row.shape[0]:
                continue
            if n >= 0:
                n = _first_of(work, n, k)
            else:
                n = first_k(row, work.tail, work.maxima, chunks, cut, k, work.values, work.ids, work.spare)
                weigh_candidates(work.values, n, slow, work.weights)
            cut = max(cut, smallest(work.values, n))
        elif kind == MIN_P:
            limit = _at_or_above(np.float64(top) + t * now[0])
            if limit > cut:
                cut = limit
                if n >= 0:
                    n = keep_weighed(work, n, cut)
                    weigh_candidates(work.values, n, slow, work.weights)
        elif kind == TOP_P:
            if n >= 0:
                cut = max(cut, nucleus_of(work.values, work.weights, n, top, now[0], work.spare, work.spare_weights))
                n = keep_weighed(work, n, cut)
                weigh_candidates(work.values, n, slow, work.weights)
            else:
                parts = work.sums, work.values, work.ids, work.weights, work.spare, work.spare_weights, work.guessed
                found, mass, kept, certain = nucleus(
                    row, work.tail, work.maxima, chunks, top, t, now[0], bracket, fast, slow, exact or not able,
                    ROUGH_SUM, parts,
                )  # fmt: skip
                if not certain:
                    if found > NONE:
                        margin = 0.01 * t
                        bracket = np.float32(np.float64(found) - margin), np.float32(np.float64(found) + margin)
                    return nothing, bracket
                cut = found
                if place == last:
                    error = EXACT_SUM if exact or not able else ROUGH_SUM
                    token, log_p, sure = locate(
                        row, work.tail, chunks, work.sums, mass, cut, u, error, slow, work.buffer
                    )
                    if not sure and not exact:
                        return nothing, (np.nextafter(cut, NONE), cut)
                    return (FINE if token >= 0 else ASK, token, log_p, kept, cut, t, exact), bracket
                n = gather(row, work.tail, work.maxima, chunks, cut, work.values, work.ids)
                weigh_candidates(work.values, n, slow, work.weights)
        else:
            own = own_heat(kind, now, row, work, chunks, top, t, n, slow)
            if own <= COLDEST:
                return _greedy(row, top, work.maxima, exact), bracket
            t *= own
        if kind == TEMPERATURE or kind > MIN_P:
            fast, slow, able = scales(top, t)
            if not np.isfinite(t) or not np.isfinite(slow[1]) or slow[1] <= 0.0:
                return (ASK, -1, 0.0, 0, cut, t, exact), bracket
            if n >= 0:
                weigh_candidates(work.values, n, slow, work.weights)
    kept = n if n >= 0 else count(row, work.tail, chunks, work.maxima, cut)
    if n < 0 and cut > LOWEST and kept <= FEW:
        n = gather(row, work.tail, work.maxima, chunks, cut, work.values, work.ids)
        weigh_candidates(work.values, n, slow, work.weights)
    if n >= 0:
        token, log_p = draw(work.ids, work.weights, n, u)
        return (FINE, token, log_p, n, cut, t, exact), bracket
    rough = able and not exact
    if cut > LOWEST:
        total = weigh_kept(row, work.tail, work.maxima, chunks, cut, fast, slow, not rough, work.sums)
    else:
        total = weigh(row, work.tail, chunks, fast, slow, not rough, work.sums)
    error = ROUGH_SUM if rough else EXACT_SUM
    token, log_p, sure = locate(row, work.tail, chunks, work.sums, total, cut, u, error, slow, work.buffer)
    if not sure and not exact:
        return nothing, bracket
    return (FINE if token >= 0 else ASK, token, log_p, kept, cut, t, exact), bracket


@njit(**JIT)
def _greedy(row, top, maxima, exact):
    """The lowest id among the largest logits."""
    chunk = 0
    while maxima[chunk] < top:
        chunk += 1
    token = chunk * CHUNK
    while row[token] < top:
        token += 1
    return FINE, token, 0.0, 1, top, 0.0, exact


@njit(**JIT)
def _first_of(work, n, k):
    """Only the k largest candidates, ties included; returns how many."""
    for j in range(n):
        work.spare[j] = work.values[j]
    return keep_weighed(work, n, nth_largest(work.spare, n, k))


@njit(**JIT)
def keep_weighed(work, n, cut):
    """Only the candidates at or above the cut, with their weights; returns how many."""
    kept = 0
    for j in range(n):
        if work.values[j] >= cut:
            work.values[kept], work.ids[kept], work.weights[kept] = work.values[j], work.ids[j], work.weights[j]
            kept += 1
    padded(work.values, kept)
    return kept


@njit(**JIT)
def _at_or_above(limit):
    """The smallest float32 that is at least so large: comparing with it in float32 is comparing in float64."""
    near = np.float32(limit)
    return np.nextafter(near, np.float32(np.inf)) if np.float64(near) < limit else near


ROW, RULES = types.Array(types.float32, 1, "C", readonly=True), types.Array(types.float64, 2, "C", readonly=True)
ROWS, TOLD = types.Array(types.float32, 2, "C", readonly=True), types.Array(types.float64, 3, "C", readonly=True)
COUNTS, SEEDS = types.Array(types.int64, 1, "C", readonly=True), types.Array(types.uint64, 1, "C", readonly=True)
MEMORY = types.float32[::1], types.float64[::1], types.int32[::1]
OUTCOME = types.Tuple(
    [types.int64, types.int64, types.float64, types.int64, types.float32, types.float64, types.boolean]
)


def _compile_run(stamp: str) -> Any:
    @njit(OUTCOME(ROW, types.float64, RULES, *MEMORY, types.boolean), cache=True, **JIT)
    def run(row, u, rules, floats, doubles, ids, exact):
        """One row through a run of rules, and its draw.

        row: (vocabulary,) float32. u: in [0, 1). rules: (rules, ENTRY). floats, doubles, ids: a workspace.
        exact: use exact weights from the beginning.
        Returns what came of it (FINE, SPOILED, ASK), the token, its log-probability after the rules, how many tokens
        are kept, the cut, the temperature, and whether exact weights were needed.
        """
        _ = stamp  # which puts it into the closure, and so into the key of Numba's cache
        work = divided(row.shape[0], floats, doubles, ids)
        top, chunks, sound = read(row, work.maxima, work.tail)
        if not sound or top == NONE:
            return SPOILED, -1, 0.0, 0, NONE, 1.0, exact
        bracket = (np.float32(1.0), np.float32(0.0))
        while True:
            answer, bracket = attempt(row, u, rules, work, top, chunks, bracket, exact)
            if answer[0] != UNSURE:
                return answer
            if exact:
                return ASK, -1, 0.0, 0, NONE, 1.0, exact
            exact = True

    return run


def _compile_draws(stamp: str) -> Any:
    arrays = [ROWS, TOLD, SEEDS, COUNTS, COUNTS, types.int64[:, ::1], types.int64[::1]]
    answers = [types.int64[::1], types.float64[::1], types.int64[::1]]

    @njit(types.int64(*arrays, *MEMORY, *answers), cache=True, **JIT)
    def draws(rows, told, seeds, prompt, lengths, history, written, floats, doubles, ids, tokens, log_ps, after):
        """`run` on every row with the coin of its seed and position, and the tokens into their histories.

        rows:    (rows, vocabulary) float32. told: (rows or 1, rules, ENTRY).
        seeds, prompt, lengths: one a row, uint64, int64, int64: lengths of prompts and of histories.
        history, written: the buffer of a `Ragged` and how far it is written; the caller holds its lock.
        tokens, log_ps, after: where the answers go, and the new lengths.
        Returns DRAWN, APART, or the first row that was not FINE.
        """
        _ = stamp  # which puts it into the closure, and so into the key of Numba's cache
        room = True
        for i in range(rows.shape[0]):
            u = coin(seeds[i], np.uint64(lengths[i] - prompt[i]))
            outcome = run(rows[i], u, told[i if len(told) > 1 else 0], floats, doubles, ids, False)
            if outcome[0] != FINE:
                return i
            tokens[i], log_ps[i], after[i] = outcome[1], outcome[2], lengths[i] + 1
            room &= lengths[i] < history.shape[1] and written[i] == lengths[i]
        if not room:
            return APART
        for i in range(rows.shape[0]):
            history[i, lengths[i]] = tokens[i]
            written[i] = after[i]
        return DRAWN

    return draws


SOURCES = stamp(Path(__file__).parents[1])
run = _compile_run(SOURCES)
draws = _compile_draws(SOURCES)
