"""Who is timed when: all contenders in turns, so that a slow moment of the machine is everybody's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

TURN, SOME = 12, 3
"""So many calls make a turn of a fast contender, after four that do not count; and so many of one that is neither fast
nor slow. A slow one is called once."""

FAST, SLOW = 1e-3, 0.1
"""The seconds of a call below which a contender is fast, and above which it is slow; then its first call counts too."""

Found = dict[str, dict[str, float]]
"""What a case has found, by contender."""

Timed = tuple[float, float]
"""The seconds of a call, and how many of them went into making something ready."""


@dataclass(frozen=True)
class Contender:
    """Something to time: a function of the number of the turn, and how many threads torch may use in it.

    rest: if the function returns how many of its seconds went into making something ready, the name under which the
          rest of its time stands too.
    """

    call: Callable[[int], Any]
    threads: int = 1
    rest: str = ""


def hot(contenders: Mapping[str, Contender], seconds: float, least: int) -> Found:
    """Time contenders in turns for so many seconds, and for so many turns at least."""
    times = {name: _first(contender) for name, contender in contenders.items()}
    lasts = {name: found[-1][0] for name, found in times.items()}
    steps = {name: TURN if last < FAST else 1 if last > SLOW else SOME for name, last in lasts.items()}
    times = {name: found if found[0][0] > SLOW else [] for name, found in times.items()}
    begun, turn = time.perf_counter(), 0
    while turn < least or time.perf_counter() - begun < seconds:
        for name, contender in contenders.items():
            torch.set_num_threads(contender.threads)
            for warm in range(4 if steps[name] == TURN else 0):
                contender.call(warm)
            times[name] += [_one(contender, turn + step) for step in range(steps[name])]
        turn += 1
    torch.set_num_threads(1)
    return _found(contenders, times)


def cold(contenders: Mapping[str, Contender], calls: int, buffer: np.ndarray) -> Found:
    """Time contenders in turns, each call after a buffer has been written over."""
    times: dict[str, list[Timed]] = {name: [] for name in contenders}
    for call in range(calls):
        for name, contender in contenders.items():
            torch.set_num_threads(contender.threads)
            buffer.fill(call % 251)
            times[name].append(_one(contender, call))
    torch.set_num_threads(1)
    return _found(contenders, times)


def described(times: Sequence[float]) -> dict[str, float]:
    """Median, mean and spread of some times, in microseconds."""
    micros = 1e6 * np.array(times)
    low, middle, high = (float(q) for q in np.quantile(micros, [0.1, 0.5, 0.9]))
    return {"median": middle, "mean": float(micros.mean()), "p10": low, "p90": high, "calls": float(len(times))}


def _found(contenders: Mapping[str, Contender], times: Mapping[str, list[Timed]]) -> Found:
    found = {name: described([whole for whole, _ in times[name]]) for name in contenders}
    for name, contender in contenders.items():
        if contender.rest:
            found[contender.rest] = described([whole - ready for whole, ready in times[name]])
    return found


def _first(contender: Contender) -> list[Timed]:
    """A first call, and a second unless there is no time for it."""
    torch.set_num_threads(contender.threads)
    first = _one(contender, 0)
    return [first] if first[0] > SLOW else [first, _one(contender, 1)]


def _one(contender: Contender, turn: int) -> Timed:
    begun = time.perf_counter()
    ready = contender.call(turn)
    seconds = time.perf_counter() - begun
    return seconds, ready if contender.rest else 0.0
