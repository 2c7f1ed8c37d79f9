"""The largest logits of a row: the first k of them, the k-th, and all in their order."""

from __future__ import annotations

import numpy as np
from numba import njit

from logitherm.kernels.cpu.candidates import halfway
from logitherm.kernels.cpu.rows import count, gather
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE

LOOKS, AMPLE = 8, 1.5
"""A place to begin is sought in so many looks at a row twice, and so many times too many tokens are good enough."""


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
def reached_by(k, row, tail, maxima, chunks):
    """A logit that at least k tokens reach, and, if a few looks at the row can tell, hardly more than AMPLE times as
    many: below the lowest of the chunks' maxima, in longer and longer steps, then back by halves.
    """
    top, high = NONE, np.float32(np.inf)
    for chunk in range(chunks):
        if maxima[chunk] >= LOWEST:
            top, high = max(top, maxima[chunk]), min(high, maxima[chunk])
    low, step = high, max(np.float32(0.125) * (top - high), np.float32(1e-3))
    many = count(row, tail, chunks, maxima, low)
    for _ in range(LOOKS):
        if many >= k:
            break
        high, low, step = low, low - step, np.float32(2.0) * step
        many = count(row, tail, chunks, maxima, low)
    if not (many >= k and low >= LOWEST):
        return LOWEST
    for _ in range(LOOKS):
        middle = halfway(low, high)
        if many <= AMPLE * k or not low < middle < high:
            break
        some = count(row, tail, chunks, maxima, middle)
        if some >= k:
            low, many = middle, some
        else:
            high = middle
    return low


@njit(**JIT)
def first_k(row, tail, maxima, chunks, least, k, values, ids, scratch):
    """The tokens at or above both `least` and the k-th largest logit, ties with it included; returns how many.

    The k-th largest of the maxima of any k groups or more is at most the k-th largest logit, so only the chunks
    above it, about k, are read. If there are fewer, a few looks at the whole row find where to begin.
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
    elif k < row.shape[0] // 4:
        limit = max(reached_by(k, row, tail, maxima, chunks), least)
    n = gather(row, tail, maxima, chunks, limit, values, ids)
    if n <= k:  # or OVERFULL
        return n
    for j in range(n):
        scratch[j] = values[j]
    return keep(values, ids, n, nth_largest(scratch, n, k))


@njit(**JIT)
def descend(values, n):
    """Largest first, by a heap."""
    for j in range(n // 2 - 1, -1, -1):
        _sink(values, j, n)
    for last in range(n - 1, 0, -1):
        values[0], values[last] = values[last], values[0]
        _sink(values, 0, last)


@njit(**JIT)
def _sink(values, place, n):
    """Let one number down a heap of n whose least stands first."""
    while True:
        child = 2 * place + 1
        if child >= n:
            return
        if child + 1 < n and values[child + 1] < values[child]:
            child += 1
        if values[place] <= values[child]:
            return
        values[place], values[child] = values[child], values[place]
        place = child
