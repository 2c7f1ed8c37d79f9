"""The few tokens that are left after a cut, in token order: everything about them is computed in float64."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from logitherm.kernels.cpu.blocks import exact_weights, mass_above
from logitherm.kernels.cpu.lanes import WIDTH
from logitherm.kernels.cpu.rows import gather
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE

FEW = 24
"""So many left in a bracket are looked at one by one."""


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
def nth_largest(a, n, k):
    """The k-th largest (from 1) of a[:n], by Hoare's selection; reorders a."""
    low, high, wanted = 0, n - 1, n - k
    while low < high:
        pivot, i, j = a[(low + high) >> 1], low, high
        while i <= j:
            while a[i] < pivot:
                i += 1
            while a[j] > pivot:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            break
    return a[wanted]


@njit(**JIT)
def keep(values, ids, n, cut):
    """Only the candidates at or above the cut; returns how many."""
    kept = 0
    for j in range(n):
        if values[j] >= cut:
            values[kept], ids[kept] = values[j], ids[j]
            kept += 1
    return kept


@njit(**JIT)
def first_k(row, tail, maxima, chunks, least, k, values, ids, scratch):
    """The tokens at or above both `least` and the k-th largest logit, ties with it included; returns how many.

    The k-th largest of the maxima of any k groups or more is at most the k-th largest logit, so only the chunks
    above it, about k, are read.
    """
    together = max(1, chunks // (4 * k))
    groups = (chunks + together - 1) // together
    limit = least
    if k <= groups:
        for group in range(groups):
            most = maxima[group]
            for chunk in range(group + groups, chunks, groups):
                most = maxima[chunk] if maxima[chunk] > most else most
            scratch[group] = most
        limit = max(nth_largest(scratch, groups, k), least)
    n = gather(row, tail, maxima, chunks, limit, values, ids)
    if n <= k:
        return n
    for j in range(n):
        scratch[j] = values[j]
    return keep(values, ids, n, nth_largest(scratch, n, k))


@njit(**JIT)
def crossing(values, weights, n, low, high, above, target, slack, spare, spare_weights):
    """The largest logit v with above + mass(candidates at or above v) ≥ target: a nucleus keeps what is ≥ v.

    low, high: every candidate lies in (low, high]; `above` is the mass over high.
    Returns a code and v: 0 found, 1 it lies above high, 2 below all candidates, 3 too near a boundary to tell.
    """
    sixteens = (n + WIDTH - 1) // WIDTH
    if above >= target - slack:
        return (1 if above >= target + slack else 3), NONE
    whole = above + (mass_above((values, weights), sixteens, (low,)) if n else 0.0)
    if n == 0 or whole < target - slack:
        return 2, NONE
    if whole < target + slack:
        return 3, NONE
    left = n
    while True:
        if left <= FEW:
            left = 0
            for j in range(n):
                left += values[j] > low and values[j] <= high
            if left <= 2 * FEW:
                break
        middle = np.float32(0.5) * low + np.float32(0.5) * high
        if middle <= low or middle >= high:
            break  # neighbours: all that are left tie
        if above + mass_above((values, weights), sixteens, (middle,)) >= target:
            low = middle
        else:
            high = middle
        left >>= 1
    running = above + mass_above((values, weights), sixteens, (high,))
    count = _sorted(values, weights, n, low, high, spare, spare_weights)
    j = 0
    while j < count:
        value, before = spare[j], running
        while j < count and spare[j] == value:
            running += spare_weights[j]
            j += 1
        if running >= target or j == count:
            near = target - before < slack or running - target < slack
            return (3 if near else 0), value
    return 3, NONE


@njit(**JIT)
def _sorted(values, weights, n, low, high, spare, spare_weights):
    """The candidates in (low, high], largest first, by insertion; ties stay in any order."""
    count = 0
    for j in range(n):
        if values[j] > low and values[j] <= high:
            value, weight, i = values[j], weights[j], count - 1
            count += 1
            while i >= 0 and spare[i] < value:
                spare[i + 1], spare_weights[i + 1] = spare[i], spare_weights[i]
                i -= 1
            spare[i + 1], spare_weights[i + 1] = value, weight
    return count


@njit(**JIT)
def smallest(values, n):
    """The smallest of the candidates."""
    least = np.float32(np.inf)
    for j in range(n):
        least = values[j] if values[j] < least else least
    return least


@njit(**JIT)
def nucleus_of(values, weights, n, top, p, spare, spare_weights):
    """The cut of top_p among candidates that have been weighed."""
    total = mass_above((values, weights), (n + WIDTH - 1) // WIDTH, (LOWEST,))
    least = smallest(values, n)
    low = np.nextafter(least, NONE)
    code, cut = crossing(values, weights, n, low, top, 0.0, p * total, 0.0, spare, spare_weights)
    return cut if code == 0 else least  # by rounding, all of it is not enough


@njit(**JIT)
def draw(ids, weights, n, u):
    """The inverse CDF over candidates in token order. Returns the token and its log-probability."""
    total, last = 0.0, 0
    for j in range(n):
        total += weights[j]
        last = j if weights[j] > 0.0 else last
    target, running = u * total, 0.0
    for j in range(n):
        running += weights[j]
        if running > target:
            last = j
            break
    return np.int64(ids[last]), math.log(weights[last] / total)
