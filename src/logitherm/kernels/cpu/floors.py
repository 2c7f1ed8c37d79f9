"""Rules that keep what lies at or above a limit made of numbers of the row: epsilon, eta, top_a, p_less, p_less_norm,
top_n_sigma; and what conformal and the rules of `order` want of such numbers.

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

from logitherm.kernels.codes import (
    ASK,
    CONFORMAL,
    EPSILON,
    ETA,
    FINE,
    FIRST_HUNDRED,
    MIN_K,
    P_LESS,
    P_LESS_NORM,
    RANGES,
    TFS,
    TOP_A,
    TOP_H,
    TOP_N_SIGMA,
    UNSURE,
)
from logitherm.kernels.cpu import first
from logitherm.kernels.cpu.lanes import CHUNK, Lanes, over_chunks
from logitherm.kernels.cpu.order import cliff, entropy_bound, first_hundred, tail
from logitherm.kernels.cpu.rows import EXACT_SUM, ROUGH_SUM, count, weigh
from logitherm.kernels.cpu.statistics import statistics, statistics_of
from logitherm.kernels.cpu.weights import JIT, LOWEST, scales

DOUBT = 1.01 * ROUGH_SUM
"""Bounds the error of the logarithm of a rough sum."""


@over_chunks(types.float64, types.float64, types.float64)
def strewn(chunk: list[Lanes], centre: Lanes) -> Sequence[Any]:
    """How many logits are not removed, and the sums of their distances from a centre and of the squares of these."""
    many, away, squares = (centre.constant(0.0) for _ in range(3))
    for x in chunk:
        live = x >= float(LOWEST)
        gap = (x.widened() - centre).where(live, 0.0)
        many, away, squares = many + centre.constant(1.0).where(live, 0.0), away + gap, gap.fma(gap, squares)
    return [many.total(), away.total(), squares.total()]


@njit(**JIT)
def weighing(rule):
    """Whether a rule asks for Z at the temperature that reaches it."""
    return rule[0] in (EPSILON, TOP_A, P_LESS, P_LESS_NORM, TFS)


@njit(**JIT)
def measuring(rule):
    """Whether a rule asks for the entropy at the temperature that reaches it."""
    return rule[0] in (ETA, TOP_H, CONFORMAL)


@njit(**JIT)
def limit(kind, now, row, work, chunks, n, top, t, weighed, measured, exact):
    """What came of a rule, its limit, and a bound on that one's error.

    n: how many candidates there are, which have been weighed, or (−1) the whole row.
    weighed, measured: what the first look has made at this temperature, if it has.
    """
    highest = np.float64(top)
    if kind == TOP_N_SIGMA:
        return FINE, highest - now[0] * _deviation(row, work, chunks, n, highest), 0.0
    if kind == MIN_K:
        return cliff(row, work, chunks, n, highest, t, now)
    slow = scales(top, t)[1]
    if kind == FIRST_HUNDRED:
        return first_hundred(now[0], row, work, chunks, n, top, t, slow)
    if kind == TFS:
        z = _total(row, work, chunks, n, top, t, weighed, exact)[0]
        return tail(now[0], z, row, work, chunks, n, top, slow)
    if kind == TOP_H:
        _, entropy, doubt = _measured(row, work, chunks, n, top, t, measured, exact)
        off = now[0] * (doubt + EXACT_SUM * (1.0 + entropy))
        return entropy_bound(now[0] * entropy, off, row, work, chunks, n, top, t, slow, exact or doubt == 0.0)
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
def mass_of(now, row, work, chunks, n, top, t, measured, exact):
    """What came of conformal, and the p of the row's range of entropy."""
    _, entropy, doubt = _measured(row, work, chunks, n, top, t, measured, exact)
    off, place = doubt + EXACT_SUM * (1.0 + entropy), 0
    for i in range(RANGES - 1):
        edge = now[RANGES + i]
        if abs(entropy - edge) <= off:
            return UNSURE if doubt > 0.0 else ASK, 1.0
        place += entropy > edge
    return FINE, now[place]


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
