"""Guidance: models made of two models, or of one that reads two prompts. They need a second forward pass, so they are
models and no rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any

import numpy as np

from logitherm.arrays import Array, float64, keep, log_softmax, numpy, top
from logitherm.errors import ModelError, RecipeError
from logitherm.model import Model
from logitherm.rules.base import SLACK
from logitherm.vocabulary import Vocabulary


@dataclass(frozen=True)
class Pair:
    """The caches of two models for the same rows.

    lengths: how many tokens of each row the first has read; shift: how many fewer the second has (or more, below 0).
    """

    first: Any
    second: Any
    lengths: tuple[int, ...]
    shift: tuple[int, ...]

    def take(self, rows: Sequence[int]) -> Pair:
        """These rows, in this order."""
        lengths, shift = (tuple(of[row] for row in rows) for of in (self.lengths, self.shift))
        return Pair(self.first.take(rows), self.second.take(rows), lengths, shift)

    def join(self, other: Pair) -> Pair:
        """The rows of this, then the rows of the other."""
        first, second = self.first.join(other.first), self.second.join(other.second)
        return Pair(first, second, self.lengths + other.lengths, self.shift + other.shift)

    def crop(self, lengths: Sequence[int]) -> Pair:
        """The same rows, as they were when row i had lengths[i] tokens; not fewer than its prompt had."""
        cut = tuple(int(length) for length in lengths)
        behind = [length - less for length, less in zip(cut, self.shift, strict=True)]
        return Pair(self.first.crop(cut), self.second.crop(behind), cut, self.shift)


class Combined(ABC):
    """A model whose logits are made of those of two, of one vocabulary.

    Logits are float64, of the library and device of the first model's. Any model may be one of the two, also another
    of these.
    """

    def __init__(self, first: Model, second: Model, name: str) -> None:
        same_tokens(first, second)
        self._first, self._second = first, second
        self.name = name
        prints = [getattr(model, "fingerprint", None) for model in (first, second)]
        self.fingerprint = None if None in prints else f"{name}: {' and '.join(map(str, prints))}"

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens of both."""
        return self._first.vocabulary

    @property
    def context(self) -> int | None:
        """The most tokens that a row can hold, in either model."""
        return min((m.context for m in (self._first, self._second) if m.context is not None), default=None)

    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[Array, Pair]:
        """Next-token logits (rows, vocabulary) float64 after the prompts, and the caches."""
        others = [self._prompt(row) for row in rows]
        (ours, first), (theirs, second) = self._first.prefill(rows), self._second.prefill(others)
        shift = tuple(len(row) - len(other) for row, other in zip(rows, others, strict=True))
        return self._combined(ours, theirs), Pair(first, second, tuple(map(len, rows)), shift)

    def step(self, ids: Sequence[int], cache: Pair) -> tuple[Array, Pair]:
        """Next-token logits (rows, vocabulary) float64 after one more token a row, and the new caches."""
        ours, first = self._first.step(ids, cache.first)
        theirs, second = self._second.step(ids, cache.second)
        return self._combined(ours, theirs), Pair(first, second, tuple(n + 1 for n in cache.lengths), cache.shift)

    def _combined(self, ours: Array, theirs: Array) -> Array:
        first, second = float64(ours), float64(theirs)
        if type(first) is not type(second) or first.device != second.device:
            second = float64(numpy(second)) if isinstance(first, np.ndarray) else first.new_tensor(numpy(second))
        with np.errstate(invalid="ignore"):  # a token that both have removed; NaN in logits is the sampler's to report
            return self._logits(first, second)

    def _prompt(self, row: Sequence[int]) -> Sequence[int]:
        """What the second model reads in place of a prompt."""
        return row

    @abstractmethod
    def _logits(self, first: Array, second: Array) -> Array:
        """The logits, float64, from those of the two."""


