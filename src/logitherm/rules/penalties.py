"""Penalties: tokens that the row already holds become less likely.

Each place of the past has a weight from 0 to 1, by its age; the newest has age 0. The last `window` places weigh 1; the
`decay` places before them 1, 1 − 1/decay, … 1/decay; older ones 0. A token weighs what its newest place does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from logitherm.arrays import Array, like, namespace
from logitherm.errors import RecipeError
from logitherm.rules.base import Numbers, Rule, choice, literal, parameter
from logitherm.state import At


def faded(age: np.ndarray, window: int | None, decay: int) -> np.ndarray:
    """The weights of places by age: 1 within the window, then 1, 1 − 1/decay …; exllamav2's sustain and decay."""
    if window is None:
        return np.ones(len(age))
    weight: np.ndarray = np.clip(1 - (age - window) / decay, 0.0, 1.0) if decay else (age < window).astype(np.float64)
    return weight


def sloped(age: np.ndarray, window: int, slope: float) -> np.ndarray:
    """The weights of places by age, from 1 at the newest to 0 at the oldest of a window; KoboldAI's curve."""
    x = 1 - 2 * age / max(window - 1, 1)
    x = np.where(age < window, x, -1.0)
    weight: np.ndarray = (slope * x / (1 + np.abs(x) * (slope - 1)) + 1) / 2
    return weight


