"""A row of logits, chunk by chunk: the first pass, sums of weights, and the inverse CDF over them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from logitherm.kernels.cpu.blocks import (
    at_least,
    bits,
    exact_parted,
    exact_sum,
    exact_weights,
    fetch_ahead,
    largest,
    lowest_bit,
    rough_parted,
    rough_sum,
    squeeze,
)
from logitherm.kernels.cpu.lanes import CHUNK, looks_up
from logitherm.kernels.cpu.weights import JIT, NONE, ROUGH

ADDITION = 6e-8
"""Half a unit in the last place of float32, rounded up: the relative error of one addition."""

ROUGH_SUM = ROUGH + 3 * ADDITION
"""Bounds the relative error of a chunk's rough sum: the weights' own, and three additions one after another."""

SQUEEZES = looks_up()
"""Whether the processor writes the chosen of sixteen side by side."""

OVERFULL = -2
"""The number of candidates that a workspace has no room for."""

EXACT_SUM = 1e-13
"""The slack of float64, relative to a row's whole mass: what another order of adding may change."""


@njit(**JIT)
def read(row, maxima, tail):
    """The first pass: chunk maxima (those beyond the row are -inf), and the last, unfinished chunk in `tail`.

    Returns the largest logit, how many chunks there are, and whether the row can be drawn from: no NaN, no +inf.
    """
    full = row.shape[0] // CHUNK
    top, bad = NONE, False
    for chunk in range(full):
        fetch_ahead(row, chunk * CHUNK)
        most, nan = largest(row, chunk * CHUNK, ())
        maxima[chunk] = most
        bad |= nan
        top = most if most > top else top
    chunks, top, bad = read_rest(row, full, maxima, tail, top, bad)
    return top, chunks, not bad and top < np.inf


@njit(**JIT)
def read_rest(row, full, maxima, tail, top, bad):
    """What stands after the full chunks, into `tail`, filled up with -inf. Returns how many chunks there are then, the
    largest logit, and whether any is NaN.
    """
    chunks = full
    if full * CHUNK < row.shape[0]:
        tail[:] = NONE
        for i in range(full * CHUNK, row.shape[0]):
            tail[i - full * CHUNK] = row[i]
        maxima[full], nan = largest(tail, 0, ())
        bad |= nan
        top = maxima[full] if maxima[full] > top else top
        chunks += 1
    maxima[chunks:] = NONE
    return chunks, top, bad


@njit(**JIT)
def weigh(row, tail, chunks, fast, slow, exact, sums):
    """Each chunk's sum of weights, and the total. Two loops, because one with both kinds of weights in it is slower."""
    full, total = row.shape[0] // CHUNK, 0.0
    if exact:
        for chunk in range(full):
            sums[chunk] = exact_sum(row, chunk * CHUNK, slow)
    else:
        for chunk in range(full):
            sums[chunk] = rough_sum(row, chunk * CHUNK, fast)
    if full < chunks:
        sums[full] = exact_sum(tail, 0, slow) if exact else rough_sum(tail, 0, fast)
    for chunk in range(chunks):
        total += sums[chunk]
    return total


@njit(**JIT)
def weigh_kept(row, tail, maxima, chunks, cut, fast, slow, exact, sums):
    """Each chunk's sum of the weights at or above the cut, and the total; chunks that hold none are not read."""
    full, total = row.shape[0] // CHUNK, 0.0
    none, under = np.float32(np.inf), np.nextafter(cut, NONE)
    for chunk in range(full):
        sums[chunk] = 0.0
        if maxima[chunk] >= cut:
            if exact:
                sums[chunk] = exact_parted(row, chunk * CHUNK, (none, under, *slow))[1]
            else:
                sums[chunk] = rough_parted(row, chunk * CHUNK, (none, under, *fast))[1]
    if full < chunks:
        sums[full] = exact_parted(tail, 0, (none, under, *slow))[1]
    for chunk in range(chunks):
        total += sums[chunk]
    return total


@njit(**JIT)
def count(row, tail, chunks, maxima, least):
    """How many tokens are at least so large."""
    full, found = row.shape[0] // CHUNK, 0
    for chunk in range(full):
        if maxima[chunk] >= least:
            low, high = at_least(row, chunk * CHUNK, (least,))
            found += bits(low) + bits(high)
    if full < chunks:
        low, high = at_least(tail, 0, (least,))
        found += bits(low) + bits(high)
    return found


