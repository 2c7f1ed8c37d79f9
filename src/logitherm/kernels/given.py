"""How a batch of logits is handed to kernels: where it lies, in float32, bfloat16 or float16."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from logitherm.arrays import is_torch
from logitherm.kernels.codes import BFLOAT16, FLOAT16, FLOAT32

Given = tuple[np.ndarray, np.ndarray, int]
"""Rows of float32, or none of them; the bits of bfloat16 or float16, or none; and which of the three it is."""

SINGLE = np.dtype(np.float32)
READ = SINGLE, np.dtype(np.float16)
"""What NumPy has of what kernels read; torch has bfloat16 as well."""

NO_FLOATS, NO_BITS = np.empty((0, 0), np.float32), np.empty((0, 0), np.int16)
FEWEST = 16
"""Rows of fewer tokens are widened here, not by a kernel."""


def in_place(logits: Any) -> Given | None:
    """The logits as a kernel reads them: where they lie, or, if they are strided there, a copy. None if they are of
    another kind, shape or device.
    """
    if isinstance(logits, np.ndarray):
        return _rows(logits)
    if not is_torch(logits):
        return None
    torch = sys.modules["torch"]
    try:  # one call for what a model gives; it refuses gradients and other devices
        if logits.dtype is torch.bfloat16:
            bits = logits.view(torch.int16).numpy()
            fit = bits.ndim == 2 and bits.flags.c_contiguous and bits.shape[1] >= FEWEST
            return (NO_FLOATS, bits, BFLOAT16) if fit else _rows(logits.float().numpy())
        return _rows(logits.numpy())
    except (TypeError, RuntimeError):
        if logits.device.type != "cpu" or not logits.is_floating_point() or logits.element_size() > 4:
            return None
        return _rows(logits.detach().resolve_neg().float().numpy())


def _rows(logits: np.ndarray) -> Given | None:
    if type(logits) is not np.ndarray:
        logits = np.asarray(logits)  # a matrix, a memory map
    if logits.ndim != 2 or logits.dtype not in READ:
        return None
    flags = logits.flags
    if not (flags.c_contiguous and flags.aligned):
        logits = np.require(logits, requirements=["C", "A"])
    if logits.dtype == SINGLE:
        return logits, NO_BITS, FLOAT32
    if logits.shape[1] < FEWEST:
        return logits.astype(SINGLE), NO_BITS, FLOAT32
    return NO_FLOATS, logits.view(np.int16), FLOAT16


def float32_rows(logits: Any) -> np.ndarray | None:
    """The same as float32 rows, without a copy where they are."""
    found = in_place(logits)
    if found is None or found[2] == FLOAT32:
        return None if found is None else found[0]
    rows: np.ndarray = found[1]
    if found[2] == FLOAT16:
        return rows.view(np.float16).astype(SINGLE)
    return (rows.view(np.uint16).astype(np.uint32) << 16).view(SINGLE)