@dataclass(frozen=True)
class Penalty(Rule):
    """The family of penalties: which places of the past count, and how much."""

    penalty: Numbers
    scope: str
    window: int | Sequence[int] | None = parameter(
        "a whole number >= 0", lambda n: n >= 0, unit="tokens", default=None, whole=True
    )
    decay: int | Sequence[int] = parameter(
        "a whole number >= 0", lambda n: n >= 0, unit="tokens", default=0, whole=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._needs_window("decay", "after which it begins")

    def _needs_window(self, name: str, what_for: str) -> None:
        value = getattr(self, name)
        if self.window is None and any(v != 0 for v in (value if isinstance(value, tuple) else (value,))):
            kind = type(self).__name__
            raise RecipeError(f"{kind}.{name} must come with a window, {what_for}; got {literal(value)} alone")

    @property
    def plain(self) -> bool:
        """Whether all that counts by the rule's own default counts in full, which is what a kernel can do."""
        return not self.parameters().keys() - {"penalty"}

    def weights(self, age: np.ndarray, window: int | None, decay: int, *more: Any) -> np.ndarray:
        """The weights of places by age, never larger for an older one."""
        return faded(age, window, decay)

    def past(self, logits: Array, at: At, *more: Any, summed: bool = False) -> Array:
        """(rows, vocabulary) what the newest place of each token weighs, or all of its places together; 0 if none."""
        size = logits.shape[-1]
        found = np.zeros(tuple(logits.shape))
        settings = zip(*map(at.values, (self.window, self.decay, *more)), strict=True)
        for row, (tokens, begun, setting) in enumerate(zip(at.state.tokens, at.state.prompt, settings, strict=True)):
            seen = {"all": tokens, "prompt": tokens[:begun], "output": tokens[begun:]}[self.scope]
            weight = self.weights(np.arange(len(seen))[::-1], *setting)
            seen, weight = seen[seen < size], weight[seen < size]
            if summed:
                found[row] = np.bincount(seen, weight, minlength=size)
            else:
                found[row, seen] = weight  # of a token that stands twice the later place, which is newer
        return like(found, logits)


@dataclass(frozen=True)
class Repetition(Penalty, name="repetition"):
    """Divide the positive logits of tokens in prompt and output by the penalty, and multiply the negative ones by it.

    penalty: a factor r > 0, the same for one occurrence or many; one, or one a row. 1 is neutral. Usual 1.05 to 1.3;
       below 1 it invites repetition. Where the newest place of a token weighs w, the factor is 1 + w · (r − 1).
    scope: which tokens count: "all" (unless given), "prompt" or "output".
    window: how many of the last of them count in full, a whole number ≥ 0; all unless given. Usual 64 to 1024.
    decay: over how many tokens before the window the weight falls to 0 in a straight line; 0 unless given.
    slope: lets the weight fall within the window, from 1 at its newest place to 0 at its oldest: with x from 1 to −1 it
       is (1 + slope · x / (1 + |x| · (slope − 1))) / 2, a straight line for 1, a step in the middle for large ones.
       ≥ 0 and finite; 0, off, unless given. Usual 0.7 to 3. It needs a window, and leaves nothing for decay.
    far: the weight of the older half of the window, in [0, 1]; 1, off, unless given. Of an odd number of tokens the
       middle one belongs to the newer half.
    It acts on the sign of a logit, so adding a constant to a row changes the result: put it first, on the model's own
    logits. Removed tokens stay removed.
    logits (rows, vocabulary) float64 -> the same shape.
    Raises RecipeError if a number is out of its range, or decay or slope is given without a window.
    Source: Keskar et al., "CTRL", arXiv:1909.05858, section 4.1; signs as in transformers 5.23 (logits_process.py);
    decay as in exllamav2 (cpp/sampling.cpp, commit 02ce5833); slope as in KoboldAI-Client (warpers.py, commit
    1e139594); far is koboldcpp's rep_pen_slope (gpttype_adapter.cpp, commit 0027a478).
    Example: logits [2, -2, 1] with tokens 0 and 1 seen: repetition(2.0) gives [1, -4, 1]. Had 0 come before 1,
    repetition(2.0, window=1) gives [2, -4, 1], and with decay=2 token 0 weighs 1/2: 2 / 1.5 = 1.333.
    """

    penalty: Numbers = parameter("a finite number > 0 (1 = off)", lambda r: 0 < r < inf, unit="factor")
    scope: str = choice("all", "prompt", "output", default="all")
    slope: Numbers = parameter("a finite number >= 0 (0 = off)", lambda s: 0 <= s < inf, unit="1", default=0.0)
    far: Numbers = parameter("in [0, 1]", lambda f: 0 <= f <= 1, unit="weight", default=1.0)

    neutral = {"penalty": 1.0}
    examples = (
        {"penalty": 1.3},
        {"penalty": 0.8},
        {"penalty": 1.5, "window": 1, "decay": 3},
        {"penalty": 2.0, "window": 4, "slope": 3.0, "scope": "prompt"},
        {"penalty": 1.7, "window": 3, "far": 0.5, "scope": "output"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._needs_window("slope", "over which it falls")

    def weights(self, age: np.ndarray, window: int | None, decay: int, *more: Any) -> np.ndarray:
        """The weights of places by age."""
        slope, far = more
        n = len(age) if window is None else min(window, len(age))
        weight = faded(age, window, decay) * np.where(age < n - n // 2, 1.0, far)
        return weight * sloped(age, window, slope) if slope and window else weight

    def apply(self, logits: Array, at: At) -> Array:
        """The logits, weakened where the token was seen."""
        xp = namespace(logits)
        w = self.past(logits, at, self.slope, self.far)
        r = at.column(self.penalty)
        r = r if self.plain else xp.where(w == 1, r, 1 + w * (r - 1))
        return xp.where(w > 0, xp.where(logits > 0, logits / r, logits * r), logits)


@dataclass(frozen=True)
class Frequency(Penalty, name="frequency"):
    """Subtract the penalty from a token's logit once for each time it was drawn; the prompt does not count.

    penalty: a finite number, in logits; one, or one a row. 0 is neutral. Usual 0.1 to 1; negative invites repetition.
    scope: which tokens count: "all", "prompt" or "output" (unless given).
    window: how many of the last of them count in full, a whole number ≥ 0; all unless given.
    decay: over how many tokens before the window the weight falls to 0 in a straight line; 0 unless given. The penalty
       counts the sum of a token's weights.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if a number is out of its range, or decay is given without a window.
    Source: the frequency_penalty of OpenAI's API and of vLLM 0.33 (v1/sample, output tokens only); window over prompt
    and output as in llama.cpp (llama_sampler_penalties), decay as in exllamav2 (cpp/sampling.cpp, commit 02ce5833).
    Example: logits [2, 1] with token 0 drawn twice: frequency(0.5) gives [1, 1], frequency(0.5, window=1) [1.5, 1].
    """

    penalty: Numbers = parameter("a finite number (0 = off)", isfinite, unit="logits for each time")
    scope: str = choice("all", "prompt", "output", default="output")

    neutral = {"penalty": 0.0}
    examples = ({"penalty": 0.7}, {"penalty": -0.5}, {"penalty": 1.1, "scope": "all", "window": 2, "decay": 2})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits less penalty times count."""
        return logits - at.column(self.penalty) * self.past(logits, at, summed=True)


@dataclass(frozen=True)
class Presence(Penalty, name="presence"):
    """Subtract the penalty once from the logit of every token that was drawn; the prompt does not count.

    penalty: a finite number, in logits; one, or one a row. 0 is neutral. Usual 0.1 to 1; negative invites repetition.
    scope, window, decay: as of frequency; the penalty counts the weight of a token's newest place.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed.
    Raises RecipeError if a number is out of its range, or decay is given without a window.
    Source: the presence_penalty of OpenAI's API and of vLLM 0.33 (v1/sample, output tokens only); window and decay as
    of frequency.
    Example: logits [2, 1] with token 0 drawn twice: presence(0.5) gives [1.5, 1].
    """

    penalty: Numbers = parameter("a finite number (0 = off)", isfinite, unit="logits")
    scope: str = choice("all", "prompt", "output", default="output")

    neutral = {"penalty": 0.0}
    examples = ({"penalty": 0.7}, {"penalty": -0.5}, {"penalty": 0.9, "scope": "all", "window": 1, "decay": 3})

    def apply(self, logits: Array, at: At) -> Array:
        """The logits less the penalty where the token was drawn."""
        return logits - at.column(self.penalty) * self.past(logits, at)
