"""The memory in which kernels work: three plain arrays, because each array more makes a call from Python slower."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from logitherm.kernels.cpu.lanes import CHUNK
from logitherm.kernels.cpu.weights import JIT, OWNING


class Work(NamedTuple):
    """Memory that kernels use again for every row, and the row's edited tokens (`edits`)."""

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
    edited: Any
    rounded: Any
    true: Any
    more: Any


SHARE = 8
"""Room for one candidate in so many tokens serves all but odd rows; those ask for more, once."""

SLACK = 64 * CHUNK
"""Room beyond the candidates: for padding, and for what a cut is guessed from."""


def memory(size: int, wide: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The memory for rows of `size` tokens: float32, float64 and int32, and a copy of a row that is edited.

    It takes 7.5 bytes a token, 32 if it is wide, and 0.6 MB; an operating system gives the copy only when it is used.
    """
    chunks, room = _chunks(size), (size if wide else size // SHARE) + SLACK
    floats = np.empty(2 * chunks + CHUNK + 2 * room + 32 * CHUNK, np.float32)
    doubles = np.empty(2 * chunks + CHUNK + 2 * room, np.float64)
    return floats, doubles, np.empty(room, np.int32), np.empty(size, np.float32)


@njit(**JIT)
def _chunks(size):
    """How many chunks there may be, in whole hundreds and twenty-eights."""
    return CHUNK * (size // CHUNK // CHUNK + 1)


@njit(**OWNING)
def divided(size, floats, doubles, ids, edited, rounded, true, more):
    """The parts of a workspace for rows of `size` tokens."""
    chunks, room = _chunks(size), len(ids)
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
        edited,
        rounded,
        true,
        more,
    )
