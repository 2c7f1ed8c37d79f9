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

TIGHT, LONGEST = 1e-13, 200
"""The width in log T at which the search for a critical temperature ends, and the most steps that it may take."""

SMALLEST = 1e-300
"""Keeps a margin from being neither positive nor negative."""

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
    """The nearest temperature on either side of t at which the token enters or leaves the final set."""

    def margin(log_t: float) -> float:
        rules = (*sampler.rules[:place], Temperature(exp(log_t)), *sampler.rules[place + 1 :])
        memory = (*state.memory[:place], None, *state.memory[place + 1 :])
        return _margin(Sampler(*rules).stages(raw, replace(state, memory=memory)), token)

    now = log(min(max(t, COLDEST), HOTTEST))
    for end, keeps in ((log(COLDEST), ">"), (log(HOTTEST), "<")):
        here, there = margin(now), margin(end)
        if here * there < 0:
            side = keeps if kept else {">": "<", "<": ">"}[keeps]
            yield side, exp(_crossing(margin, now, here, end, there))


def _margin(stages: Iterator[Passed], token: int) -> float:
    """Positive if the token is in the final set, negative if not; how far it is from changing guides the search."""
    distance = 1.0
    for rule, before, after, at in stages:
        near = 1.0
        if isinstance(rule, Cutoff):
            setting = float(numpy(at.column(getattr(rule, rule.steers[0]))).reshape(-1)[0])
            near = abs(setting - float(numpy(rule.critical(before, token))[0, 0])) + SMALLEST
        if not np.isfinite(numpy(after)[0, token]):
            return -near
        distance = min(distance, near)
    return distance


def _crossing(function: Callable[[float], float], a: float, fa: float, b: float, fb: float) -> float:
    """Where a function changes its sign between a and b: false position (Illinois), each third step a bisection."""
    for turn in range(LONGEST):
        if abs(b - a) < TIGHT:
            break
        c = (a + b) / 2 if turn % 3 == 2 else (a * fb - b * fa) / (fb - fa)
        fc = function(c)
        if fc * fb < 0:
            a, fa = b, fb
        else:
            fa /= 2
        b, fb = c, fc
    return (a + b) / 2
