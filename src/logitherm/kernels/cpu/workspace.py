"""The memory in which kernels work: three plain arrays, because each array more makes a call from Python slower."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from logitherm.kernels.cpu.lanes import CHUNK
from logitherm.kernels.cpu.weights import JIT


class Work(NamedTuple):
    """Memory that kernels use again for every row; nothing in it means anything between two rows."""

    maxima: Any
    tail: Any
    sums: Any
    gaps: Any
    buffer: Any
    values: Any
    ids: Any
    weights: Any
    spare: Any
    spare_weights: Any
    guessed: Any


def memory(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The memory for rows of `size` tokens: float32, float64 and int32."""
    chunks, room = _rooms(size)
    floats = np.empty(2 * chunks + CHUNK + 2 * room + 32 * CHUNK, np.float32)
    return floats, np.empty(2 * chunks + CHUNK + 2 * room, np.float64), np.empty(room, np.int32)


@njit(**JIT)
def _rooms(size):
    """How many chunks there may be, and how many candidates with their padding."""
    return CHUNK * (size // CHUNK // CHUNK + 1), size + 64 * CHUNK


@njit(**JIT)
def divided(size, floats, doubles, ids):
    """The parts of a workspace for rows of `size` tokens."""
    chunks, room = _rooms(size)
    after = chunks + CHUNK
    return Work(
        floats[:chunks],
        floats[chunks:after],
        doubles[:chunks],
        doubles[chunks : 2 * chunks],
        doubles[2 * chunks : chunks + after],
        floats[after : after + room],
        ids,
        doubles[chunks + after : chunks + after + room],
        floats[after + room : after + 2 * room],
        doubles[chunks + after + room : chunks + after + 2 * room],
        floats[after + 2 * room :],
    )
