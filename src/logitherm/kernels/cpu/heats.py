"""The temperature that a dynamic rule makes of a row's statistics: exactly, or roughly with a bound on its error."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from logitherm.kernels.codes import EXPONENTIAL, INTERPOLATED, LINEAR, OF, OFF, TEMPERATURE
from logitherm.kernels.cpu import first
from logitherm.kernels.cpu.rows import count
from logitherm.kernels.cpu.statistics import statistics, statistics_of
from logitherm.kernels.cpu.weights import JIT, LOWEST, scales

SUREST = 1e-6
"""Entropies below this count as this much, nats."""

LAST_DIGITS, STEADY = 2e-15, 1e-12
"""How far two ways to add up an entropy in float64 may differ, and how far temperatures may, relatively."""

COLDEST = 1e-6
"""A temperature at or below this keeps one token."""


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
def exact_heat(kind, now, row, work, chunks, top, t, n, slow):
    """The temperature of a dynamic rule, from the whole row before any rule, or from what reaches it at temperature t:
    n candidates that have been weighed, or (−1) the whole row.
    """
    if n >= 0 and now[OF] == 0.0:
        entropy, most, varentropy = statistics_of(work.values, work.weights, n, t, np.float64(top), slow)
        return _steady(kind, now, entropy, most, varentropy, n)
    if now[OF] > 0.0:
        t, slow = 1.0, scales(top, 1.0)[1]
    entropy, most, varentropy = statistics(row, work.tail, chunks, t, slow)
    return _steady(kind, now, entropy, most, varentropy, how_many(kind, now, row, work, chunks))


@njit(**JIT)
def _steady(kind, now, entropy, most, varentropy, n):
    """`heat`, or NaN where the last digits of an entropy decide it: a row with hardly any, and a steep rule."""
    own, off = heat(kind, now, entropy, most, varentropy, n), LAST_DIGITS * (1.0 + entropy)
    lower = heat(kind, now, max(0.0, entropy - off), most, varentropy, n)
    upper = heat(kind, now, entropy + off, most, varentropy, n)
    cold = max(lower, upper) <= COLDEST
    return own if cold or abs(upper - lower) <= STEADY * own else np.nan


@njit(**JIT)
def rough_heat(kind, now, row, work, chunks, top, t):
    """The same of the whole row after `first.read_and_measure`, and a bound on its relative error; none holds (inf)
    where float32 cannot serve.
    """
    if now[OF] > 0.0:
        t = 1.0
    if not scales(top, t)[2]:
        return 1.0, np.inf
    entropy, most, doubt, off = first.entropy(top, t, work.maxima, work.sums, work.gaps)
    n = how_many(kind, now, row, work, chunks)
    own = heat(kind, now, entropy, most, 0.0, n)
    spread = abs(  # it rises or falls with the entropy throughout
        heat(kind, now, entropy + doubt, most, 0.0, n) - heat(kind, now, max(0.0, entropy - doubt), most, 0.0, n)
    )
    if kind == LINEAR:
        spread += abs(now[1]) * off
    return own, spread / own


@njit(**JIT)
def how_many(kind, now, row, work, chunks):
    """How many tokens are not removed, if the rule asks for it."""
    if kind == INTERPOLATED or (kind == LINEAR and now[3] != 0.0):
        return count(row, work.tail, chunks, work.maxima, LOWEST)
    return row.shape[0]


@njit(**JIT)
def leading(rules):
    """The product of the temperatures that lead a run, and the place of the first other rule."""
    t, place = 1.0, 0
    while place < len(rules) and (rules[place, 0] == TEMPERATURE or rules[place, 0] == OFF):
        if rules[place, 0] == TEMPERATURE:
            t *= rules[place, 1]
        place += 1
    return t, place


@njit(**JIT)
def measurable(rule):
    """Whether `rough_heat` serves a rule: a dynamic temperature that does not ask for the varentropy."""
    return LINEAR <= rule[0] <= EXPONENTIAL and (rule[0] != LINEAR or rule[5] == 0.0)
