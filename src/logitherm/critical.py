"""Critical values: the exact setting at which a token enters or leaves the kept set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from logitherm.arrays import Array, numpy
from logitherm.rules import Cutoff, Rule, Temperature, Tempering
from logitherm.sampler import Sampler
from logitherm.state import At, State

COLDEST, HOTTEST = 1e-4, 1e4
"""The temperatures between which a critical temperature is looked for."""

BISECTIONS = 60
"""Halvings of log T: the 18.4 between COLDEST and HOTTEST shrink below the spacing of float64."""

Name = Callable[[int], str | None]
"""The text of a token id, or None where nobody knows it."""

Passed = tuple[Rule, Array, Array, At]
"""A stage as `Sampler.stages` gives it: the rule, the logits before and after, what it could look at."""


@dataclass(frozen=True)
class Critical:
    """The exact setting at which a token enters or leaves the kept set: it stays while `parameter` `keeps` `value`.

    For a cutoff (k, p) the set is that of its own stage, for the logits that it receives. For a temperature (T) it
    is the final one, everything else in the chain being as it is.
    setting: the value in use. kept: whether the token is in that set now.
    """

    id: int
    text: str | None
    rule: str
    stage: str
    parameter: str
    keeps: str
    value: float
    setting: float
    kept: bool


def used(rule: Tempering, received: Array, at: At) -> np.ndarray:
    """(rows,) the temperature that a rule used."""
    return np.broadcast_to(numpy(rule.temperature(received, at)), (len(at.state), 1))[:, 0]


def critical(
    sampler: Sampler,
    raw: Array,
    state: State,
    stages: Sequence[Passed],
    labels: Sequence[str],
    shown: Sequence[int],
    name: Name,
) -> Iterator[Critical]:
    """For each listed token and each rule that it reaches, where it enters or leaves."""
    final = np.isfinite(numpy(stages[-1][2])[0])
    for place, (label, (rule, before, after, at)) in enumerate(zip(labels, stages, strict=True)):
        reaches, stays = np.isfinite(numpy(before)[0]), np.isfinite(numpy(after)[0])
        for token in shown:
            if isinstance(rule, Cutoff) and reaches[token]:
                parameter, keeps = rule.steers
                setting = float(numpy(at.column(getattr(rule, parameter))).reshape(-1)[0])
                value = float(numpy(rule.critical(before, token))[0, 0])
                yield Critical(
                    token, name(token), rule.name, label, parameter, keeps, value, setting, bool(stays[token])
                )
            elif isinstance(rule, Tempering) and reaches[token]:
                kept, t = bool(final[token]), float(used(rule, before, at)[0])
                for keeps, value in _critical_temperatures(sampler, raw, state, place, token, t, kept):
                    yield Critical(token, name(token), rule.name, label, "T", keeps, value, t, kept)


def _critical_temperatures(
    sampler: Sampler, raw: Array, state: State, place: int, token: int, t: float, kept: bool
) -> Iterator[tuple[str, float]]:
    """The nearest temperature on either side of t at which the token enters or leaves the final set, by bisection."""

    def stays(log_t: float) -> bool:
        rules = list(sampler.rules)
        rules[place] = Temperature(exp(log_t))
        memory = (*state.memory[:place], None, *state.memory[place + 1 :])
        *_, (_, _, after, _) = Sampler(*rules).stages(raw, replace(state, memory=memory))
        return bool(np.isfinite(numpy(after)[0, token]))

    now = log(min(max(t, COLDEST), HOTTEST))
    for end, above in ((log(COLDEST), ">"), (log(HOTTEST), "<")):
        if stays(end) == kept:
            continue
        near, far = now, end
        for _ in range(BISECTIONS):
            middle = (near + far) / 2
            if middle in (near, far):
                break
            near, far = (middle, far) if stays(middle) == kept else (near, middle)
        below = ">" if above == "<" else "<"
        yield (above if kept else below), exp((near + far) / 2)
