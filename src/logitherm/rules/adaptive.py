"""Adaptive-p: favour tokens whose probability is near an aim, which moves against the error of those drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from logitherm.arrays import Array, like, namespace, numpy, softmax
from logitherm.rules.base import Numbers, Rule, parameter
from logitherm.rules.memory import asked
from logitherm.state import At, Step

WIDTH, PEAK, SHARPNESS = 0.3, 5.0, 10.0
"""The distance from the target that counts as 1, the logit at the target, and how fast it falls; llama.cpp's."""


@dataclass(frozen=True)
class AdaptiveP(Rule, name="adaptive_p"):
    """Replace each logit by 5 − 10·d² / (1 + d), d = |p − a| / 0.3: tokens of a probability near a become likely.

    target: the probability that drawn tokens shall have, in [0, 1]; one, or one a row, or a schedule. -1 is off and
       neutral. Usual 0.3 to 0.7: 0.3 is adventurous, 0.7 calm. Their mean comes near it, without a promise.
    decay: how slowly the average forgets, in [0, 0.99]; it holds about 1 / (1 − decay) tokens. Usual 0.9.
    a = clip(2·target − m, 0, 1), where m is the average of the probabilities p of the drawn tokens, the last one
    weighing 1, the one before it decay, then decay² …; before the first token m is the target, with the weight of
    1 / (1 − decay) tokens. p is of what this rule receives, before it changes anything. Put it last; llama.cpp's
    authors advise a min_p before it.
    logits (rows, vocabulary) float64 -> the same shape; all that are not removed change, and their order may: it is no
    temperature, and the likeliest token may become unlikely. Ties stay ties. A forced token that this rule had received
    as removed counts with p = 0.
    Raises RecipeError if a number is out of its range.
    Source: llama.cpp (src/llama-sampler.cpp, commit 00efb3e1, llama_sampler_adaptive_p; pull request 17927).
    Example: p = [.4, .3, .2, .1] at adaptive_p(0.4): a is .4, d = 0, 1/3, 2/3, 1, logits 5, 4.1667, 2.3333, 0. If the
    last token is drawn, m = (.1 + .9 · 4) / (1 + .9 · 10) = .37, and a becomes .43.
    """

    target: Numbers = parameter("in [0, 1], or -1 (= off)", lambda t: 0 <= t <= 1 or t == -1, unit="probability")
    decay: Numbers = parameter("in [0, 0.99]", lambda d: 0 <= d <= 0.99, unit="share kept per token", default=0.9)

    neutral = {"target": -1.0}
    examples = ({"target": 0.4}, {"target": 0.7, "decay": 0.5})

    def init(self, rows: int) -> np.ndarray:
        """(rows, 2) the sum of weighted probabilities and the sum of weights; NaN before the first token."""
        return np.full((rows, 2), np.nan)

    def _sums(self, memory: np.ndarray, at: At) -> np.ndarray:
        """(rows, 2) the two sums, where nothing was drawn those of tokens that met the target for ever."""
        tokens = 1 / (1 - np.asarray(at.values(self.decay)))
        start = np.stack([np.asarray(at.values(self.target)) * tokens, tokens], axis=1)
        sums: np.ndarray = np.where(np.isnan(memory), start, memory)
        return sums

    def aim(self, at: At) -> np.ndarray:
        """(rows,) the probability a that this step favours."""
        sums = self._sums(at.memory, at)
        found: np.ndarray = np.clip(2 * np.asarray(at.values(self.target)) - sums[:, 0] / sums[:, 1], 0.0, 1.0)
        return found

    def apply(self, logits: Array, at: At) -> Array:
        """The new logits; rows that are off keep theirs."""
        xp = namespace(logits)
        d = xp.abs(softmax(logits) - like(self.aim(at), logits)[:, None]) / WIDTH
        acts = like(at.values(self.target), logits)[:, None] >= 0
        return xp.where(acts & xp.isfinite(logits), PEAK - SHARPNESS * d * d / (1 + d), logits)

    def advance(self, memory: np.ndarray, step: Step) -> np.ndarray:
        """The sums with the probabilities of the tokens just drawn, as this rule received them."""
        at = asked(step)
        with np.errstate(invalid="ignore"):  # a row may have nothing left where tokens are forced
            p = np.nan_to_num(numpy(softmax(step.received(memory)))[np.arange(len(step.tokens)), step.tokens])
        decay = np.asarray(at.values(self.decay))
        new: np.ndarray = self._sums(memory, at) * decay[:, None] + np.stack([p, np.ones(len(p))], axis=1)
        return new
