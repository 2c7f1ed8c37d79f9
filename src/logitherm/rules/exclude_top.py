"""XTC: now and then, leave out the tokens that everybody would choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from logitherm.arrays import Array, count, keep, namespace, softmax
from logitherm.errors import RecipeError
from logitherm.rules.base import SLACK, Numbers, Rule, listed, parameter, whole
from logitherm.rules.constrain import below
from logitherm.state import At
from logitherm.vocabulary import Vocabulary


@dataclass(frozen=True)
class Xtc(Rule, name="xtc"):
    """With a given chance, remove every token at or above a threshold except the least likely of them.

    probability: the chance that it acts on a row at a step, in [0, 1]; one, or one a row. 0 is off. Usual 0.5. The
       coin is of the rule's own lane: a function of seed, position and the rule's place, never of the batch.
    threshold: a probability in (0, 1]; one, or one a row. 0.1 unless given. Above 0.5 two tokens cannot reach it, so
       nothing happens; smaller removes more.
    protect: ids that must never go; where one would, the row is left as it is. Unless given, the line break and the
       ends of the model's texts, which `sampler.bind(vocabulary)` fills in and `generate` does by itself; [] is none.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: a token at the threshold reaches it, p ≥ threshold · (1 − 1e-6); tokens that tie with the least likely of
    those that reach it stay with it.
    Raises RecipeError if a number is outside its range, and at the first step if nobody said what to protect.
    Source: p-e-w, "Exclude Top Choices (XTC)", text-generation-webui pull request 6335; XTCLogitsWarper there
    (modules/sampler_hijack.py, 1dcde41d).
    Example: xtc(1, 0.15, protect=[]) on p = [.4, .3, .2, .1] removes the first two; with protect=[1], none.
    """

    probability: Numbers = parameter("in [0, 1]", lambda p: 0 <= p <= 1, unit="probability")
    threshold: Numbers = parameter("in (0, 1]", lambda t: 0 < t <= 1, unit="probability", default=0.1)
    protect: Sequence[int] | None = listed(whole, "whole numbers >= 0", unit="token ids", default=None)

    neutral = {"probability": 0.0}
    examples = (
        {"probability": 1.0, "threshold": 0.05, "protect": []},
        {"probability": 0.9, "threshold": 0.02, "protect": []},
        {"probability": 1.0, "threshold": 0.02, "protect": [1]},
    )

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with the model's line break and ends, unless it has its own list."""
        if self.protect is not None:
            return self
        line = [token for token in vocabulary.encode("\n") if vocabulary.bytes_of(token).endswith(b"\n")]
        return replace(self, protect=tuple(dict.fromkeys([*line, *vocabulary.eos])))

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, without the top choices where the coin fell so."""
        chances = np.asarray(at.values(self.probability))
        if not (chances > 0).any():
            return logits
        if self.protect is None:
            raise RecipeError(
                "Xtc.protect must say which ids never go: protect=[…] ([] for none), or bind the sampler to a model"
            )
        xp = namespace(logits)
        reach = softmax(logits) >= at.column(self.threshold) * (1 - SLACK)
        least = xp.amin(keep(logits, reach, float("inf")), axis=-1, keepdims=True)
        gone = reach & (logits > least) & (at.uniform() < at.column(self.probability))
        ids = below("Xtc.protect", self.protect, logits.shape[-1])
        spared = count(gone[:, ids]) > 0
        return keep(logits, ~gone | spared)