class Guided(Combined):
    """Classifier-free guidance: what a prompt adds to the next token, times a scale.

    model:    the model; it reads every row twice, with its prompt and with the other one.
    scale:    how much, a finite number. 1 is the model itself; above 1 the prompt counts more, 0 is the other prompt
              alone. Usual 1.1 to 2.
    negative: the other prompt, as text or ids; the last token of each row's own unless given.
    log p = log p_other + scale · (log p_prompt − log p_other), up to the row's constant: the sum is taken of
    log-probabilities (log-softmax), in float64, and is not normalised again. With raw logits in their place the
    distribution is the same, for they differ by a constant a row; only rules that look at the sign of a logit
    (repetition) can tell. At scale 1 the logits are those of the model, bit for bit.
    A token that the model has removed (-inf) stays removed.
    Raises RecipeError if the scale is not finite or the other prompt is empty.
    Source: transformers 5.23 (UnbatchedClassifierFreeGuidanceLogitsProcessor, generation/logits_process.py), which
    implements Sanchez et al., "Stay on topic with Classifier-Free Guidance", arXiv:2306.17806.
    Example: p = [.6, .4] with the prompt and [.5, .5] without give at scale 2 weights [.72, .32], so [9/13, 4/13].
    """

    def __init__(self, model: Model, scale: float, negative: str | Sequence[int] | None = None) -> None:
        self._scale = _finite("Guided.scale", scale)
        super().__init__(model, model, f"{model.name} guided by {self._scale:g}")
        ids = model.vocabulary.encode(negative) if isinstance(negative, str) else negative
        if ids is not None and not len(ids):
            raise RecipeError(f"Guided.negative must have a token or more; got {negative!r}")
        self._negative = None if ids is None else tuple(int(i) for i in ids)

    def _prompt(self, row: Sequence[int]) -> Sequence[int]:
        return row[-1:] if self._negative is None else self._negative

    def _logits(self, first: Array, second: Array) -> Array:
        if self._scale == 1:
            return first
        ours, theirs = log_softmax(first), log_softmax(second)
        return keep(theirs + self._scale * (ours - theirs), first != -inf)


class Contrasted(Combined):
    """Contrastive decoding: what a good model likes better than a bad one, among what it finds plausible at all.

    expert:  the good model.
    amateur: the bad one, with the same tokens.
    alpha:   how plausible a token must be to the expert, as a share of its likeliest, in [0, 1]. 1 keeps the likeliest
             alone; 0 keeps all, and the amateur's surprises win. Usual 0.1.
    temperature: of the amateur, above 0; 1 takes it as it is. Usual 0.5 or 1.
    log p = log p_expert − log p_amateur up to the row's constant where p_expert ≥ alpha · max p_expert, else -inf.
    The authors search for the best text; here these are logits like any others, for greedy or random draws.
    Ties at the cutoff stay; alpha is lowered by a millionth of itself, as min_p lowers its p.
    Raises RecipeError if a number is out of its range, ModelError if the tokens of the two differ.
    Source: Li et al., "Contrastive Decoding: Open-ended Text Generation as Optimization", arXiv:2210.15097, section 3.
    Example: p = [.6, .3, .08, .02] against [.4, .1, .4, .1] at alpha .1: the last is below .06, and the others have
    ratios 1.5, 3 and .2, so [15, 30, 2]/47.
    """

    def __init__(self, expert: Model, amateur: Model, alpha: float = 0.1, temperature: float = 1.0) -> None:
        self._alpha = _finite("Contrasted.alpha", alpha)
        self._temperature = _finite("Contrasted.temperature", temperature)
        if not 0 <= self._alpha <= 1:
            raise RecipeError(f"Contrasted.alpha must be in [0, 1]; got {alpha!r}")
        if self._temperature <= 0:
            raise RecipeError(f"Contrasted.temperature must be > 0; got {temperature!r}")
        super().__init__(expert, amateur, f"{expert.name} against {amateur.name}")

    def _logits(self, first: Array, second: Array) -> Array:
        floor = -inf if self._alpha == 0 else log(self._alpha * (1 - SLACK))
        plausible = (first - top(first) >= floor) & (first != -inf)
        return keep(log_softmax(first) - log_softmax(second / self._temperature), plausible)


def same_tokens(first: Model, second: Model) -> None:
    """ModelError if two models do not have the same tokens."""
    ours, theirs = first.vocabulary, second.vocabulary
    if ours is theirs:
        return
    if ours.size != theirs.size or set(ours.eos) != set(theirs.eos):
        raise ModelError(f"{first.name} and {second.name} must have the same tokens; they have other sizes or ends")
    other = (token for token in range(ours.size) if ours.bytes_of(token) != theirs.bytes_of(token))
    if (token := next(other, None)) is not None:
        raise ModelError(f"{first.name} and {second.name} must have the same tokens; token {token} differs")


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not -inf < value < inf:
        raise RecipeError(f"{name} must be a finite number; got {value!r}")
    return float(value)
