"""Nobody is timed who does something else: a peer must draw from the same probabilities as we do."""

from __future__ import annotations

import numpy as np


def check(name: str, ours: np.ndarray, theirs: np.ndarray, row: np.ndarray, close: float) -> None:
    """AssertionError unless both keep the same tokens of a row with the same probabilities, but for `close` in total.

    At a cut, tokens with the same logit all stay with us and mostly do not with others; so the tokens that tie with the
    last kept one of either are left out, and what remains is compared as shares of itself.
    """
    last = max(row[ours > 0].min(), row[theirs > 0].min())
    inside = row > last
    if not inside.any():
        return
    p, q = (x * inside / (x * inside).sum() for x in (ours, theirs))
    apart = float(np.abs(p - q).sum()) / 2
    assert apart <= close, f"{name} draws from something else: {apart:.1e} of the mass is elsewhere"
    stray = max(float(x[row < last].sum()) for x in (ours, theirs))
    assert stray <= close, f"{name} cuts elsewhere: {stray:.1e} of the mass is beyond the other's cut"
