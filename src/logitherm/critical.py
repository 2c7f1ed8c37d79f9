"""Critical values: the exact setting at which a token enters or leaves the kept set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, log

import numpy as np

from logitherm.arrays import Array, numpy
from logitherm.rules import Cutoff, Rule, Temperature, Tempering
from logitherm.rules.base import GREEDY
from logitherm.sampler import Sampler
from logitherm.state import At, State

COLDEST, HOTTEST = GREEDY * (1 + 1e-9), 1e10
"""The temperatures between which a critical one is looked for. Below the first a rule is greedy; at the second a row is
uniform but for the last digits."""

GRID = 40
"""How many temperatures, evenly spaced in log T, are tried to find the nearest change on either side."""

TIGHT, LONGEST = 1e-13, 200
"""The width in log T at which the search for a critical temperature ends, and the most steps that it may take."""

SEARCHED = 20
"""For how many tokens a critical temperature is looked for; 20 of 128,256 logits took 1.5 s."""

SMALLEST = 1e-300
"""Keeps a margin from being neither positive nor negative."""

Name = Callable[[int], str | None]
"""The text of a token id, or None where nobody knows it."""

Found = tuple[int, str, str, float, float, bool]
"""A token id, and the parameter, keeps, value, setting and kept of its critical value."""

Passed = tuple[Rule, Array, Array, At]
"""A stage as `Sampler.stages` gives it: the rule, the logits before and after, what it could look at."""


@dataclass(frozen=True)
class Critical:
    """The exact setting at which a token enters or leaves the kept set: it stays while `parameter` `keeps` `value`.

    For a cutoff (k, p) the set is that of its own stage, for the logits that it receives. For a temperature (T) it
    is the final one, everything else in the chain being as it is. As the chain computes it, the token is out at this
    very T and in at one that differs by less than a part in 1e12. (At GREEDY it is the greedy choice that is in.)
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
    """Where each listed token enters or leaves, for each rule that it reaches and that is not off.

    Critical temperatures, which take a search, are given for the first SEARCHED tokens and the last one.
    """
    searched = {*shown[:SEARCHED], *shown[-1:]}
    for place, (label, (rule, before, after, at)) in enumerate(zip(labels, stages, strict=True)):
        reaching = [token for token in shown if np.isfinite(numpy(before)[0, token])]
        found: Iterator[Found] = iter(())
        if isinstance(rule, Cutoff):
            found = _of_cutoff(rule, before, after, at, reaching)
        elif isinstance(rule, Tempering):
            found = _of_temperature(sampler, raw, state, stages, place, [t for t in reaching if t in searched])
        for token, parameter, keeps, value, setting, kept in found:
            yield Critical(token, name(token), rule.name, label, parameter, keeps, value, setting, kept)


def _of_cutoff(rule: Cutoff, before: Array, after: Array, at: At, tokens: Sequence[int]) -> Iterator[Found]:
    if rule.steers is None:
        return
    parameter, keeps = rule.steers
    setting = float(at.values(getattr(rule, parameter))[0])
    neutral = dict(rule.neutral or {})
    off = neutral.pop(parameter, None)
    off = off if all(getattr(rule, name) == value for name, value in neutral.items()) else None
    if setting == off:
        return
    for token in tokens:
        value = float(numpy(rule.critical(before, token))[0, 0])
        kept = bool(np.isfinite(numpy(after)[0, token]))
        if off is not None and keeps == ">" and value >= off:
            yield token, parameter, ">=", float(off), setting, kept  # only where the rule is off
        else:
            yield token, parameter, keeps, value, setting, kept


def _of_temperature(
    sampler: Sampler, raw: Array, state: State, stages: Sequence[Passed], place: int, tokens: Sequence[int]
) -> Iterator[Found]:
    """The nearest temperatures below and above the one in use at which a token enters or leaves the final set.

    The whole chain runs at each temperature of a grid; a token is taken to change at most once between two points.
    """
    rule, before, _, at = stages[place]
    t = float(used(rule, before, at)[0]) if isinstance(rule, Tempering) else 1.0
    if t > HOTTEST:
        return
    now = np.isfinite(numpy(stages[-1][2])[0])
    here = log(max(t, COLDEST))

    def heat(log_t: float) -> float:
        return max(t, COLDEST) if log_t == here else exp(log_t)  # the one in use to its last bit

    def run(log_t: float) -> Iterator[Passed]:
        rules = (*sampler.rules[:place], Temperature(heat(log_t)), *sampler.rules[place + 1 :])
        memory = (*state.memory[:place], None, *state.memory[place + 1 :])
        return Sampler(*rules).stages(raw, replace(state, memory=memory))

    def final(log_t: float) -> np.ndarray:
        *_, (_, _, after, _) = run(log_t)
        kept: np.ndarray = np.isfinite(numpy(after)[0])
        return kept

    colder = [u for u in np.linspace(here, log(COLDEST), GRID) if u < here]
    hotter = [u for u in np.linspace(here, log(HOTTEST), GRID) if u > here]
    at_here = now if t >= COLDEST else final(here)
    below, above = ([(here, at_here), *((float(u), final(u)) for u in side)] for side in (colder, hotter))
    greedy = greedy_choice(numpy(before)[0]) if t > GREEDY else -1
    for token in tokens:
        for path, keeps in ((below, "><"), (above, "<>")):
            side = keeps[0] if now[token] else keeps[1]
            steps = [(a, b) for (a, ka), (b, kb) in pairwise(path) if ka[token] != kb[token]]
            if t <= GREEDY and path is above and at_here[token] != now[token]:
                yield token, "T", "<=" if now[token] else ">", GREEDY, t, bool(now[token])
            elif steps:
                value = heat(_crossing(lambda u: _margin(run(u), token), *steps[0]))  # noqa: B023 (called at once)
                yield token, "T", side, value, t, bool(now[token])
            elif path is below and now[token] and token != greedy and t > GREEDY:
                yield token, "T", ">", GREEDY, t, True


def greedy_choice(logits: np.ndarray) -> int:
    """The one token that a temperature of 0 keeps."""
    return int(logits.argmax())


def _margin(stages: Iterator[Passed], token: int) -> float:
    """Positive if the token is in the final set, negative if not; how far it is from changing guides the search."""
    distance = 1.0
    for rule, before, after, at in stages:
        near = 1.0
        if isinstance(rule, Cutoff):
            steering = getattr(rule, rule.steers[0]) if rule.steers else 1.0
            setting = float(numpy(at.column(steering)).reshape(-1)[0])
            near = abs(setting - float(numpy(rule.critical(before, token))[0, 0])) + SMALLEST
        if not np.isfinite(numpy(after)[0, token]):
            return -near
        distance = min(distance, near)
    return distance


def _crossing(function: Callable[[float], float], a: float, b: float) -> float:
    """Where a function changes its sign between a and b, on the side where it is negative: false position (Illinois),
    each third step a bisection.
    """
    fa, fb = function(a), function(b)
    for turn in range(LONGEST):
        if abs(b - a) < TIGHT:
            break
        c = (a + b) / 2 if turn % 3 == 2 else (a * fb - b * fa) / (fb - fa)
        fc = function(c)
        if (fc < 0) != (fb < 0):
            a, fa = b, fb
        else:
            fa /= 2
        b, fb = c, fc
    return b if fb < 0 else a  # fa was halved and may be 0 by now
