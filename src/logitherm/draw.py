"""The draw: from kept logits and one uniform number to one token, by the inverse of the running mass."""

from __future__ import annotations

from typing import Any

import numpy as np

from logitherm.arrays import Array, first, like, namespace, numpy, weights


def draw(logits: Array, u: Any) -> np.ndarray:
    """The smallest token id whose running mass exceeds u × the total mass, in token order and float64.

    logits: (rows, vocabulary) float64, -inf where removed; each row has at least one finite logit.
    u:      (rows,) in [0, 1).
    Returns (rows,) int64 on the host. A removed token weighs nothing, so it is never drawn, whatever u is; the
    largest u below 1 still lies below the total, because u × total rounds to less than the total.
    """
    w = weights(logits)
    running = namespace(w).cumsum(w, axis=-1)
    target = like(u, logits)[:, None] * running[:, -1:]
    # A parallel scan may let the running mass waver in its last bit: a token without weight is never the first.
    return numpy(first((running > target) & (w > 0))).astype(np.int64)
