"""Penalties: tokens that the row already holds become less likely."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from logitherm.arrays import Array, like, namespace
from logitherm.rules.base import Numbers, Rule, parameter
from logitherm.state import At


def counts(logits: Array, at: At, prompt: bool) -> Array:
    """How often each token stands in each row so far, (rows, vocabulary); with the prompt or without."""
    size = logits.shape[-1]
    starts = np.zeros_like(at.state.prompt) if prompt else at.state.prompt
    rows = zip(at.state.tokens, starts.tolist(), strict=True)
    return like(np.stack([np.bincount(tokens[start:], minlength=size)[:size] for tokens, start in rows]), logits)


@dataclass(frozen=True)
class Repetition(Rule, name="repetition"):
    """Divide the positive logits of tokens in prompt and output by the penalty, and multiply the negative ones by it.

    penalty: a factor > 0, the same for one occurrence or many; one, or one a row. 1 is neutral. Usual 1.05 to 1.3;
       below 1 it invites repetition.
    It acts on the sign of a logit, so adding a constant to a row changes the result: put it first, on the model's own
    logits. Works on the whole history, prompt included; removed tokens stay removed.
    logits (rows, vocabulary) float64 -> the same shape.
    Raises RecipeError if the penalty is not positive.
    Source: Keskar et al., "CTRL", arXiv:1909.05858, section 4.1; signs as in transformers 5.23 (logits_process.py).
    Example: logits [2, -2, 1] with tokens 0 and 1 seen: repetition(2.0) gives [1, -4, 1].
    """

    penalty: Numbers = parameter("a finite number > 0 (1 = off)", lambda r: 0 < r < inf, unit="factor")

    neutral = {"penalty": 1.0}
    examples = ({"penalty": 1.3}, {"penalty": 0.8})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, weakened where the token was seen."""
        xp = namespace(logits)
        r = at.column(self.penalty)
        weaker = xp.where(logits > 0, logits / r, logits * r)
        return xp.where(counts(logits, at, prompt=True) > 0, weaker, logits)


@dataclass(frozen=True)
class Frequency(Rule, name="frequency"):
    """Subtract the penalty from a token's logit once for each time it was drawn; the prompt does not count.

    penalty: a finite number, in logits; one, or one a row. 0 is neutral. Usual 0.1 to 1; negative invites repetition.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if the penalty is not finite.
    Source: the frequency_penalty of OpenAI's API and of vLLM 0.33 (v1/sample, output tokens only).
    Example: logits [2, 1] with token 0 drawn twice: frequency(0.5) gives [1, 1].
    """

    penalty: Numbers = parameter("a finite number (0 = off)", isfinite, unit="logits for each time")

    neutral = {"penalty": 0.0}
    examples = ({"penalty": 0.7}, {"penalty": -0.5})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits less penalty times count."""
        return logits - at.column(self.penalty) * counts(logits, at, prompt=False)


@dataclass(frozen=True)
class Presence(Rule, name="presence"):
    """Subtract the penalty once from the logit of every token that was drawn; the prompt does not count.

    penalty: a finite number, in logits; one, or one a row. 0 is neutral. Usual 0.1 to 1; negative invites repetition.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if the penalty is not finite.
    Source: the presence_penalty of OpenAI's API and of vLLM 0.33 (v1/sample, output tokens only).
    Example: logits [2, 1] with token 0 drawn twice: presence(0.5) gives [1.5, 1].
    """

    penalty: Numbers = parameter("a finite number (0 = off)", isfinite, unit="logits")

    neutral = {"penalty": 0.0}
    examples = ({"penalty": 0.7}, {"penalty": -0.5})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits less the penalty where the token was drawn."""
        drawn = like(counts(logits, at, prompt=False) > 0, logits)
        return logits - at.column(self.penalty) * drawn
