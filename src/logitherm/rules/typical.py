"""Locally typical sampling: keep the tokens whose surprise is nearest to what the row leads one to expect."""

from __future__ import annotations

from dataclasses import dataclass

from logitherm.arrays import (
    Array,
    ascending,
    before,
    count,
    entropy,
    gather,
    keep,
    log_softmax,
    namespace,
    weights,
)
from logitherm.rules.base import SLACK, Numbers, Rule, parameter
from logitherm.state import At

TIED = 1e-9
"""Nats by which two distances may differ and count as one: rounding must not choose between them."""


@dataclass(frozen=True)
class Typical(Rule, name="typical"):
    """Keep the smallest set of tokens whose surprisal is nearest to the entropy and whose mass reaches p.

    With H the entropy of the row and −log pᵢ the surprisal of a token, both in nats, tokens are taken in the order of
    |−log pᵢ − H|. A token stays iff the mass of tokens strictly nearer is below p · (1 − 1e-6): the one that crosses p
    stays. The likeliest token may go: in a row of many equal tokens and one somewhat likelier, it is not typical.
    p: the mass to reach, a probability in (0, 1]; one, or one a row. 1 is off. Usual 0.2 to 0.95; smaller is stricter.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens of one logit stay or go together, and so do those whose distances agree to 1e-9 nats: in [.5, .25, .25]
    all three are equally far from the entropy, on either side of it.
    Raises RecipeError if p is outside (0, 1].
    Source: Meister, Pimentel, Wiher, Cotterell, "Locally Typical Sampling", TACL 2023, arXiv:2202.00666;
    TypicalLogitsWarper of transformers 5.23 (logits_process.py).
    Example: p = [.4, .3, .2, .1] has H = 1.2799 and surprisals .916, 1.204, 1.609, 2.303, so .364, .076, .330, 1.023
    away: typical(0.25) keeps the second, typical(0.4) the second and third, typical(0.6) the first three.
    """

    p: Numbers = parameter("in (0, 1]", lambda p: 0 < p <= 1, unit="probability mass")

    neutral = {"p": 1.0}
    examples = ({"p": 0.9}, {"p": 0.5}, {"p": 0.05})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits of the typical tokens."""
        xp = namespace(logits)
        p = at.column(self.p)
        away = xp.abs(log_softmax(logits) + entropy(logits))  # inf where removed
        nearest = ascending(away)
        w = gather(weights(logits), nearest)
        needed = before(w) < p * (1 - SLACK) * xp.sum(w, axis=-1, keepdims=True)
        furthest = gather(gather(away, nearest), count(needed) - 1)
        return keep(logits, (away <= furthest + TIED) | (p >= 1))
