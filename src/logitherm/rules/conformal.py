"""A nucleus calibrated on held-out text: its p is such that it holds the text's true next token as often as promised.

The model's own p does not promise that: where it is overconfident, the nucleus of p = 0.9 holds the true token less
often than in nine rows of ten. Split conformal prediction mends it for rows of each range of entropy by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite

import numpy as np

from logitherm.arrays import Array, count, entropy, float64, gather, keep, like, namespace, numpy, softmax
from logitherm.errors import LogitsError, RecipeError
from logitherm.rules.base import Cutoff, among, listed
from logitherm.rules.rank import crossing
from logitherm.state import At

STEPS = 1e6
"""A calibrated p is a whole number of millionths: rounded up, and two more, which top_p's slack of one cannot undo."""


@dataclass(frozen=True)
class Conformal(Cutoff, name="conformal"):
    """Keep the nucleus of top_p, with a p that is looked up by the entropy of the row.

    p: a list of masses in (0, 1], one for each range of entropy; all 1 is off. `calibrated` below finds them.
    edges: the bounds between the ranges, nats, rising, one fewer than p; none unless given. A row of entropy H has the
       p whose number is the count of edges ≤ H. Entropy and masses are of what this rule receives, as in calibration.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens of one logit stay or go together; the token that crosses p stays, as in top_p.
    Raises RecipeError if a p is outside (0, 1], edges do not rise, or their number does not fit.
    Guarantee, with p from `calibrated` at coverage c, if the rows of calibration and a new row with its true next token
    are exchangeable: the token is in the kept set with probability at least c, on average over both, in each range of
    entropy. It is no promise for a given row, context or kind of text within a range; nor for text that the model
    writes itself, whose rows are not exchangeable with those of people's; nor that what is kept is good.
    Source: Ravfogel, Goldberg, Goldberger, "Conformal Nucleus Sampling", Findings of ACL 2023, arXiv:2305.02633, as the
    authors' eval.py has it (shauli-ravfogel/conformal-prediction, commit 26e36b38); their score includes the true
    token's own mass, ours is the mass above it, which gives smaller sets of the same guarantee.
    Example: p = [.4, .3, .2, .1] has H = 1.28, so conformal([0.5, 0.75], [1.0]) uses .75 and keeps three;
    [.9, .05, .03, .02] has H = .43 and keeps one.
    """

    p: Sequence[float] = listed(
        among("numbers in (0, 1]", lambda p: 0 < p <= 1), "numbers in (0, 1]", unit="probability mass"
    )
    edges: Sequence[float] = listed(among("finite numbers", isfinite), "finite numbers", unit="nats", default=())

    neutral = {"p": (1.0,), "edges": ()}
    examples = ({"p": [0.6, 0.9], "edges": [1.1]}, {"p": [0.5]}, {"p": [0.9, 0.3, 0.7], "edges": [0.4, 1.7]})
    steers = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.p) != len(self.edges) + 1:
            raise RecipeError(
                f"Conformal.p must be a list of one number more than edges; got {len(self.p)} and {len(self.edges)}"
            )
        if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise RecipeError(f"Conformal.edges must be a list of finite numbers that rise; got {list(self.edges)}")

    def last(self, logits: Array) -> Array:
        """The logit of the token that crosses the row's p, (rows, 1)."""
        range_of = count(entropy(logits) >= like(self.edges, logits))
        return crossing(logits, like(self.p, logits)[range_of])

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the token that crosses the row's p."""
        return self.last(logits)

    def critical(self, logits: Array, token: int) -> Array:
        """The token's probability over that of the last to stay: it stays while that is at least 1."""
        return namespace(logits).exp(gather(logits, token) - self.last(logits))


def needed(logits: Array, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
    """(rows, 2) the entropy of each row, nats, and the mass of the tokens likelier than its true next token.

    logits: (rows, vocabulary), any float dtype, NumPy or torch: of held-out text, as the rule will receive them.
    tokens: (rows,) the ids that came next in that text. One that was removed before has the mass inf.
    """
    rows = float64(logits)
    ids = np.asarray(tokens)
    if ids.shape != (len(rows),) or ids.dtype.kind not in "iu" or ((ids < 0) | (ids >= rows.shape[-1])).any():
        raise LogitsError(f"tokens must be {len(rows)} ids in [0, {rows.shape[-1]}), one a row; got {tokens!r}")
    xp = namespace(rows)
    own = gather(rows, xp.asarray(ids[:, None], device=rows.device))
    above = xp.sum(keep(softmax(rows), rows > own, 0.0), axis=-1, keepdims=True)
    both = xp.concatenate([entropy(rows), keep(above, xp.isfinite(own), inf)], axis=-1)
    found: np.ndarray = numpy(both)
    return found


def calibrated(seen: np.ndarray, coverage: float = 0.9, edges: Sequence[float] = ()) -> Conformal:
    """The rule whose nucleus holds the true next token with the wanted coverage, in each range of entropy.

    seen:     (n, 2) what `needed` gives for rows of held-out text. One row of a text is best, for rows of one text are
              not independent.
    coverage: the probability that is promised, in (0, 1). A range with fewer than coverage / (1 − coverage) rows has
              p = 1: so few cannot promise anything.
    edges:    as in the rule. Choose them before, or on other text: the guarantee takes them as given.
    With m rows in a range its p is the ⌈(m + 1) · coverage⌉-th smallest mass, rounded up to six digits.
    Raises RecipeError if coverage is outside (0, 1), or if a token that a range needs was removed before the rule.
    """
    if not 0 < coverage < 1:
        raise RecipeError(f"coverage must be in (0, 1); got {coverage!r}")
    bounds = Conformal([1.0] * (len(edges) + 1), edges).edges
    seen = np.asarray(seen, dtype=np.float64).reshape(-1, 2)
    ranges = np.searchsorted(bounds, seen[:, 0], side="right")
    return Conformal([_enough(seen[ranges == i, 1], coverage) for i in range(len(bounds) + 1)], bounds)


def _enough(masses: np.ndarray, coverage: float) -> float:
    """The p of a range from the masses seen in it."""
    rank = ceil((len(masses) + 1) * coverage - 1e-9)  # less what a product of floats may be too large by
    if rank > len(masses):
        return 1.0
    mass = float(np.sort(masses)[rank - 1])
    if mass == inf:
        raise RecipeError(f"a coverage of {coverage} is out of reach: too many true tokens were removed before")
    return min(1.0, ceil(mass * STEPS + 2) / STEPS)
