"""Which kernel runs which rules; what none covers runs as its plain body, which gives the same tokens.

The only place that decides between the two. Nobody waits for a compiler: plain bodies run until the kernels are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Any

import numpy as np

from logitherm.arrays import is_torch
from logitherm.kernels.codes import (
    DRAWN,
    ENTRY,
    EXPONENTIAL,
    INTERPOLATED,
    LINEAR,
    MIN_P,
    OF,
    OFF,
    TEMPERATURE,
    TOP_K,
    TOP_P,
)
from logitherm.kernels.compiling import KERNELS
from logitherm.ragged import Ragged
from logitherm.rules import DynamicTemperature, MinP, Rule, Temperature, TopK, TopP
from logitherm.rules.base import SLACK
from logitherm.rules.dynamic import Dynatemp, Edt
from logitherm.schedule import Schedule
from logitherm.state import At, State

VARIABLE = "LOGITHERM_PLAN"
"""Set to "plain" it switches all kernels off."""

FLOAT32 = np.dtype(np.float32)
READ = FLOAT32, np.dtype(np.float16)
"""What a kernel reads in place, and what is widened for it."""

Encoded = tuple[int, list[float]]
"""A rule as a kernel reads it: its kind and its numbers."""

Value = Callable[[Any], float]
"""The value of a parameter for one row."""


def _temperature(rule: Any, value: Value) -> Encoded | None:
    return TEMPERATURE, [value(rule.t)]


def _top_k(rule: Any, value: Value) -> Encoded | None:
    return (TOP_K, [value(rule.k)]) if value(rule.k) > 0 else None


def _top_p(rule: Any, value: Value) -> Encoded | None:
    return (TOP_P, [value(rule.p) * (1 - SLACK)]) if value(rule.p) < 1 else None


def _min_p(rule: Any, value: Value) -> Encoded | None:
    return (MIN_P, [log(value(rule.p) * (1 - SLACK))]) if value(rule.p) > 0 else None


def _linear(rule: Any, value: Value) -> Encoded | None:
    entropy = value(rule.entropy) + value(rule.log_perplexity)
    shares = [value(rule.max_p), entropy, value(rule.normalised_entropy), value(rule.varentropy)]
    return LINEAR, [value(rule.a), *shares, value(rule.t_min), value(rule.t_max)]


def _interpolated(rule: Any, value: Value) -> Encoded | None:
    return INTERPOLATED, [value(rule.low), value(rule.high), value(rule.exponent)]


def _exponential(rule: Any, value: Value) -> Encoded | None:
    return EXPONENTIAL, [value(rule.t0), value(rule.theta), value(rule.base)]


CUT: dict[type[Rule], Callable[[Any, Value], Encoded | None]] = {
    Temperature: _temperature,
    TopK: _top_k,
    TopP: _top_p,
    MinP: _min_p,
    DynamicTemperature: _linear,
    Dynatemp: _interpolated,
    Edt: _exponential,
}
"""The rules that the cut kernel covers, in any order, and how each is told to it; None where it is off."""

UNSUMMED = "median", "surprisal_median", "running_perplexity"
"""Features of dynamic temperature that are no sums over a row."""


def covered(rule: Rule) -> bool:
    """Whether the cut kernel covers a rule."""
    return type(rule) in CUT and all(getattr(rule, feature, 0.0) == 0.0 for feature in UNSUMMED)


Drawn = tuple[np.ndarray, np.ndarray, Ragged]
"""One token a row, their log-probabilities to about 1e-6, and the histories with them."""


@dataclass(frozen=True)
class Plan:
    """How a chain of rules is run. Prints as one line for each kernel, or rule without one."""

    rules: tuple[Rule, ...]

    @cached_property
    def kernel(self) -> str | None:
        """The kernel that takes a whole step, or None."""
        return "cut" if not self._plain and all(map(covered, self.rules)) else None

    @cached_property
    def _plain(self) -> bool:
        """Whether kernels are switched off; asked once, for asking costs as much as making a token's objects."""
        return os.environ.get(VARIABLE) == "plain"

    def __str__(self) -> str:
        """What runs what, and since when."""
        if self.kernel is None:
            why = f"  ({VARIABLE} says so)" if self._plain else ""
            return "\n".join(f"plain  <- {rule}{why}" for rule in self.rules)
        return f"{self.kernel:<6} <- {' | '.join(map(str, self.rules))}  ({KERNELS.standing})"

    def draw(self, logits: Any, state: State) -> Drawn | None:
        """One token a row by the kernel; None where the plain bodies are to do it, which also say what is wrong."""
        rows = float32_rows(logits) if self.kernel else None
        if rows is None:
            return None
        count, size = rows.shape
        draws = KERNELS.draws
        if draws is None:
            KERNELS.ask(size)
            return None
        if not size or not count or count != len(state.prompt):
            return None
        told = self._same
        if told is None:
            told = _told(self.rules, state)
        history = state.history
        written = history.written
        tokens, log_ps, lengths = np.empty(count, np.int64), np.empty(count), np.empty(count, np.int64)
        with written.lock:
            came = draws(
                rows, told, state.seed, state.prompt, history.lengths, history.arrays[0], written.lengths,
                *KERNELS.workspace(size), tokens, log_ps, lengths,
            )  # fmt: skip
        if came >= 0:
            return None
        return tokens, log_ps, history.extended(lengths) if came == DRAWN else history.append([tokens[:, None]])

    @cached_property
    def _same(self) -> np.ndarray | None:
        """The rules as the kernel reads them, if they are the same for every row and position."""
        if any(not isinstance(v, int | float | str) for rule in self.rules for v in rule.parameters().values()):
            return None
        told = _entries(self.rules, float)
        active = told[:, told[0, :, 0] != OFF]
        return np.ascontiguousarray(active)


def float32_rows(logits: Any) -> np.ndarray | None:
    """The logits as float32 rows, without a copy where they are; None if they are of another kind, shape or device."""
    if not isinstance(logits, np.ndarray):
        if not is_torch(logits) or logits.device.type != "cpu" or logits.element_size() > 4:
            return None
        if not logits.is_floating_point():
            return None
        logits = logits.detach().float().contiguous().numpy()
    if logits.ndim != 2 or logits.dtype not in READ:
        return None
    rows: np.ndarray = logits
    flags = rows.flags
    if rows.dtype is FLOAT32 and flags.c_contiguous and flags.aligned:
        return rows
    return np.require(rows, FLOAT32, ["C", "A"])


def _told(rules: Sequence[Rule], state: State) -> np.ndarray:
    """The rules as the kernel reads them, (rows, rules, ENTRY), each row where it stands."""
    at = At(None, state)
    columns = {id(v): at.values(v) for rule in rules for v in vars(rule).values() if isinstance(v, tuple | Schedule)}

    def entries(row: int) -> np.ndarray:
        return _entries(rules, lambda v: float(columns[id(v)][row] if id(v) in columns else v))

    return np.concatenate([entries(row) for row in range(len(state))])


def _entries(rules: Sequence[Rule], value: Value) -> np.ndarray:
    """The rules as the kernel reads them for one row, (1, rules, ENTRY)."""
    told = np.zeros((1, len(rules), ENTRY))
    for entry, rule in zip(told[0], rules, strict=True):
        kind, numbers = CUT[type(rule)](rule, value) or (OFF, [])
        entry[0], entry[1 : 1 + len(numbers)] = kind, numbers
        entry[1 + OF] = getattr(rule, "of", "kept") == "raw"
    return told
