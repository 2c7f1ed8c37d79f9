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
    if not isinstance(logits, np.ndarray):
        if not is_torch(logits):
            return None
        try:
            logits = logits.numpy()  # one call for what a model gives; it refuses bfloat16, gradients and other devices
        except (TypeError, RuntimeError):
            return _less_usual(logits)
    if logits.ndim != 2 or logits.dtype not in READ:
        return None
    rows: np.ndarray = logits
    flags = rows.flags
    if not (flags.c_contiguous and flags.aligned):
        rows = np.require(rows, requirements=["C", "A"])
    if rows.dtype == SINGLE:
        return rows, NO_BITS, FLOAT32
    if rows.shape[1] < FEWEST:
        return rows.astype(SINGLE), NO_BITS, FLOAT32
    return NO_FLOATS, rows.view(np.int16), FLOAT16


def _less_usual(logits: Any) -> Given | None:
    """The same of a tensor that is bfloat16, has a gradient, or lies elsewhere."""
    torch = sys.modules["torch"]
    if logits.device.type != "cpu" or not logits.is_floating_point() or logits.element_size() > 4:
        return None
    logits = logits.detach()
    if logits.dtype != torch.bfloat16 or logits.ndim != 2 or logits.shape[1] < FEWEST:
        return in_place(logits.float().numpy())
    return NO_FLOATS, logits.contiguous().view(torch.int16).numpy(), BFLOAT16


def float32_rows(logits: Any) -> np.ndarray | None:
    """The same as float32 rows, without a copy where they are."""
    found = in_place(logits)
    if found is None or found[2] == FLOAT32:
        return None if found is None else found[0]
    rows: np.ndarray = found[1]
    if found[2] == FLOAT16:
        return rows.view(np.float16).astype(SINGLE)
    return (rows.view(np.uint16).astype(np.uint32) << 16).view(SINGLE)
