"""Entropy rate: one temperature a row that drifts until the mean entropy of the text is a target (integral control).

While no bound holds it, mean entropy − target = (log T at the start − log T at the end) / (eta · tokens), for any text:
so it goes to 0 as the text grows. The feedback is the exact entropy, not the surprise of what happened to be drawn,
which has the same mean and more noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from logitherm.arrays import Array, entropy, like, numpy
from logitherm.errors import RecipeError
from logitherm.rules.base import Numbers, Tempering, choice, parameter
from logitherm.rules.memory import asked
from logitherm.schedule import Schedule
from logitherm.state import At, Step

COLDEST = 1e-3
"""The lowest t_min: colder than this nothing moves any more."""


@dataclass(frozen=True)
class EntropyRate(Tempering, name="entropy_rate"):
    """Divide by a T that after each token moves so that the mean entropy of the text becomes the target.

    target: the wanted mean entropy, nats, ≥ 0; one, or one a row. Usual 1 to 3.
    eta: how far log T moves for each nat of error, ≥ 0. 0 is neutral: T stays 1. Usual 0.01 to 0.1; larger is faster
       and rougher, and stable only below 2 / (variance of the surprisal).
    of: whose entropy: "raw", of the model's own logits before any rule, divided by T (the default), or "final", of what
       the token is drawn from, after the whole chain.
    kp: the proportional gain, which makes it a PI controller: log T is lowered by so much more for each nat of the last
       error, ≥ 0; 0, off, unless given. Usual up to eta. It answers a change of the text at once and settles at the
       same place, no sooner; with the variance v of the surprisal it is stable while (eta + 2 kp) · v < 2 and
       kp · v < 1.
    t_min, t_max: bounds of T, 0.001 ≤ t_min ≤ t_max < inf; 0.05 and 3 unless given.
    T starts at 1 (or at the nearest bound); after each token log T becomes log T − eta · (entropy − target), held
    within the bounds, less kp · (entropy − target), held again. At a bound nothing is added up beyond it, so that T
    comes back as soon as the error changes its sign. `held(memory)` tells for how many tokens in a row a bound has held
    T: then the target is out of reach.
    Each number may be a list with one value a row, or a schedule.
    logits (rows, vocabulary) float64 -> the same shape; the order of tokens never changes, nothing is removed.
    Raises RecipeError if a number is out of its range or t_min exceeds t_max.
    Source: Logitherm's own; integral control of log T as dual ascent, with the identity above, in
    docs/history-rules.md.
    Example: a row of 4 equal logits has entropy log 4 = 1.3863 at every T. entropy_rate(1.0, 0.1) uses T = 1, then
    exp(−0.1 · 0.3863) = .9621, then .9257; entropy_rate(2.0, 0.1) uses 1, then exp(0.1 · 0.6137) = 1.0633.
    """

    target: Numbers = parameter("a finite number >= 0", lambda h: 0 <= h < inf, unit="nats")
    eta: Numbers = parameter("a finite number >= 0 (0 = off)", lambda e: 0 <= e < inf, unit="log T per nat")
    of: str = choice("raw", "final", default="raw")
    kp: Numbers = parameter("a finite number >= 0 (0 = off)", lambda k: 0 <= k < inf, unit="log T per nat", default=0.0)
    t_min: Numbers = parameter("in [0.001, inf)", lambda t: COLDEST <= t < inf, unit="temperature", default=0.05)
    t_max: Numbers = parameter("in [0.001, inf)", lambda t: COLDEST <= t < inf, unit="temperature", default=3.0)

    neutral = {"target": 1.0, "eta": 0.0}
    examples = (
        {"target": 2.0, "eta": 0.2},
        {"target": 0.5, "eta": 0.1, "of": "final", "t_max": 0.9},
        {"target": 1.5, "eta": 0.1, "kp": 0.05},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = (v if isinstance(v, tuple) else (v,) for v in (self.t_min, self.t_max))
        pairs = [(low[i % len(low)], high[i % len(high)]) for i in range(max(len(low), len(high)))]
        if any(not isinstance(a, Schedule) and not isinstance(b, Schedule) and a > b for a, b in pairs):
            raise RecipeError(f"EntropyRate.t_min must be at most t_max; got {self.t_min!r} > {self.t_max!r}")

    def init(self, rows: int) -> np.ndarray:
        """(rows, 3) log T but for kp; for how many tokens a bound held it (+ at t_max, − at t_min); the last error."""
        return np.zeros((rows, 3))

    def held(self, memory: np.ndarray) -> np.ndarray:
        """(rows,) for how many tokens in a row T has been held: + at t_max, so the target is too high; − too low."""
        return memory[:, 1]

    def _bounds(self, at: At) -> tuple[np.ndarray, np.ndarray]:
        return np.log(at.values(self.t_min)), np.log(at.values(self.t_max))

    def _used(self, memory: np.ndarray, at: At) -> np.ndarray:
        """(rows,) log T."""
        now = np.clip(memory[:, 0], *self._bounds(at))
        used: np.ndarray = np.clip(now - np.asarray(at.values(self.kp)) * memory[:, 2], *self._bounds(at))
        return used

    def temperature(self, logits: Array, at: At) -> Array:
        """T of each row, (rows, 1)."""
        return like(np.exp(self._used(at.memory, at)), logits)[:, None]

    def advance(self, memory: np.ndarray, step: Step) -> np.ndarray:
        """The log temperatures, moved by the error of the entropy, and how long bounds have held them."""
        at = asked(step)
        low, high = self._bounds(at)
        now = np.clip(memory[:, 0], low, high)
        if self.of == "final":
            with np.errstate(invalid="ignore"):  # a row may have nothing left where tokens are forced
                found = step.final_entropy
        else:
            t = np.exp(self._used(memory, at))
            found = numpy(entropy(step.raw / like(t, step.raw)[:, None])).ravel()
        error = np.nan_to_num(found - np.asarray(at.values(self.target)))
        wanted = now - np.asarray(at.values(self.eta)) * error
        side = np.sign(wanted - np.clip(wanted, low, high))
        held = side * (1 + np.maximum(memory[:, 1] * side, 0))
        return np.stack([np.clip(wanted, low, high), held, error], axis=1)
