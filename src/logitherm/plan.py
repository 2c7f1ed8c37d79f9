"""Which kernel runs which rules; what none covers runs as its plain body, which gives the same tokens.

The only place that decides between the two. Nobody waits for a compiler: plain bodies run until the kernels are there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import empty

from logitherm.arrays import is_torch, numpy
from logitherm.kernels.codes import DRAWN, EXPONENTIAL, FINE, FULL, LINEAR, MARKS, TEMPERATURE
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.given import float32_rows, in_place
from logitherm.kernels.gpu.entry import CARDS
from logitherm.ragged import Ragged
from logitherm.rules import Rule
from logitherm.show.shown import Paged
from logitherm.state import State
from logitherm.told import covered, covered_by_cuts, pairs, told_alike, told_apart

if TYPE_CHECKING:
    from logitherm.show.html import Html

VARIABLE = "LOGITHERM_PLAN"
"""Set to "plain" it switches all kernels off."""

INT64 = np.dtype(np.int64)
NOTHING = np.empty(0, INT64)
MOST_HEATS = 3
"""So many divisions one after another the bounds of the kernel for cards are proven for."""

Drawn = tuple[np.ndarray, np.ndarray, Ragged]
"""One token a row, (rows, 2) their log-probabilities, which are rough, and marks of the rows (NaN: none), and the
histories with the tokens.
"""


@dataclass(frozen=True)
class Plan(Paged):
    """How a chain of rules is run in `Sampler.step` or in `Sampler.apply`. Prints as one line, or one for each rule.

    rules: the chain.
    verb:  "step" or "apply".
    """

    rules: tuple[Rule, ...]
    verb: str = "step"

    @cached_property
    def kernel(self) -> str | None:
        """The kernel that takes the whole chain, or None."""
        covers = covered(self.rules) if self.verb == "step" else covered_by_cuts(self.rules)
        return "cut" if covers and not self._plain else None

    @cached_property
    def _plain(self) -> bool:
        """Whether kernels are switched off; asked once, for asking costs as much as making a token's objects."""
        return os.environ.get(VARIABLE) == "plain"

    def _lines(self) -> list[tuple[str, str, str]]:
        """What runs what, and since when or why."""
        if self.kernel is None:
            return [("plain", str(rule), f"{VARIABLE} says so" if self._plain else "") for rule in self.rules]
        return [(self.kernel, " | ".join(map(str, self.rules)), f"{KERNELS.standing}{CARDS.standing}")]

    def __str__(self) -> str:
        """What runs what, and since when."""
        return "\n".join(f"{what:<6} <- {rules}" + (f"  ({why})" if why else "") for what, rules, why in self._lines())

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_lists import plan_html

        return "Plan", plan_html(self.verb, self._lines())

    def draw(self, logits: Any, state: State) -> Drawn | None:
        """One token a row by the kernel; None where the plain bodies are to do it, which also say what is wrong."""
        given = in_place(logits) if self.kernel else None
        if given is None:
            return self._on_card(logits, state) if self.kernel and is_torch(logits) else None
        count, size = (given[1] if given[2] else given[0]).shape
        if KERNELS.draws is None:
            KERNELS.ask(size)
            return None
        if not size or not count or count != len(state.prompt):
            return None
        rules = told_apart(self.rules, state) if self._told is None else self._told, self._pairs
        history, tokens, seen, lengths = state.history, empty(count, INT64), empty((count, 2)), empty(count, INT64)
        known = state.seed, state.prompt, history.lengths, history.arrays[0], history.written.lengths
        draw = KERNELS.draw if KERNELS.threads == 1 else KERNELS.draw_beside
        with history.written.lock:
            came = draw(size, given, rules, known, (tokens, seen, lengths))
        if came >= 0:
            return None
        return tokens, seen, history.extended(lengths) if came == DRAWN else history.append([tokens[:, None]])

    def cuts(self, logits: Any, state: State) -> np.ndarray | None:
        """(rows,) float32, the lowest logit that each row keeps, by the kernel; None where the plain bodies are to."""
        rows = float32_rows(logits) if self.kernel else None
        if rows is None or not rows.size or len(rows) != len(state):
            return None
        if KERNELS.run is None:
            KERNELS.ask(rows.shape[1])
            return None
        told = told_apart(self.rules, state) if self._told is None else self._told
        cuts = np.empty(len(rows), np.float32)
        for i, row in enumerate(rows):
            own = told[i if len(told) > 1 else 0]
            for wide in (False, True):
                memory = KERNELS.workspace(rows.shape[1], wide)
                found = KERNELS.run(row, 0.5, own, NOTHING, 0, self._pairs, *memory, False)
                if found[0] != FULL:
                    break
            if found[0] != FINE:
                return None
            cuts[i] = found[4]
        return cuts

    def _on_card(self, logits: Any, state: State) -> Drawn | None:
        """The same by the kernel on a graphics card, for logits that lie on one."""
        told = told_apart(self.rules, state) if self._told is None else self._told
        if not CARDS.takes(logits) or not len(state) or (told[..., 0] > EXPONENTIAL).any():
            return None
        kinds = told[..., 0]
        if (((kinds == TEMPERATURE) | (kinds >= LINEAR)).sum(axis=-1) > MOST_HEATS).any():
            return None
        drawn = CARDS.draw(logits, state.seed, state.position, told)
        if drawn is None:
            return None
        tokens, log_ps = drawn
        seen = np.stack([log_ps, np.full(len(tokens), np.nan)], axis=1)
        return tokens, seen, state.history.append([tokens[:, None]])

    @cached_property
    def _told(self) -> np.ndarray | None:
        """The rules as the kernel reads them, if they are the same for every row and position."""
        return told_alike(self.rules)

    @cached_property
    def _pairs(self) -> np.ndarray:
        """What the rules add to listed tokens."""
        return pairs(self.rules)


def marks(logits: Any) -> np.ndarray:
    """(rows,) the numbers by which a kernel knows rows of logits again."""
    step = max(1, logits.shape[1] // MARKS)
    some = np.asarray(numpy(logits[:, ::step]), dtype=np.float64)
    finite = np.where(np.isfinite(some), some, 0.0)
    found: np.ndarray = (finite * (1.0 + np.arange(0, logits.shape[1], step) % 7)).sum(axis=1)
    return found
