"""The few tokens that are left after a cut, in token order: everything about them is computed in float64."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from logitherm.kernels.cpu.blocks import exact_weights, lowest_bit, mass_above, within
from logitherm.kernels.cpu.lanes import CHUNK, WIDTH
from logitherm.kernels.cpu.rows import drift
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE

FEW = 48
"""So many left in a bracket are sorted."""

MANY = 256
"""Of more, a smaller bracket is sought first."""

STRAY = 1.5
"""Evenly strewn, the share of n candidates below a point strays from the mean by 0.5 / √n; this is three times that."""


@njit(**JIT)
def padded(values, n):
    """Fill up with -inf to a multiple of sixteen; returns how many sixteens there are."""
    sixteens = (n + WIDTH - 1) // WIDTH
    for j in range(n, sixteens * WIDTH):
        values[j] = NONE
    return sixteens


@njit(**JIT)
def weigh_candidates(values, n, slow, weights):
    """The weights of the candidates; returns how many sixteens there are."""
    sixteens = padded(values, n)
    exact_weights((values, weights), sixteens, slow)
    return sixteens


@njit(**JIT)
def crossing(values, weights, n, low, high, above, target, slack, spare, spare_weights):
    """The largest logit v with above + mass(candidates at or above v) ≥ target: a nucleus keeps what is ≥ v.

    low, high: every candidate lies in (low, high]; `above` is the mass over high.
    Returns a code and v: 0 found, 1 it lies above high, 2 below all candidates, 3 too near a boundary to tell.
    """
    if above >= target - slack:
        return (1 if above >= target + slack else 3), NONE
    sixteens = (n + WIDTH - 1) // WIDTH
    whole = above + (mass_above((values, weights), sixteens, (low,)) if n else 0.0)
    if n == 0 or whole < target - slack:
        return 2, NONE
    if whole < target + slack:
        return 3, NONE
    if n > MANY:
        low, high, above = _nearer(values, weights, n, low, high, above, whole, target)
    left = _between(values, weights, n, low, high, spare, spare_weights)
    while left > FEW:
        middle = halfway(low, high)
        if middle <= low or middle >= high:
            break  # neighbours: all that are left tie
        mass = above + mass_above((spare, spare_weights), (left + WIDTH - 1) // WIDTH, (middle,))
        if mass >= target:
            low = middle
        else:
            high, above = middle, mass
        left = _between(spare, spare_weights, left, low, high, spare, spare_weights)
    if left <= FEW:
        _sort(spare, spare_weights, left)
    for j in range(FEW, left):
        if spare[j] != spare[0]:
            return 3, NONE  # they do not: nothing is certain
    running, j = above, 0
    while j < left:
        value, before = spare[j], running
        while j < left and spare[j] == value:
            running += spare_weights[j]
            j += 1
        if running >= target or j == left:
            near = target - before < slack or running - target < slack
            return (3 if near else 0), value
    return 3, NONE


@njit(**JIT)
def halfway(low, high):
    """A number between two, unless they are neighbours; an infinite one counts as the last that is finite."""
    low, high = max(low, LOWEST), min(high, -LOWEST)
    return np.float32(0.5) * low + np.float32(0.5) * high


@njit(**JIT)
def _nearer(values, weights, n, low, high, above, whole, target):
    """A bracket with far fewer candidates in it: on both sides of where the crossing were if the mass grew evenly.

    above, whole: the mass over high, and over low. Returns low, high and the mass over high.
    """
    sixteens, start, width = (n + WIDTH - 1) // WIDTH, np.float64(low), np.float64(high) - np.float64(low)
    share, pad = (whole - target) / (whole - above), STRAY / math.sqrt(n)
    for place in (share - pad, share + pad):
        middle = np.float32(start + width * min(max(place, 0.0), 1.0))
        if low < middle < high:
            mass = above + mass_above((values, weights), sixteens, (middle,))
            if mass < target:
                return low, middle, mass
            low = middle
    return low, high, above


@njit(**JIT)
def _between(values, weights, n, low, high, into, into_weights):
    """List the candidates in (low, high], padded; returns how many. It may be into the same arrays."""
    found = 0
    for begin in range(0, n, CHUNK):
        if begin + CHUNK <= n:
            word, rest = within(values, begin, (low, high))
        else:
            word, rest = _within_rest(values, begin, n, low, high)
        while word:
            place = begin + lowest_bit(word)
            word &= word - np.uint64(1)
            into[found], into_weights[found] = values[place], weights[place]
            found += 1
        while rest:
            place = begin + 64 + lowest_bit(rest)
            rest &= rest - np.uint64(1)
            into[found], into_weights[found] = values[place], weights[place]
            found += 1
    padded(into, found)
    return found


@njit(**JIT)
def _within_rest(values, begin, n, low, high):
    """The same two words of bits as `within`, of fewer than 128 candidates."""
    word, rest = np.uint64(0), np.uint64(0)
    for j in range(n - begin):
        bit = np.uint64(values[begin + j] > low and values[begin + j] <= high)
        if j < 64:
            word |= bit << np.uint64(j)
        else:
            rest |= bit << np.uint64(j - 64)
    return word, rest


@njit(**JIT)
def _sort(values, weights, n):
    """Largest first, by insertion; ties stay in any order."""
    for j in range(1, n):
        value, weight, i = values[j], weights[j], j - 1
        while i >= 0 and values[i] < value:
            values[i + 1], weights[i + 1] = values[i], weights[i]
            i -= 1
        values[i + 1], weights[i + 1] = value, weight


@njit(**JIT)
def smallest(values, n):
    """The smallest of the candidates."""
    least = np.float32(np.inf)
    for j in range(n):
        least = values[j] if values[j] < least else least
    return least


@njit(**JIT)
def nucleus_of(values, weights, n, top, p, slip, slow, spare, spare_weights):
    """The cut of top_p among candidates that have been weighed, and whether it is certain.

    slip: bounds the relative error of the temperature.
    """
    total = mass_above((values, weights), (n + WIDTH - 1) // WIDTH, (LOWEST,))
    least = smallest(values, n)
    low = np.nextafter(least, NONE)
    slack = drift(slip, p, n, total * 2.0 ** -slow[2]) * total
    code, cut = crossing(values, weights, n, low, top, 0.0, p * total, slack, spare, spare_weights)
    return (cut if code == 0 else least), code == 0 or slack == 0.0  # without slack: by rounding, all is not enough


@njit(**JIT)
def draw(ids, weights, n, u, slip, slow):
    """The inverse CDF over candidates in token order.

    slip: bounds the relative error of the temperature.
    Returns the token, its log-probability, and whether the token is certain.
    """
    total, last = 0.0, 0
    for j in range(n):
        total += weights[j]
        last = j if weights[j] > 0.0 else last
    target, running, before = u * total, 0.0, 0.0
    for j in range(n):
        before, running = running, running + weights[j]
        if running > target:
            last = j
            break
    near = min(target - before, running - target)
    certain = slip == 0.0 or near > drift(slip, u, n, total * 2.0 ** -slow[2]) * total
    return np.int64(ids[last]), math.log(weights[last] / total), certain
