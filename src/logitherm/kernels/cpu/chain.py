"""A run of rules on one row, each as what it does to two numbers: the temperature and the cut.

Rules that keep an upper set compose by the largest cut, temperatures by their product, so the run is (T, cut), and the
draw is of the tokens at or above the cut, weighted by exp(l / T). Every decision is made on rough sums first and counts
only if it is farther from its boundary than the sums may be wrong; else the row is done again with exact weights. So
the answer is the float64 answer.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from logitherm.kernels.codes import (
    ASK,
    CONFORMAL,
    EPSILON,
    FINE,
    FULL,
    MIN_P,
    OFF,
    TEMPERATURE,
    TOP_K,
    TOP_N_SIGMA,
    TOP_P,
    UNSURE,
)
from logitherm.kernels.cpu import first
from logitherm.kernels.cpu.candidates import draw, nucleus_of, padded, smallest
from logitherm.kernels.cpu.edits import amend, highest, muddled, weigh_edited, weigh_listed
from logitherm.kernels.cpu.floors import limit, mass_of
from logitherm.kernels.cpu.heats import COLDEST, exact_heat, rough_heat
from logitherm.kernels.cpu.lanes import CHUNK
from logitherm.kernels.cpu.largest import first_k, nth_largest
from logitherm.kernels.cpu.nucleus import nucleus
from logitherm.kernels.cpu.rows import EXACT_SUM, OVERFULL, ROUGH_SUM, count, gather, locate, weigh, weigh_kept
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE, scales

FEW = 4096
"""So many kept tokens are listed and weighed exactly; of more, chunks are summed."""

FARTHEST_SLIP = 1e-4
"""A temperature less certain than this is computed exactly before it is used."""

COLDEST_RUN, HOTTEST_RUN = 1e-30, 1e30
"""A run whose temperatures come to less or more is left to the plain rules: bounds in float32 would overflow."""

UNCUT = -1
"""The count of kept tokens where no rule has cut."""

NOT_YET, WEIGHED, MEASURED = range(3)
"""What the first look has made besides the maxima: the sums at the temperatures that lead the run, or the entropy of
what the first dynamic temperature looks at.
"""


@njit(**JIT)
def attempt(row, u, rules, work, top, chunks, seen, bracket, exact):
    """The run with rough weights or with exact ones; UNSURE if rough ones cannot tell, with a bracket for the next."""
    t, slip, cut, n, came, last = 1.0, 0.0, LOWEST, -1, FINE, len(rules) - 1
    # n: how many candidates there are, −1 while it is the whole row; slip: how far t may be off, relatively
    fast, slow, able = scales(top, 1.0)
    if not weigh_edited(work, slow):
        came = ASK
    for place in range(len(rules)):
        kind, now, p = int(rules[place, 0]), rules[place, 1:], rules[place, 1]
        if kind == OFF or came != FINE:
            continue
        if n < 0 and cut > LOWEST and kind != TEMPERATURE and kind != MIN_P:
            came, n = _list(row, work, chunks, cut, slow)
            if came != FINE:
                continue
        if kind == CONFORMAL:
            came, p = _calibrated(now, row, work, chunks, n, top, t, slip, seen, exact)
            kind, seen = TOP_P, NOT_YET
            if came != FINE or p == 1.0:
                continue
        if kind == TOP_K:
            came, cut, n = _by_rank(int(now[0]), row, work, chunks, n, cut, slow)
        elif kind == TOP_P and n >= 0:
            came, cut, n = _by_mass(p, row, work, chunks, n, cut, top, slip, slow)
        elif kind == TOP_P:
            found, mass, kept, certain = nucleus(
                row, work, chunks, top, t, p, slip, bracket, fast, slow, exact or not able
            )
            if kept == OVERFULL:
                came = FULL
            elif not certain:
                came = UNSURE
                if found > NONE:
                    margin = 0.01 * t
                    bracket = np.float32(np.float64(found) - margin), np.float32(np.float64(found) + margin)
            elif muddled(row, work, chunks, -1, found, 1):
                came = ASK
            elif place == last:
                answer = _located(row, work, chunks, u, mass, found, kept, t, slip, slow, exact or not able, exact)
                return answer, (np.nextafter(found, NONE), found)
            else:
                cut = found
                came, n = _list(row, work, chunks, cut, slow)
        elif kind == MIN_P or kind >= EPSILON:
            came, cut, n = _by_limit(kind, now, row, work, chunks, n, cut, top, t, slip, slow, seen, exact)
            seen = seen if kind == MIN_P else NOT_YET  # its sums may have been used up
        else:
            came, own, off = _heat(kind, now, row, work, chunks, n, top, t, slip, slow, seen, exact)
            seen = seen if kind == TEMPERATURE else NOT_YET  # it is of the first dynamic rule alone
            if came == FINE and own <= COLDEST:
                return _greedy(row, top, work.maxima, exact), bracket
            if came == FINE:
                t, slip = t * own, slip + off
                fast, slow, able = scales(top, t)
                if not (COLDEST_RUN < t < HOTTEST_RUN and weigh_edited(work, slow)):
                    came = ASK
                elif n >= 0:
                    weigh_listed(work, n, slow)
    if came != FINE:
        return (came, -1, 0.0, 0, cut, t, exact), bracket
    return _finish(row, u, work, top, chunks, seen, n, cut, t, slip, fast, slow, exact or not able, exact), bracket


@njit(**JIT)
def _list(row, work, chunks, cut, slow):
    """List and weigh the tokens at or above a cut: FINE and how many, or FULL."""
    n = gather(row, work.tail, work.maxima, chunks, cut, work.values, work.ids)
    if n == OVERFULL:
        return FULL, n
    weigh_listed(work, n, slow)
    return FINE, n


@njit(**JIT)
def _by_rank(k, row, work, chunks, n, cut, slow):
    """top_k: what came of it, the cut, and how many candidates there are now."""
    if 0 <= n <= k or k >= row.shape[0]:
        return FINE, cut, n
    if n >= 0:
        n = _first_of(work, n, k)
    else:
        n = first_k(row, work.tail, work.maxima, chunks, cut, k, work.values, work.ids, work.spare)
        if n == OVERFULL:
            return FULL, cut, n
        weigh_listed(work, n, slow)
    cut = max(cut, smallest(work.values, n))
    return ASK if muddled(row, work, chunks, -1, cut, 1) else FINE, cut, n


@njit(**JIT)
def _by_mass(p, row, work, chunks, n, cut, top, slip, slow):
    """The same of top_p among n candidates."""
    found, certain = nucleus_of(work.values, work.weights, n, top, p, slip, slow, work.spare, work.spare_weights)
    if not certain:
        return UNSURE, cut, n
    if muddled(row, work, chunks, n, found, 1):
        return ASK, cut, n
    cut = max(cut, found)
    n = keep_weighed(work, n, cut)
    weigh_listed(work, n, slow)
    return FINE, cut, n


@njit(**JIT)
def _calibrated(now, row, work, chunks, n, top, t, slip, seen, exact):
    """What came of conformal, and its p."""
    if len(work.edited):
        return ASK, 1.0
    if slip > 0.0:
        return UNSURE, 1.0
    return mass_of(now, row, work, chunks, n, top, t, seen == MEASURED, exact)


@njit(**JIT)
def _by_limit(kind, now, row, work, chunks, n, cut, top, t, slip, slow, seen, exact):
    """The same of min_p and of the rules of `floors`."""
    if kind == MIN_P:
        least, doubt = highest(work, top) + t * now[0], slip * t * -now[0]
        if muddled(row, work, chunks, -1, top, 1) or muddled(row, work, chunks, n, np.float32(least), 0):
            return ASK, cut, n
    else:
        if len(work.edited):
            return ASK, cut, n
        if slip > 0.0 and kind != TOP_N_SIGMA:
            return UNSURE, cut, n
        came, least, doubt = limit(kind, now, row, work, chunks, n, top, t, seen == WEIGHED, seen == MEASURED, exact)
        if came != FINE:
            return came, cut, n
    if not (least == least and doubt == doubt):
        return UNSURE, cut, n
    if doubt > 0.0 and _between(row, work, chunks, n, least - doubt, least + doubt):
        return UNSURE, cut, n
    if _at_or_above(least) > cut:
        cut = _at_or_above(least)
        if n >= 0:
            n = keep_weighed(work, n, cut)
            weigh_listed(work, n, slow)
    return FINE, cut, n


@njit(**JIT)
def _heat(kind, now, row, work, chunks, n, top, t, slip, slow, seen, exact):
    """What came of a temperature, itself, and how far it may be off, relatively."""
    own, off = now[0], 0.0
    if kind != TEMPERATURE and slip > 0.0:
        return UNSURE, own, off
    if kind != TEMPERATURE and seen == MEASURED and not exact:
        own, off = rough_heat(kind, now, row, work, chunks, top, t)
    elif kind != TEMPERATURE:
        own = exact_heat(kind, now, row, work, chunks, top, t, n, slow)
    if not 0.0 <= off <= FARTHEST_SLIP or (off > 0.0 and own <= 2.0 * COLDEST):  # nor if it is NaN
        return UNSURE, own, off
    if own <= COLDEST and muddled(row, work, chunks, -1, top, 1):
        return ASK, own, off
    return FINE, own, off


@njit(**JIT)
def _finish(row, u, work, top, chunks, seen, n, cut, t, slip, fast, slow, careful, exact):
    """The draw, when the rules have left n candidates, or (−1) all tokens at or above the cut."""
    kept = n if n >= 0 else UNCUT if cut == LOWEST else count(row, work.tail, chunks, work.maxima, cut)
    if n < 0 and cut > LOWEST and kept <= FEW:
        n = gather(row, work.tail, work.maxima, chunks, cut, work.values, work.ids)
        weigh_listed(work, n, slow)
    if n >= 0:
        token, log_p, certain = draw(work.ids, work.weights, n, u, slip, slow)
        return FINE if certain else UNSURE, token, log_p, n, cut, t, exact
    if cut > LOWEST:
        total = weigh_kept(row, work.tail, work.maxima, chunks, cut, fast, slow, careful, work.sums)
    elif seen == WEIGHED and not careful:
        total = first.settled(top, t, work.maxima, work.sums)
    else:
        total = weigh(row, work.tail, chunks, fast, slow, careful, work.sums)
    total += amend(work, np.nextafter(cut, NONE))[1]
    return _located(row, work, chunks, u, total, cut, kept, t, slip, slow, careful, exact)


@njit(**JIT)
def _located(row, work, chunks, u, total, cut, kept, t, slip, slow, careful, exact):
    """The draw from the sums of chunks."""
    error = EXACT_SUM if careful else ROUGH_SUM
    token, log_p, sure = locate(row, work, chunks, total, cut, u, error, slip, slow)
    if not sure and not exact:
        return UNSURE, -1, 0.0, 0, cut, t, exact
    return FINE if token >= 0 else ASK, token, log_p, kept, cut, t, exact


@njit(**JIT)
def _between(row, work, chunks, n, low, high):
    """Whether a token lies in [low, high): of n candidates, or (−1) of the row."""
    least, most = _at_or_above(low), _at_or_above(high)
    if least == most:
        return False
    if n < 0:
        below = count(row, work.tail, chunks, work.maxima, most)
        return count(row, work.tail, chunks, work.maxima, least) > below
    some = False
    for j in range(n):
        some |= work.values[j] >= least and work.values[j] < most
    return some


@njit(**JIT)
def _greedy(row, top, maxima, exact):
    """The lowest id among the largest logits."""
    chunk = 0
    while maxima[chunk] < top:
        chunk += 1
    token = chunk * CHUNK
    while row[token] < top:
        token += 1
    return FINE, token, 0.0, 1, top, 0.0, exact


@njit(**JIT)
def _first_of(work, n, k):
    """Only the k largest candidates, ties included; returns how many."""
    for j in range(n):
        work.spare[j] = work.values[j]
    return keep_weighed(work, n, nth_largest(work.spare, n, k))


@njit(**JIT)
def keep_weighed(work, n, cut):
    """Only the candidates at or above the cut, with their weights; returns how many."""
    kept = 0
    for j in range(n):
        if work.values[j] >= cut:
            work.values[kept], work.ids[kept], work.weights[kept] = work.values[j], work.ids[j], work.weights[j]
            kept += 1
    padded(work.values, kept)
    return kept


@njit(**JIT)
def _at_or_above(limit):
    """The smallest float32 that is at least so large: comparing with it in float32 is comparing in float64."""
    near = np.float32(limit)
    return np.nextafter(near, np.float32(np.inf)) if np.float64(near) < limit else near
