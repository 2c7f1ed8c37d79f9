"""Rules that keep what lies at or above a limit made of numbers of the row: epsilon, eta, top_a, p_less, p_less_norm,
top_n_sigma and min_k.

Weights count the largest token as 1: with Z = Σ w and S = Σ w² (the Z of half the temperature) the largest probability
is 1/Z and Σp² is S/Z², and a floor f under the probability lies T · log(f · Z) above the largest logit. From rough sums
it comes with a bound on its error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.codes import EPSILON, ETA, FINE, FULL, MIN_K, P_LESS, P_LESS_NORM, TOP_A, TOP_N_SIGMA
from logitherm.kernels.cpu import first
from logitherm.kernels.cpu.candidates import descend, first_k, smallest
from logitherm.kernels.cpu.lanes import CHUNK, Lanes, over_chunks, pairwise
from logitherm.kernels.cpu.rows import OVERFULL, ROUGH_SUM, count, weigh
from logitherm.kernels.cpu.statistics import statistics, statistics_of
from logitherm.kernels.cpu.weights import JIT, LOWEST, scales

DOUBT = 1.01 * ROUGH_SUM
"""Bounds the error of the logarithm of a rough sum."""

CLIFF = 64
"""The heaviest drop is sought among so many of the largest logits first, then among four times as many."""


@over_chunks(types.float64, types.float64, types.float64)
def strewn(chunk: list[Lanes], centre: Lanes) -> Sequence[Any]:
    """How many logits are not removed, and the sums of their distances from a centre and of the squares of these."""
    many, away, squares = (centre.constant(0.0) for _ in range(3))
    for x in chunk:
        live = x >= float(LOWEST)
        gap = (x.widened() - centre).where(live, 0.0)
        many, away, squares = many + centre.constant(1.0).where(live, 0.0), away + gap, gap.fma(gap, squares)
    return [many.total(), away.total(), squares.total()]


@over_chunks(types.float32)
def lowest(chunk: list[Lanes]) -> Sequence[Any]:
    """The negative of the smallest logit that is not removed, or -inf."""
    return [pairwise([(-x).where(x >= float(LOWEST), -math.inf) for x in chunk], Lanes.or_more).most()]


@njit(**JIT)
def weighing(rule):
    """Whether a rule asks for Z at the temperature that reaches it."""
    return rule[0] == EPSILON or rule[0] == TOP_A or rule[0] == P_LESS or rule[0] == P_LESS_NORM


@njit(**JIT)
def limit(kind, now, row, work, chunks, n, top, t, weighed, measured, exact):
    """The limit of a rule, and a bound on its error; FINE, or FULL if there is no room for candidates.

    n: how many candidates there are, which have been weighed, or (−1) the whole row.
    weighed, measured: what the first look has made at this temperature, if it has.
    """
    highest = np.float64(top)
    if kind == TOP_N_SIGMA:
        return FINE, highest - now[0] * _deviation(row, work, chunks, n, highest), 0.0
    if kind == MIN_K:
        return _cliff(row, work, chunks, n, highest, t, now)
    if kind == ETA:
        z, entropy, doubt = _measured(row, work, chunks, n, top, t, measured, exact)
        above = min(now[0], now[1] - entropy) + math.log(z)
    else:
        z, doubt = _total(row, work, chunks, n, top, t, weighed, exact)
        if kind == EPSILON:
            above = now[0] + math.log(z)
        elif kind == TOP_A:
            above = now[0] - math.log(z)
        else:
            above, doubt = _agreement(kind, now[0], row, work, chunks, n, top, t, z, doubt, exact)
    if above > doubt:  # a floor above every probability keeps the largest
        return FINE, highest, 0.0
    return FINE, highest + t * min(above, 0.0), t * doubt


@njit(**JIT)
def _total(row, work, chunks, n, top, t, weighed, exact):
    """Z, and a bound on the error of its logarithm."""
    fast, slow, able = scales(top, t)
    unit = 2.0 ** -slow[2]
    if n >= 0:
        total = 0.0
        for j in range(n):
            total += work.weights[j]
        return total * unit, 0.0
    careful = exact or not able
    if weighed and not careful:
        return first.settled(top, t, work.maxima, work.sums) * unit, DOUBT
    return weigh(row, work.tail, chunks, fast, slow, careful, work.sums) * unit, 0.0 if careful else DOUBT


@njit(**JIT)
def _measured(row, work, chunks, n, top, t, measured, exact):
    """Z and the entropy, and a bound on the error of log Z and the entropy together."""
    slow, able = scales(top, t)[1:]
    if n >= 0:
        entropy, most, _ = statistics_of(work.values, work.weights, n, t, np.float64(top), slow)
        return 1.0 / most, entropy, 0.0
    if measured and able and not exact:
        entropy, most, doubt, _ = first.entropy(top, t, work.maxima, work.sums, work.gaps)
        return 1.0 / most, entropy, doubt + DOUBT
    entropy, most, _ = statistics(row, work.tail, chunks, t, slow)
    return 1.0 / most, entropy, 0.0


@njit(**JIT)
def _agreement(kind, slack, row, work, chunks, n, top, t, z, doubt, exact):
    """The logarithm of the floor of p_less or p_less_norm over the largest probability, and a bound on its error."""
    if n >= 0:
        square, unit = 0.0, 2.0 ** -scales(top, t)[1][2]
        for j in range(n):
            square += (work.weights[j] * unit) ** 2
        other = 0.0
    else:
        square, other = _total(row, work, chunks, n, top, 0.5 * t, False, exact)
    if kind == P_LESS:
        return math.log(square / z * slack), doubt + other
    left = n if n >= 0 else count(row, work.tail, chunks, work.maxima, LOWEST)
    floor = left * square / z - z
    off = left * square / z * (doubt + other) + z * doubt
    if left <= 1 or floor + off <= 0.0:
        return -np.inf, 0.0
    if off >= 0.5 * floor:  # nearly uniform: rough sums say nothing, exact ones cannot come here
        return 0.0, np.inf
    return math.log(floor / (left - 1) * slack), 1.5 * off / floor


@njit(**JIT)
def _strewn(row, work, chunks, n, centre):
    """`strewn` of n candidates or (−1) of the whole row."""
    many, away, squares = 0.0, 0.0, 0.0
    for j in range(n):
        gap = np.float64(work.values[j]) - centre
        many, away, squares = many + 1.0, away + gap, squares + gap * gap
    if n < 0:
        full = row.shape[0] // CHUNK
        for chunk in range(chunks):
            if chunk < full:
                m, a, s = strewn(row, chunk * CHUNK, (centre,))
            else:
                m, a, s = strewn(work.tail, 0, (centre,))
            many, away, squares = many + m, away + a, squares + s
    return many, away / many, squares / many


@njit(**JIT)
def _deviation(row, work, chunks, n, top):
    """The standard deviation of the logits: about their mean, since squares about another place cancel."""
    mean = top + _strewn(row, work, chunks, n, top)[1]
    _, away, squares = _strewn(row, work, chunks, n, mean)
    return math.sqrt(max(0.0, squares - away * away))


@njit(**JIT)
def _cliff(row, work, chunks, n, top, t, now):
    """The limit of min_k. The drop after place i of the sorted logits weighs (lᵢ − lᵢ₊₁) / i, which is at most
    (lᵢ − lowest) / i: so beyond some place none can be heavier than the heaviest before it.
    """
    tau, slack = now[0], now[1]
    bottom = np.float64(smallest(work.values, n) if n >= 0 else _lowest(row, work.tail, chunks))
    if top == bottom:
        return FINE, top, 0.0
    m, wanted, heaviest = n, CLIFF, 0.0
    while True:
        if n < 0:
            m = first_k(row, work.tail, work.maxima, chunks, LOWEST, wanted, work.values, work.ids, work.spare)
            if m == OVERFULL:
                return FULL, top, 0.0
        for j in range(m):
            work.spare[j] = work.values[j]
        descend(work.spare, m)
        for i in range(1, m):
            heaviest = max(heaviest, (np.float64(work.spare[i - 1]) - np.float64(work.spare[i])) / i)
        if n >= 0 or m < wanted or (np.float64(work.spare[m - 1]) - bottom) / m <= heaviest:
            break
        wanted *= 4
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
