"""What temperatures are made of: a row's entropy, largest probability and variance of surprisal, in one pass."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types

from logitherm.kernels.cpu.lanes import CHUNK, Lanes, over_chunks, pairwise
from logitherm.kernels.cpu.weights import JIT, exact


@over_chunks(types.float64, types.float64, types.float64)
def moments(chunk: list[Lanes], *scale: Lanes) -> Sequence[Any]:
    """Σ w, Σ w·d and Σ w·d² over a chunk, d = x − largest; removed tokens add nothing."""
    largest = scale[0]
    weights = [exact(x, *scale) for x in chunk]
    gaps = [(x.widened() - largest).where(w > 0.0, 0.0) for x, w in zip(chunk, weights, strict=True)]
    first = [w * d for w, d in zip(weights, gaps, strict=True)]
    second = [w * d for w, d in zip(first, gaps, strict=True)]
    return [pairwise(terms, operator.add).total() for terms in (weights, first, second)]


@njit(**JIT)
def statistics(row, tail, chunks, t, slow):
    """The entropy (nats), largest probability and variance of the surprisal of softmax(row / t)."""
    full = row.shape[0] // CHUNK
    mass, first, second = 0.0, 0.0, 0.0
    for chunk in range(full):
        m, f, s = moments(row, chunk * CHUNK, slow)
        mass += m
        first += f
        second += s
    if full < chunks:
        m, f, s = moments(tail, 0, slow)
        mass += m
        first += f
        second += s
    return summed(mass, first, second, t, slow)


@njit(**JIT)
def summed(mass, first, second, t, slow):
    """The same from the three sums: with d = x − largest and Z = Σ exp(d/T), H = log Z − E[d]/T."""
    mean = first / mass / t
    unit = mass * 2.0 ** -slow[2]  # Z: the largest token counts as 1
    varentropy = max(0.0, second / mass / t / t - mean * mean)
    return max(0.0, math.log(unit) - mean), 1.0 / unit, varentropy


@njit(**JIT)
def statistics_of(values, weights, n, t, top, slow):
    """The same of candidates that have been weighed."""
    mass, first, second = 0.0, 0.0, 0.0
    for j in range(n):
        gap = np.float64(values[j]) - top
        mass += weights[j]
        if weights[j] > 0.0:
            first += weights[j] * gap
            second += weights[j] * gap * gap
    return summed(mass, first, second, t, slow)
