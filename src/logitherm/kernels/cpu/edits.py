"""Rules that change few tokens, which stand at the head of a run: penalties, biases, bans, runs that may not repeat.

The row is copied and the tokens are changed in the copy. What they become in float64 may lie between two float32
numbers: such a token stands in the copy as the nearer of them, and the difference of its weight is added where weights
are summed. Its rank is that of the float32 number; where that could matter, the plain rules are asked (`muddled`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from logitherm.kernels.codes import FREQUENCY, LISTED, OFF, PRESENCE, REPETITION, UNREPEATED
from logitherm.kernels.cpu.candidates import weigh_candidates
from logitherm.kernels.cpu.lanes import CHUNK, DOUBLE, FLOAT, WIDTH, Lanes, over_arrays
from logitherm.kernels.cpu.rows import count
from logitherm.kernels.cpu.weights import JIT, LOWEST, NONE, OWNING, exact

KNUTH = np.int64(2654435761)
"""2³² over the golden ratio, which spreads neighbours in a hash table (Knuth, volume 3, section 6.4)."""


MOST = 0.01


@over_arrays(None, [FLOAT, DOUBLE], [DOUBLE])
def differences(rounded: Lanes, true: Lanes, *scale: Lanes) -> Sequence[Lanes]:
    """Write how much more the true logits weigh than the rounded ones."""
    return [exact(true, *scale) - exact(rounded, *scale)]


@njit(**JIT)
def heads(rules):
    """How many rules at the head of a run change few tokens."""
    place, some = 0, False
    while place < len(rules) and (rules[place, 0] >= REPETITION or rules[place, 0] == OFF):
        some |= rules[place, 0] >= REPETITION
        place += 1
    return place if some else 0


@njit(**OWNING)
def patch(rules, row, past, begun, pairs, patched):
    """The row after some rules, in `patched`.

    past:  (tokens,) the row's prompt and what it has drawn, which begins at `begun`.
    pairs: (n, 2) float64 token ids and what is added to their logits.
    Returns the tokens whose logits float32 cannot hold (ids, the rounded, the true logits, padded with -inf), how many
    they are, and whether all can be told: no id beyond the row, no logit beyond float32.
    """
    size, most = row.shape[0], len(past) + len(pairs)
    length = 1
    while length < 2 * most + 2:
        length *= 2
    table, ids = np.full(length, -1, np.int32), np.empty(most, np.int32)
    seen, drawn, n, told = np.zeros(most, np.int64), np.zeros(most, np.int64), 0, True
    for j in range(len(past)):
        if past[j] < size:
            e = _place(table, ids, past[j], n)
            n = max(n, e + 1)
            seen[e] += 1
            drawn[e] += j >= begun
    for j in range(len(pairs)):
        if pairs[j, 0] >= size:
            return np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0), 0, False
        n = max(n, _place(table, ids, np.int64(pairs[j, 0]), n) + 1)
    values = np.empty(n)
    for e in range(n):
        values[e] = row[ids[e]]
        told &= values[e] < np.inf  # no rule may hide what is no logit
    for place in range(len(rules)):
        kind, now = int(rules[place, 0]), rules[place, 1:]
        if kind == UNREPEATED:
            _unrepeated(past, int(now[0]), size, table, ids, n, values)
        elif kind == LISTED:
            if len(past) - begun < now[2]:
                _listed(pairs[int(now[0]) : int(now[1])], table, ids, n, values)
        else:
            _penalised(kind, now[0], seen, drawn, values)
    for j in range(size):
        patched[j] = row[j]  # which it may be already
    rounded, true, some = np.full(n + WIDTH, NONE, np.float32), np.full(n + WIDTH, -np.inf), 0
    for e in range(n):
        near = np.float32(values[e])
        patched[ids[e]] = near
        if np.float64(near) != values[e]:
            told &= np.isfinite(near)
            ids[some], rounded[some], true[some] = ids[e], near, values[e]
            some += 1
    return ids, rounded, true, some, told


@njit(**JIT)
def _place(table, ids, token, n):
    """Where a token stands among the n so far; the next place, which becomes its own, if it is new."""
    slot = (token * KNUTH) & (len(table) - 1)
    while table[slot] >= 0 and ids[table[slot]] != token:
        slot = (slot + 1) & (len(table) - 1)
    if table[slot] < 0:
        table[slot], ids[n] = n, token
    return np.int64(table[slot])


@njit(**JIT)
def _penalised(kind, penalty, seen, drawn, values):
    for e in range(len(values)):
        if kind == REPETITION and seen[e] > 0:
            values[e] = values[e] / penalty if values[e] > 0.0 else values[e] * penalty
        elif kind == FREQUENCY:
            values[e] -= penalty * drawn[e]
        elif kind == PRESENCE and drawn[e] > 0:
            values[e] -= penalty


@njit(**OWNING)
def _listed(pairs, table, ids, n, values):
    """Add what stands in a list; a token that stands twice gets the sum."""
    amounts = np.zeros(n)
    for j in range(len(pairs)):
        amounts[_place(table, ids, np.int64(pairs[j, 0]), n)] += pairs[j, 1]
    for e in range(n):
        values[e] += amounts[e]


@njit(**JIT)
def _unrepeated(past, length, size, table, ids, n, values):
    """Remove what would complete a run of `length` tokens that the row already holds."""
    for start in range(len(past) - length + 1):
        same, last = True, past[start + length - 1]
        for k in range(length - 1):
            same &= past[start + k] == past[len(past) - length + 1 + k]
        if same and last < size:
            values[_place(table, ids, last, n)] = -np.inf


@njit(**JIT)
def weigh_edited(work, slow):
    """How much more each edited token weighs than its rounded logit says; false where rounding changes a weight by more
    than MOST of it: for huge logits or little temperatures.
    """
    for e in range(len(work.edited)):
        if abs(work.true[e] - work.rounded[e]) * slow[1] > MOST:
            return False
    if len(work.edited):
        differences((work.rounded, work.true, work.more), (len(work.edited) + WIDTH - 1) // WIDTH, slow)
    return True


@njit(**JIT)
def amend(work, above):
    """Add the difference of each edited token over a limit to its chunk's sum; returns that of all and of those."""
    total, over = 0.0, 0.0
    for e in range(len(work.edited)):
        total += work.more[e]
        if work.rounded[e] > above:
            work.sums[work.edited[e] // CHUNK] += work.more[e]
            over += work.more[e]
    return total, over


@njit(**JIT)
def weigh_listed(work, n, slow):
    """The weights of n candidates, which stand in token order."""
    weigh_candidates(work.values, n, slow, work.weights)
    for e in range(len(work.edited)):
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if work.ids[middle] < work.edited[e]:
                low = middle + 1
            else:
                high = middle
        if low < n and work.ids[low] == work.edited[e]:
            work.weights[low] += work.more[e]


@njit(**JIT)
def muddled(row, work, chunks, n, value, others):
    """Whether an edited token is so near a logit that rounding may have changed its rank, with more than `others` more
    tokens as near: among n candidates, or (−1) in the whole row.
    """
    if len(work.edited) == 0 or value <= LOWEST:
        return False
    low = np.nextafter(np.nextafter(value, NONE), NONE)
    high = np.nextafter(np.nextafter(np.nextafter(value, np.float32(np.inf)), np.float32(np.inf)), np.float32(np.inf))
    near = False
    for e in range(len(work.edited)):
        near |= work.rounded[e] >= low and work.rounded[e] < high
    if not near:
        return False
    if n < 0:
        many = count(row, work.tail, chunks, work.maxima, low) - count(row, work.tail, chunks, work.maxima, high)
    else:
        many = 0
        for j in range(n):
            many += work.values[j] >= low and work.values[j] < high
    return many > others


@njit(**JIT)
def highest(work, top):
    """The largest logit as it truly is."""
    for e in range(len(work.edited)):
        if work.rounded[e] == top:
            return work.true[e]
    return np.float64(top)
