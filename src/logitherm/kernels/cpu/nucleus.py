"""top_p over a whole row in one pass: guess a bracket around the cut, weigh the row once, settle within the bracket."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from logitherm.kernels.cpu.blocks import (
    at_least,
    bits,
    exact_parted,
    exact_sum,
    lowest_bit,
    rough_mass_above,
    rough_parted,
    rough_sum,
    rough_weights,
)
from logitherm.kernels.cpu.candidates import crossing, smallest
from logitherm.kernels.cpu.edits import amend, weigh_listed
from logitherm.kernels.cpu.lanes import CHUNK, WIDTH
from logitherm.kernels.cpu.rows import EXACT_SUM, OVERFULL, ROUGH_SUM, drift, fetch, listed, listed_all
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE

SAMPLES = 24
"""So many chunks stand for the bulk of a row when the cut is guessed."""

STEPS = 9
"""How often the guess is halved."""

REACH = 20.0
"""The guess looks so many temperatures below the largest logit."""

NARROWEST, WIDEST, SPREAD = 0.08, 0.4, 12.0
"""Half the width of a bracket in temperatures: SPREAD over the root of how many tokens lie above, within bounds. Chosen
from the errors of guesses on peaked and flat rows; a bracket that misses costs another pass, never a wrong answer."""

PASSES = 64
"""After so many brackets that missed, rounding has it both ways: the plain rule is asked. Two are rare."""

MISSED = 2
"""The code of a cut that is not within the bracket."""

SMALLEST = 48
"""Rows of fewer chunks are not sampled: the bracket is everything."""


@njit(**JIT)
def guess(row, maxima, chunks, top, t, p, fast, values, weights):
    """A bracket that is likely to hold the cut: the weighted quantile of all chunk maxima (each once) and of the
    other tokens of some chunks (each as often as it stands for others), with a margin.
    """
    n = maxima.shape[0]
    stride, each = chunks // SAMPLES, np.float32(chunks / SAMPLES)
    rough_weights((maxima, weights), n // WIDTH, (np.float32(1.0), *fast))
    for j in range(n):
        values[j] = maxima[j]
    for sample in range(SAMPLES):
        chunk = min(stride // 2 + sample * stride, row.shape[0] // CHUNK - 1)  # the last one may be unfinished
        begin = chunk * CHUNK
        for j in range(CHUNK):
            values[n + j] = row[begin + j]
        rough_weights((values[n : n + CHUNK], weights[n : n + CHUNK]), CHUNK // WIDTH, (each, *fast))
        word, rest = at_least(values, n, (maxima[chunk],))  # its maximum is there already
        place = lowest_bit(word) if word else 64 + lowest_bit(rest)
        weights[n + place] = np.float32(0.0)
        n += CHUNK
    low, high = max(np.float32(np.float64(top) - REACH * t), LOWEST), top
    sixteens = n // WIDTH
    target = p * rough_mass_above((values, weights), sixteens, (LOWEST,))
    for _ in range(STEPS):
        middle = np.float32(0.5) * (low + high)
        if rough_mass_above((values, weights), sixteens, (middle,)) >= target:
            low = middle
        else:
            high = middle
    above = 0.0
    for begin in range(0, n, CHUNK):
        word, rest = at_least(values, begin, (low,))
        above += (bits(word) + bits(rest)) * (1.0 if begin < maxima.shape[0] else np.float64(each))
    margin = t * min(WIDEST, max(NARROWEST, SPREAD / math.sqrt(above + 1.0)))
    return max(np.float32(np.float64(low) - margin), LOWEST), np.float32(np.float64(high) + margin)


@njit(**JIT)
def part(row, work, chunks, low, high, fast, slow, exact):
    """The pass: each chunk's mass above the bracket, and the bracket's tokens in token order.

    Returns the row's whole mass, the mass above, how many tokens are above, and how many lie within, or OVERFULL.
    """
    full = row.shape[0] // CHUNK
    if exact:
        total, above, kept, n = _part_exactly(row, work, full, low, high, slow)
    else:
        total, above, kept, n = _part_roughly(row, work, full, low, high, fast)
    if full < chunks and n >= 0:
        mass, over, over0, over1, within0, within1 = exact_parted(work.tail, 0, (low, high, *slow))
        work.sums[full] = over
        total, above, kept = total + mass + over, above + over, kept + bits(over0) + bits(over1)
        n = listed(full * CHUNK, within0, within1, work.ids, n)
    fetch(row, work.ids, n, work.values)
    return total, above, kept, n


@njit(**JIT)
def _part_roughly(row, work, full, low, high, fast):
    maxima, sums, ids = work.maxima, work.sums, work.ids
    total, above, kept, n, room = 0.0, 0.0, 0, 0, len(ids) - 2 * CHUNK
    for chunk in range(full):
        begin = chunk * CHUNK
        if maxima[chunk] < low:
            total += rough_sum(row, begin, fast)
            sums[chunk] = 0.0
            continue
        mass, over, over0, over1, within0, within1 = rough_parted(row, begin, (low, high, *fast))
        sums[chunk] = over
        total, above, kept = total + mass + over, above + over, kept + bits(over0) + bits(over1)
        n = listed_all(begin, within0, within1, ids, n)
        if n > room:
            return total, above, kept, OVERFULL
    return total, above, kept, n


@njit(**JIT)
def _part_exactly(row, work, full, low, high, slow):
    maxima, sums, ids = work.maxima, work.sums, work.ids
    total, above, kept, n, room = 0.0, 0.0, 0, 0, len(ids) - 2 * CHUNK
    for chunk in range(full):
        begin = chunk * CHUNK
        if maxima[chunk] < low:
            total += exact_sum(row, begin, slow)
            sums[chunk] = 0.0
            continue
        mass, over, over0, over1, within0, within1 = exact_parted(row, begin, (low, high, *slow))
        sums[chunk] = over
        total, above, kept = total + mass + over, above + over, kept + bits(over0) + bits(over1)
        n = listed_all(begin, within0, within1, ids, n)
        if n > room:
            return total, above, kept, OVERFULL
    return total, above, kept, n


@njit(**JIT)
def nucleus(row, work, chunks, top, t, p, slip, bracket, fast, slow, exact):
    """The cut of top_p(p) over a whole row, and the kept mass of each chunk in `work.sums`.

    bracket: where to look first, or an empty one (low > high). slip: bounds the relative error of the temperature.
    Returns the cut, the kept mass, how many tokens are kept (OVERFULL: there is no room), and whether the cut is
    certain; if it is not, the cut is near, or -inf where nothing is known.
    """
    values, weights = work.values, work.weights
    low, high = bracket
    if low > high:
        if chunks < SMALLEST:
            low, high = LOWEST, top
        else:
            low, high = guess(row, work.maxima, chunks, top, t, p, fast, values, work.guessed)
    step = 0.5 * t
    code, cut = MISSED, NONE
    for _ in range(PASSES):
        total, above, kept, n = part(row, work, chunks, low, high, fast, slow, exact)
        if n < 0:
            return NONE, 0.0, n, False
        more, over = amend(work, high)
        total, above = total + more, above + over
        weigh_listed(work, n, slow)
        # above and total are rough, candidates are not: above − p · total is off by no more than that of its parts
        off = ROUGH_SUM * ((1.0 - p) * above + p * (total - above)) / total
        off += drift(slip, p, row.shape[0], total * 2.0 ** -slow[2])
        slack = 0.0 if exact else (off + EXACT_SUM) * total
        under = np.nextafter(low if low > LOWEST else smallest(values, n), NONE)
        code, cut = crossing(values, weights, n, under, high, above, p * total, slack, work.spare, work.spare_weights)
        if code == 0 or code == 3:
            break
        if code == 1:
            low, high = np.nextafter(high, np.float32(np.inf)), np.float32(np.float64(high) + step)
        elif low <= LOWEST:
            break
        else:
            high, low = np.nextafter(low, NONE), max(np.float32(np.float64(low) - step), LOWEST)
        step *= 2.0
    if code != 0:
        return cut, 0.0, 0, False
    more, many = settle(values, work.ids, weights, n, cut, work.sums)
    return cut, above + more, kept + many, True


@njit(**JIT)
def settle(values, ids, weights, n, cut, sums):
    """The candidates at or above the cut into the sums of their chunks; returns their mass and how many they are.

    Four walks side by side: one alone would wait for each sum to be written before it adds the next to it.
    """
    quarter, mass, many = n // 4, 0.0, 0
    for j in range(quarter):
        for start in (0, quarter, 2 * quarter, 3 * quarter):
            keeps = values[start + j] >= cut
            weight = weights[start + j] if keeps else 0.0
            sums[ids[start + j] // CHUNK] += weight
            mass += weight
            many += keeps
    for j in range(4 * quarter, n):
        if values[j] >= cut:
            sums[ids[j] // CHUNK] += weights[j]
            mass += weights[j]
            many += 1
    return mass, many
