"""Rules that go down the largest logits in their order until they know enough: min_k, top_h and tfs.

Nobody knows before how far that is: they look at the FIRST largest, then at FARTHER times as many, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.codes import ASK, FINE, FULL, UNSURE
from logitherm.kernels.cpu.blocks import exact_weights
from logitherm.kernels.cpu.candidates import padded, smallest
from logitherm.kernels.cpu.lanes import CHUNK, Lanes, over_chunks, pairwise
from logitherm.kernels.cpu.largest import descend, first_k
from logitherm.kernels.cpu.rows import OVERFULL
from logitherm.kernels.cpu.weights import JIT, LOWEST

FIRST, FARTHER = 64, 4
HUNDRED = 100

DEEPEST = 4096
"""A cut of top_h or tfs that lies deeper is left to the plain rules."""

STRAIGHT = 1e-6
"""Where the bends sum to no more probability, they count alike (`rules.tail_free`)."""

DIGITS = 1e-12
"""How far two ways to add up the same numbers ≥ 0 may differ, relatively."""

ZERO = 1e-14
"""Sums of p · log p below this are rounding: 1 is the weight of the largest to the last digits only."""


@over_chunks(types.float32)
def lowest(chunk: list[Lanes]) -> Sequence[Any]:
    """The negative of the smallest logit that is not removed, or -inf."""
    return [pairwise([(-x).where(x >= float(LOWEST), -math.inf) for x in chunk], Lanes.or_more).most()]


@njit(**JIT)
def downwards(row, work, chunks, n, wanted):
    """The so many largest logits of a row, with all that tie with the last, or (n ≥ 0) all n candidates, into
    `work.spare`, largest first. Returns how many, or OVERFULL, and whether no others are left.
    """
    m = n
    if n < 0:
        m = first_k(row, work.tail, work.maxima, chunks, LOWEST, wanted, work.values, work.ids, work.spare)
        if m == OVERFULL:
            return m, False
    for j in range(m):
        work.spare[j] = work.values[j]
    descend(work.spare, m)
    return m, n >= 0 or m < wanted


@njit(**JIT)
def _weigh(work, m, slow):
    """The weights of the m largest, into `work.spare_weights`."""
    exact_weights((work.spare, work.spare_weights), padded(work.spare, m), slow)


@njit(**JIT)
def entropy_bound(bound, off, row, work, chunks, n, top, t, slow, exact):
    """The limit of top_h: the last logit down to which the entropy is at most `bound`, which may be off by `off`.

    With the largest weighing 1 and W the others' weights, it is log(1 + W) − Σ w · d / T / (1 + W), d = x − largest.
    """
    wanted, unit, highest = FIRST, 2.0 ** -slow[2], np.float64(top)
    off += DIGITS * bound
    while wanted <= DEEPEST:
        m, every = downwards(row, work, chunks, n, wanted)
        if m == OVERFULL:
            return FULL, highest, 0.0
        _weigh(work, m, slow)
        others, gaps = 0.0, 0.0
        for i in range(1, m):
            weight, gap = work.spare_weights[i] * unit, (np.float64(work.spare[i]) - highest) / t
            others, gaps = others + weight, gaps + weight * gap
            reached = math.log1p(others) - gaps / (1.0 + others)
            if reached > bound + off:
                return FINE, np.float64(work.spare[i - 1]), 0.0
            if reached > bound - off:
                return ASK if exact else UNSURE, highest, 0.0
        if every:
            return FINE, -np.inf, 0.0
        wanted *= FARTHER
    return ASK, highest, 0.0


@njit(**JIT)
def first_hundred(alpha, row, work, chunks, n, top, t, slow):
    """The limit of top_h in transformers' form: the last logit down to which the sum of −p log p, p being of the first
    hundred, is at most alpha times the sum of all of these.
    """
    highest = np.float64(top)
    m, every = downwards(row, work, chunks, n, HUNDRED)
    if m == OVERFULL:
        return FULL, highest, 0.0
    some, unit = min(m, HUNDRED), 2.0 ** -slow[2]
    _weigh(work, m, slow)
    total, whole, reached = 0.0, 0.0, 0.0
    for i in range(some):
        total += work.spare_weights[i] * unit
    for turn in range(2):
        for i in range(some):
            gap = (np.float64(work.spare[i]) - highest) / t
            term = work.spare_weights[i] * unit / total * (math.log(total) - gap)
            if turn == 0:
                whole += term
                continue
            reached += term
            if abs(reached - alpha * whole) <= DIGITS * alpha * whole + ZERO:
                return ASK, highest, 0.0
            if reached > alpha * whole:
                return FINE, np.float64(work.spare[max(i - 1, 0)]), 0.0
    return FINE, -np.inf if every and m <= HUNDRED else np.float64(work.spare[some - 1]), 0.0


@njit(**JIT)
def tail(z, mass, row, work, chunks, n, top, slow):
    """The limit of tfs: the last logit down to which the sorted probabilities have spent a part z of their bend.

    mass: the sum of all weights, the largest being 1; roughly. The bends below the m largest add up to at most twice
    the smallest weight but one of these, since each is at most two of the differences, which sum to it.
    """
    wanted, highest, unit = FIRST, np.float64(top), 2.0 ** -slow[2]
    while wanted <= DEEPEST:
        m, every = downwards(row, work, chunks, n, wanted)
        if m == OVERFULL:
            return FULL, highest, 0.0
        if m < 3:
            return FINE, -np.inf, 0.0
        _weigh(work, m, slow)
        w, least = work.spare_weights, 0.0
        for i in range(1, m - 1):
            least += abs(w[i - 1] - 2.0 * w[i] + w[i + 1])
        most = least if every else least + 2.0 * w[m - 2]
        i, spent, stays = 1, 0.0, least * unit > 2.0 * STRAIGHT * mass
        off = DIGITS * mass / (least * unit) if stays else np.inf
        while stays and i < m - 1:
            spent += abs(w[i - 1] - 2.0 * w[i] + w[i + 1])
            if spent > (z + off) * most:
                return FINE, np.float64(work.spare[i - 1]), 0.0
            stays = spent <= (z - off) * least
            i += stays
        if every:
            return FINE if stays else ASK, np.float64(work.spare[m - 2]), 0.0
        wanted *= FARTHER
    return ASK, highest, 0.0


@njit(**JIT)
def cliff(row, work, chunks, n, top, t, now):
    """The limit of min_k. The drop after place i of the sorted logits weighs (lᵢ − lᵢ₊₁) / i, which is at most
    (lᵢ − lowest) / i: so beyond some place none can be heavier than the heaviest before it.
    """
    tau, slack = now[0], now[1]
    bottom = np.float64(smallest(work.values, n) if n >= 0 else _lowest(row, work.tail, chunks))
    if top == bottom:
        return FINE, top, 0.0
    wanted, heaviest = FIRST, 0.0
    while True:
        m, every = downwards(row, work, chunks, n, wanted)
        if m == OVERFULL:
            return FULL, top, 0.0
        for i in range(1, m):
            heaviest = max(heaviest, (np.float64(work.spare[i - 1]) - np.float64(work.spare[i])) / i)
        if every or (np.float64(work.spare[m - 1]) - bottom) / m <= heaviest:
            break
        wanted *= FARTHER
    place = 1
    while place < m and (np.float64(work.spare[place - 1]) - np.float64(work.spare[place])) / place < heaviest * slack:
        place += 1
    fewest = math.floor(min(tau * t / (top - bottom), 1e18))
    if fewest >= row.shape[0]:
        return FINE, -np.inf, 0.0
    place = max(place, int(fewest))
    if n < 0 and place > m:
        m = first_k(row, work.tail, work.maxima, chunks, LOWEST, place, work.values, work.ids, work.spare)
        if m == OVERFULL:
            return FULL, top, 0.0
        return FINE, np.float64(smallest(work.values, m)), 0.0
    return FINE, np.float64(work.spare[min(place, m) - 1]), 0.0


@njit(**JIT)
def _lowest(row, tail, chunks):
    """The smallest logit of a row that is not removed."""
    full, most = row.shape[0] // CHUNK, -np.float32(np.inf)
    for chunk in range(chunks):
        most = max(most, lowest(row, chunk * CHUNK, ()) if chunk < full else lowest(tail, 0, ()))
    return -most
