"""How long a text becomes: make its end likelier as it grows, or force it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Self

import numpy as np

from logitherm.arrays import Array, keep, like, namespace, only
from logitherm.errors import RecipeError
from logitherm.rules.base import Numbers, Rule, listed, parameter, whole
from logitherm.rules.constrain import below
from logitherm.state import At
from logitherm.vocabulary import Vocabulary

MOST = 10.0**30
"""The growth stops at this factor, where the end is certain: logits stay finite."""


def ends(rule: Any, logits: Array) -> Array:
    """(1, vocabulary) whether a token ends a text."""
    if rule.eos is None:
        kind = type(rule).__name__
        raise RecipeError(f"{kind}.eos must say which ids end a text: eos=[…], or bind the sampler to a model")
    found = np.zeros((1, logits.shape[-1]), dtype=bool)
    found[:, below(f"{type(rule).__name__}.eos", rule.eos, logits.shape[-1])] = True
    return namespace(logits).asarray(found, device=logits.device)


@dataclass(frozen=True)
class LengthDecay(Rule, name="length_decay"):
    """Raise the logits of the text's ends by |l| · (factor^(n − start) − 1) once more than start tokens were drawn.

    factor: by how much it grows with each token, > 0; one, or one a row, or a schedule. 1 is neutral. Usual 1.01 to
       1.2; below 1 it lowers the ends.
    start: after how many tokens it begins, a whole number ≥ 0; 0 unless given. n counts drawn tokens, not the prompt.
    eos: the ids that end a text; unless given, the model's own, which `sampler.bind(vocabulary)` fills in and
       `generate` does by itself.
    It acts on the size of a logit, so adding a constant to a row changes the result, and an end whose logit is 0 stays
    so: put it first, on the model's own logits.
    logits (rows, vocabulary) float64 -> the same shape; an end that was removed stays removed. factor^(n − start)
    stops at 1e30.
    Raises RecipeError if a number is out of its range, and at the first step if nobody said which ids end a text.
    Source: exponential_decay_length_penalty in transformers 5.23 (logits_process.py, ExponentialDecayLengthPenalty).
    Example: length_decay(2.0, start=1, eos=[0, 3]) on logits [-3, 2, 0, 1] changes nothing for the first two tokens;
    for the third (2 drawn, factor 2) it gives [0, 2, 0, 2], for the fourth (factor 4) [6, 2, 0, 4].
    """

    factor: Numbers = parameter("a finite number > 0 (1 = off)", lambda f: 0 < f < inf, unit="factor per token")
    start: int | Sequence[int] = parameter(
        "a whole number >= 0", lambda n: n >= 0, unit="tokens", default=0, whole=True
    )
    eos: Sequence[int] | None = listed(whole, "whole numbers >= 0", unit="token ids", default=None)

    neutral = {"factor": 1.0}
    examples = ({"factor": 1.5, "eos": [0]}, {"factor": 1.2, "start": 1, "eos": [1, 0]})

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with the model's ends, unless it has its own."""
        return self if self.eos is not None else replace(self, eos=tuple(vocabulary.eos))

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, those of the ends raised."""
        over = np.maximum(at.state.position - np.asarray(at.values(self.start)), 0)
        growth = np.minimum(np.asarray(at.values(self.factor), dtype=np.float64) ** over, MOST)
        if (growth == 1).all():
            return logits
        xp = namespace(logits)
        grown = like(growth, logits)[:, None]
        alive = xp.isfinite(logits)
        finite = only(logits, alive)
        return xp.where(alive & ends(self, logits), finite + xp.abs(finite) * (grown - 1), logits)


@dataclass(frozen=True)
class ForcedEos(Rule, name="forced_eos"):
    """Remove all but the text's ends from the n-th token on, so that no text has more than n tokens.

    n: the most tokens of a text, its end among them, a whole number ≥ 0; one, or one a row. 0 is off. The prompt does
       not count.
    eos: the ids that end a text; unless given, the model's own, which `sampler.bind(vocabulary)` fills in and
       `generate` does by itself.
    logits (rows, vocabulary) float64 -> the same shape; the ends are untouched, so several keep their proportions and a
    removed one stays removed; the rest becomes -inf.
    Raises RecipeError if n is negative or not whole, and at the first step if nobody said which ids end a text.
    Source: forced_eos_token_id in transformers 5.23 (logits_process.py, ForcedEOSTokenLogitsProcessor).
    Example: forced_eos(2, eos=[3]) leaves logits [4, 3, 2, 1] as they are for the first token, and gives
    [-inf, -inf, -inf, 1] for the second and those after it.
    """

    n: int | Sequence[int] = parameter("a whole number >= 0 (0 = off)", lambda n: n >= 0, unit="tokens", whole=True)
    eos: Sequence[int] | None = listed(whole, "whole numbers >= 0", unit="token ids", default=None)

    neutral = {"n": 0}
    examples = ({"n": 2, "eos": [0, 1]}, {"n": 1, "eos": [1, 0]})

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with the model's ends, unless it has its own."""
        return self if self.eos is not None else replace(self, eos=tuple(vocabulary.eos))

    def apply(self, logits: Array, at: At) -> Array:
        """The logits; only ends where the text is to end."""
        n = np.asarray(at.values(self.n))
        late = (n > 0) & (at.state.position >= n - 1)
        if not late.any():
            return logits
        early = namespace(logits).asarray(~late[:, None], device=logits.device)
        return keep(logits, early | ends(self, logits))
