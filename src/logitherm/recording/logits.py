"""Logits as a trace file holds them: a whole row, or its largest entries and a summary of the rest."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from logitherm.errors import TraceError

FLOATS = {"float32": "<f4", "float64": "<f8"}


def pack(row: np.ndarray, top: int | None = None, token: int = 0) -> dict[str, Any]:
    """One row of logits as plain data; float32 where that loses nothing, as it does for a model's own logits.

    row: (vocabulary,) float64.
    top: keep so many of the largest; of the rest only how many can come (count) and the log of the sum of their
         weights (logsumexp). None keeps all.
    token: one to keep in any case: the drawn one.
    """
    if top is None or top >= len(row):
        return {"all": _write(row)}
    ids = np.union1d(np.argsort(-row, kind="stable")[:top], token)
    rest = np.delete(row, ids)
    rest = rest[np.isfinite(rest)]
    largest = rest.max(initial=-np.inf)
    mass = float(largest + np.log(np.exp(rest - largest).sum())) if len(rest) else None
    return {"ids": _write(ids), "largest": _write(row[ids]), "rest": {"count": len(rest), "logsumexp": mass}}


def unpack(data: Any, size: int) -> np.ndarray:
    """The row again, float64. As many tokens as a summary counts, those of the lowest ids, share its mass equally.

    Raises TraceError if the data is no such row of `size` logits that a token can be drawn from.
    """
    if not isinstance(data, Mapping) or not ({"all"} == set(data) or {"ids", "largest", "rest"} == set(data)):
        raise TraceError("logits must have either all, or ids, largest and rest")
    if "all" in data:
        row = _read(data["all"]).astype(np.float64)
    else:
        ids, largest = _read(data["ids"]), _read(data["largest"]).astype(np.float64)
        if ids.dtype.kind != "i" or ids.shape != largest.shape or (np.diff(ids) <= 0).any():
            raise TraceError("logits' ids must rise, one for each of the largest")
        if len(ids) >= size or (len(ids) and (ids[0] < 0 or ids[-1] >= size)):
            raise TraceError(f"logits' ids must be fewer than {size}, and in [0, {size})")
        row = np.full(size, -np.inf)
        others = np.setdiff1d(np.arange(size), ids, assume_unique=True)
        count, share = _shared(data["rest"], len(others))
        row[others[:count]] = share
        row[ids] = largest
    if row.shape != (size,):
        raise TraceError(f"logits must be {size} numbers; got {row.size}")
    if not np.isfinite(row.max()):
        raise TraceError("logits must be numbers, one at least finite, none NaN or +inf")
    return row


def stored(data: Mapping[str, Any], token: int) -> bool:
    """Whether a token's logit is kept singly, in data that `unpack` has read."""
    return "all" in data or bool((_read(data["ids"]) == token).any())


def _shared(rest: Any, tokens: int) -> tuple[int, float]:
    """How many of so many tokens a summary counts, and the logit that each of them gets."""
    try:
        count, mass = rest["count"], rest["logsumexp"]
        if (
            isinstance(count, bool)
            or not isinstance(count, int)
            or not 0 <= count <= tokens
            or (mass is None) == (count > 0)
        ):
            raise ValueError
        return count, float(mass) - float(np.log(count)) if count else -np.inf
    except (TypeError, KeyError, ValueError, OverflowError):
        raise TraceError(f"logits' rest must have a count of at most {tokens} and a logsumexp; got {rest!r}") from None


def _write(values: np.ndarray) -> dict[str, str]:
    if values.dtype.kind == "i":
        kind, exact = "int32", values.astype("<i4")
    else:
        with np.errstate(over="ignore"):
            small = values.astype(np.float32)
        kind = "float32" if (small == values).all() else "float64"
        exact = values.astype(FLOATS[kind])
    return {"type": kind, "base64": base64.b64encode(exact.tobytes()).decode("ascii")}


def _read(data: Any) -> np.ndarray:
    kinds = {**FLOATS, "int32": "<i4"}
    try:
        return np.frombuffer(base64.b64decode(data["base64"], validate=True), dtype=kinds[data["type"]])
    except (TypeError, KeyError, ValueError):
        raise TraceError("logits must be base64 of float32, float64 or int32 numbers") from None
