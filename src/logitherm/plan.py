"""Which kernel runs which rules; what none covers runs as its plain body, which gives the same tokens.

The only place that decides between the two. Nobody waits for a compiler: plain bodies run until the kernels are there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Any

import numpy as np

from logitherm.arrays import is_torch
from logitherm.kernels.codes import (
    EXPONENTIAL,
    INTERPOLATED,
    LINEAR,
    MIN_P,
    NUMBERS,
    OF,
    TEMPERATURE,
    TOP_K,
    TOP_P,
)
from logitherm.kernels.gpu.entry import CARDS
from logitherm.rules import DynamicTemperature, MinP, Rule, Temperature, TopK, TopP
from logitherm.rules.base import SLACK
from logitherm.rules.dynamic import Dynatemp, Edt
from logitherm.state import At, State

VARIABLE = "LOGITHERM_PLAN"
"""Set to "plain" it switches all kernels off."""

WORTHWHILE = 8192
"""Rows of fewer tokens do not make anybody compile; kernels that are there serve them all the same."""

Encoded = tuple[int, list[float]]
"""A rule as a kernel reads it: its kind and its numbers."""

Told = tuple[np.ndarray, np.ndarray]
"""A run of rules as a kernel reads it: the kinds, and a row of numbers for each."""

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


@dataclass(frozen=True)
class Plan:
    """How a chain of rules is run. Prints as one line for each kernel, or rule without one."""

    rules: tuple[Rule, ...]

    @cached_property
    def kernel(self) -> str | None:
        """The kernel that takes a whole step, or None."""
        return "cut" if all(map(covered, self.rules)) else None

    def __str__(self) -> str:
        """What runs what, and since when."""
        chain = " | ".join(map(str, self.rules))
        if self.kernel is None:
            return "\n".join(f"plain  <- {rule}" for rule in self.rules)
        return f"{self.kernel:<6} <- {chain}  ({KERNELS.standing}{CARDS.standing})"

    def draw(self, logits: Any, state: State) -> tuple[np.ndarray, np.ndarray] | None:
        """One token a row by the kernel and their log-probabilities to about 1e-6.

        None where the plain bodies are to do it, which also say what is wrong.
        """
        if is_torch(logits) and CARDS.takes(logits):
            return self._on_card(logits, state)
        rows = self._rows(logits, state)
        kernels = KERNELS.ready(rows.shape[1]) if rows is not None else None
        if rows is None or kernels is None:
            return None
        memory = kernels.workspace(rows.shape[1])
        seeds, positions = state.seed, state.position.astype(np.uint64)
        tokens, log_ps = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
        if self._same:
            failed = kernels.draws(rows, seeds, positions, *self._same, *memory, tokens, log_ps)
            return None if failed >= 0 else (tokens, log_ps)
        for row in range(len(rows)):
            one, told = slice(row, row + 1), self._told(state, row)
            if kernels.draws(rows[one], seeds[one], positions[one], *told, *memory, tokens[one], log_ps[one]) >= 0:
                return None
        return tokens, log_ps

    def _on_card(self, logits: Any, state: State) -> tuple[np.ndarray, np.ndarray] | None:
        """The same by the kernel on a graphics card, for logits that lie on one."""
        if self.kernel is None or not len(state) or os.environ.get(VARIABLE) == "plain":
            return None
        same = self._same
        told = [same or self._told(state, row) for row in range(len(state))]
        return CARDS.draw(logits, state.seed, state.position, told)

    def _rows(self, logits: Any, state: State) -> np.ndarray | None:
        """The logits as float32 rows, without a copy where they are; None if they are of another kind or shape."""
        if self.kernel is None or not len(state) or os.environ.get(VARIABLE) == "plain":
            return None
        if is_torch(logits):
            if logits.device.type != "cpu" or not logits.is_floating_point() or logits.element_size() > 4:
                return None
            logits = logits.detach().float().contiguous().numpy()
        if not isinstance(logits, np.ndarray) or logits.dtype not in (np.float32, np.float16):
            return None
        if logits.ndim != 2 or logits.shape[0] != len(state) or not logits.shape[1]:
            return None
        return np.ascontiguousarray(logits, dtype=np.float32)

    @cached_property
    def _same(self) -> Told | None:
        """The rules as the kernel reads them, if they are the same for every row and position."""
        if any(not isinstance(v, int | float | str) for rule in self.rules for v in rule.parameters().values()):
            return None
        return _told(self.rules, float)

    def _told(self, state: State, row: int) -> Told:
        """The same for one row where it stands."""
        at = At(None, state)
        return _told(self.rules, lambda parameter: float(at.values(parameter)[row]))


def _told(rules: Sequence[Rule], value: Value) -> Told:
    active = [entry for rule in rules if (entry := _encoded(rule, value)) is not None]
    kinds = np.array([kind for kind, _ in active], dtype=np.int64)
    return kinds, np.array([numbers for _, numbers in active]).reshape(-1, NUMBERS)


def _encoded(rule: Rule, value: Value) -> Encoded | None:
    found = CUT[type(rule)](rule, value)
    if found is None:
        return None
    kind, numbers = found
    padded = numbers + [0.0] * (NUMBERS - len(numbers))
    padded[OF] = float(getattr(rule, "of", "kept") == "raw")
    return kind, padded


class Kernels:
    """The compiled kernels of this process: not asked for yet, on their way, there, or not to be had."""

    def __init__(self) -> None:
        self._chain: Any = None
        self._memory: Any = None
        self._why: str | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._own = threading.local()

    @property
    def standing(self) -> str:
        """Where they stand, in a few words."""
        if os.environ.get(VARIABLE) == "plain":
            return f"plain: {VARIABLE} says so"
        if self._chain is not None:
            return "compiled"
        if self._why is not None:
            return f"plain: {self._why}"
        return "plain until it is compiled"

    def ready(self, size: int) -> Kernels | None:
        """These, if they are compiled; otherwise see to it in the background, for rows worth it."""
        if self._chain is not None:
            return self
        if size >= WORTHWHILE and self._why is None and self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self.load, name="logitherm-kernels", daemon=True)
                    self._thread.start()
        return None

    def load(self) -> None:
        """Compile them, or read them from Numba's cache, now."""
        try:
            from logitherm.kernels.cpu import chain, workspace

            row, told = np.zeros((1, 8), dtype=np.float32), _told((Temperature(0.5),), float)
            once = np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.uint64)
            chain.draws(row, *once, *told, *workspace.memory(8), np.empty(1, dtype=np.int64), np.empty(1))
        except ImportError as error:
            self._why = f"{error.name} is not installed"
        except Exception as error:  # whatever a compiler may meet: the plain bodies serve
            self._why = f"compiling failed: {error!r}"
        else:
            self._chain, self._memory = chain, workspace.memory

    def workspace(self, size: int) -> Sequence[np.ndarray]:
        """This thread's memory for rows of a size."""
        if getattr(self._own, "size", None) != size:
            self._own.size, self._own.memory = size, self._memory(size)
        memory: Sequence[np.ndarray] = self._own.memory
        return memory

    def draws(self, *arguments: Any) -> int:
        """`kernels.cpu.chain.draws`."""
        failed: int = self._chain.draws(*arguments)
        return failed


KERNELS = Kernels()