@njit(**JIT)
def gather(row, tail, maxima, chunks, least, values, ids):
    """The tokens that are at least so large, in token order; chunks that hold none are not read. Returns how many, or
    OVERFULL if there is no room for them.
    """
    full, found, room = row.shape[0] // CHUNK, 0, len(ids) - 2 * CHUNK
    for begin in range(0, full, CHUNK):
        low, high = at_least(maxima, begin, (least,))
        for start, word in ((begin, low), (begin + 64, high)):
            while word:
                chunk = start + lowest_bit(word)
                word &= word - np.uint64(1)
                if chunk < full:
                    low, high = at_least(row, chunk * CHUNK, (least,))
                    found = listed(chunk * CHUNK, low, high, ids, found)
                if found > room:
                    return OVERFULL
    if full < chunks and maxima[full] >= least:
        low, high = at_least(tail, 0, (least,))
        found = listed(full * CHUNK, low, high, ids, found)
    fetch(row, ids, found, values)
    return found


@njit(**JIT)
def listed(first, low, high, ids, n):
    """Append the tokens of a chunk whose bits are set to n candidates; returns how many there are then.

    first: the id of the chunk's first token.
    """
    while low:
        ids[n] = first + lowest_bit(low)
        low &= low - np.uint64(1)
        n += 1
    while high:
        ids[n] = first + 64 + lowest_bit(high)
        high &= high - np.uint64(1)
        n += 1
    return n


@njit(**JIT)
def listed_all(first, low, high, ids, n):
    """The same where most chunks hold some: one by one, the processor would guess wrong in nearly each of them."""
    return squeeze(ids, n, first, low, high) if SQUEEZES else listed(first, low, high, ids, n)


@njit(**JIT)
def fetch(row, ids, n, values):
    """The logits of n candidates."""
    for j in range(n):
        values[j] = row[ids[j]]


@njit(**JIT)
def drift(slip, share, n, mass):
    """How far the share of some tokens in a row's mass may be off because the temperature is, relatively, by `slip`.

    n: how many tokens there are. mass: Σ exp(d / T), d the logit less the largest, so that the largest counts as 1.
    With β = 1/T the share of a set A changes by Cov(1_A, d) a unit of β. Among sets of one share F that is largest for
    the uppermost tokens, F (1 − F) (mean d above − mean d below), and a mean above is at most 0. Below, with the mass
    B = (1 − F) · mass on at most n tokens, the entropy log B − β · mean is at most log n: −mean ≤ T · log(n / B). For
    the lowermost tokens F and 1 − F change places.
    """
    less = min(share, 1.0 - share)
    if slip == 0.0 or less <= 0.0:
        return 0.0
    return 1.01 * slip * share * (1.0 - share) * math.log(n / (less * mass))


@njit(**JIT)
def locate(row, work, chunks, total, cut, u, error, slip, slow):
    """The inverse CDF: over the sums of chunks, then over the float64 weights of the kept tokens within one.

    total:  of the kept tokens' weights, which stand chunk by chunk in `work.sums`; `error` bounds their relative error.
    slip:   bounds the relative error of the temperature.
    Returns the token (-1 if there is none), its log-probability, and whether the answer is certain.
    """
    target, before, passed, found = u * total, 0.0, 0.0, -1
    sums, buffer = work.sums, work.buffer
    for chunk in range(chunks):
        if sums[chunk] > 0.0:
            found, before = chunk, passed
            passed += sums[chunk]
            if passed > target:
                break
    if found < 0:
        return -1, 0.0, False
    full = row.shape[0] // CHUNK
    here, begin = (row, found * CHUNK) if found < full else (work.tail, 0)
    exact_weights((here[begin : begin + CHUNK], buffer), CHUNK // 16, slow)
    for e in range(len(work.edited)):
        if work.edited[e] // CHUNK == found:
            buffer[work.edited[e] % CHUNK] += work.more[e]
    token, weight, low, running = -1, 0.0, before, before
    for j in range(min(CHUNK, row.shape[0] - found * CHUNK)):
        if here[begin + j] >= cut and buffer[j] > 0.0:
            token, weight, low = found * CHUNK + j, buffer[j], running
            running += weight
            if running > target:
                break
    if token < 0:
        return -1, 0.0, False
    near = min(target - low, running - target)  # negative if u fell past the end of the chunk
    # u · total − before is wrong by error · ((1 − u) · before + u · (this chunk and those after it)) at most
    doubt = error * ((1.0 - u) * before + u * (total - before)) + EXACT_SUM * total
    doubt += drift(slip, u, row.shape[0], total * 2.0 ** -slow[2]) * total
    return token, math.log(weight / total), near > doubt
