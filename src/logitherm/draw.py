"""The draw: from kept logits and one uniform number to one token, by the inverse of the running mass."""

from __future__ import annotations

from typing import Any

import numpy as np

from logitherm.arrays import Array, count, like, namespace, numpy, weights


def draw(logits: Array, u: Any) -> np.ndarray:
    """The smallest token id whose running mass exceeds u × the total mass, in token order and float64.

    logits: (rows, vocabulary) float64, -inf where removed; each row has at least one finite logit.
    u:      (rows,) in [0, 1).
    Returns (rows,) int64 on the host. A removed token weighs nothing, so it is never drawn, whatever u is; the
    largest u below 1 still lies below the total, because u × total rounds to less than the total.
    """
    xp = namespace(logits)
    running = xp.cumsum(weights(logits), axis=-1)
    reached = running <= like(u, logits)[:, None] * running[:, -1:]
    return numpy(count(reached)[:, 0]).astype(np.int64)
