"""The uniform numbers of `logitherm.rng`, compiled: the same bits."""

from __future__ import annotations

import numpy as np
from numba import njit

from logitherm.kernels.cpu.weights import JIT
from logitherm.rng import MULTIPLY, ROUNDS, WEYL, WORD

LOW, HALF = np.uint64(WORD), np.uint64(32)
M0, M1 = np.uint64(MULTIPLY[0]), np.uint64(MULTIPLY[1])
W0, W1 = np.uint64(WEYL[0]), np.uint64(WEYL[1])


@njit(**JIT)
def coin(seed, position):
    """`rng.uniform(seed, position)`: the draw's own lane."""
    c0, c1, c2, c3 = position & LOW, position >> HALF, np.uint64(0), np.uint64(0)
    k0, k1 = seed & LOW, seed >> HALF
    for _ in range(ROUNDS):
        even, odd = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (odd >> HALF) ^ c1 ^ k0, odd & LOW, (even >> HALF) ^ c3 ^ k1, even & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return ((c1 << HALF | c0) >> np.uint64(11)) * 2.0**-53
