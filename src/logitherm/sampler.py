"""A sampler: an ordered chain of rules, and the step from logits to tokens. The order is the recipe; nothing
reorders it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from logitherm.arrays import Array, float64, keep, like, log_softmax, numpy, top
from logitherm.draw import draw
from logitherm.errors import LogitsError, RecipeError
from logitherm.plan import Plan, marks
from logitherm.rng import lane, uniform
from logitherm.rules.base import Rule, Tempering
from logitherm.state import At, State, Step
from logitherm.vocabulary import Vocabulary

MOST_RULES = 64

REMEMBERED = 1e-4
"""How far a log-probability may be from the kernel's in the same logits, and this part of itself: the kernel knows a
temperature to 1e-4 at worst, and most to 1e-6."""


@dataclass(frozen=True, init=False)
class Sampler:
    """Rules applied from left to right, then one draw.

    Build it with `Temperature(0.7) | TopP(0.9)`, with `Sampler(rule, …)`, or with `parse(text)`; samplers among the
    arguments are spliced in. A sampler is a value: it prints as its recipe, compares, hashes, and may be shared between
    threads. Between 1 and 64 rules; RecipeError otherwise.
    """

    rules: tuple[Rule, ...]

    def __init__(self, *rules: Rule | Sampler) -> None:
        flat: list[Rule] = []
        for rule in rules:
            if not isinstance(rule, Rule | Sampler):
                raise RecipeError(f"a sampler is made of rules; got {rule!r} (lt.parse reads recipe text)")
            flat.extend(rule.rules if isinstance(rule, Sampler) else (rule,))
        if not 0 < len(flat) <= MOST_RULES:
            raise RecipeError(f"a recipe must have 1 to {MOST_RULES} rules; got {len(flat)}")
        object.__setattr__(self, "rules", tuple(flat))

    def __or__(self, other: Rule | Sampler) -> Sampler:
        return Sampler(self, other)

    def __str__(self) -> str:
        return " | ".join(map(str, self.rules))

    def bind(self, vocabulary: Vocabulary) -> Sampler:
        """The same chain with every rule bound to a model's vocabulary."""
        return Sampler(*(rule.bind(vocabulary) for rule in self.rules))

    def start(
        self,
        prompts: Sequence[Sequence[int]],
        seed: int | Sequence[int] | np.ndarray | None = None,
        rows: Sequence[int] | None = None,
    ) -> State:
        """The state of rows that have read their prompts and drawn nothing.

        prompts: token ids, one sequence a row.
        seed:    a whole number s (row i gets s + i), one number a row, or None for a fresh one; read it at
                 `state.seed`.
        rows:    the rows' numbers, which choose among per-row parameters; 0, 1, 2 … unless given (rows that join
                 later).
        Raises RecipeError if a rule has per-row parameters for fewer rows.
        """
        state = State.start(prompts, seed, rows)
        need = int(state.row.max(initial=-1)) + 1
        for rule in self.rules:
            for name, values in rule.per_row().items():
                if values < need:
                    raise RecipeError(
                        f"{type(rule).__name__}.{name} must have a value for each of the {need} rows; got {values}"
                    )
        return replace(state, memory=tuple(rule.init(len(state)) for rule in self.rules))

    def apply(self, logits: Array, state: State) -> Array:
        """The logits after every rule, float64, -inf where removed; nothing is drawn and nothing changes.

        logits: (rows, vocabulary), any float dtype, NumPy or torch; the result is of the same library and device.
        Raises LogitsError, naming row and rule, at NaN, at +inf, or where a row has nothing left.
        """
        raw = self._read(logits, state)
        final = self._checked(self._final(raw, logits, state), raw, state)
        return float64(final) if final is raw else final

    def step(self, logits: Array, state: State) -> Step:
        """Draw one token a row: `observe` of the draw, which logits, rules, seed and position decide.

        Where a kernel draws (see `plan`), the step's probabilities are computed from `logits` when they are asked for;
        LogitsError if that array has been written over by then.
        """
        if len(state.memory) == len(self.rules) and (drawn := self._plan.draw(logits, state)) is not None:
            tokens, seen, history = drawn
            return Step(tokens, state.grown(history), _Again(self, logits, state, tokens, seen))
        raw = self._read(logits, state)
        final = self._checked(self._shape(raw, state), raw, state)
        return self._learn(draw(final, uniform(state.seed, state.position)), state, _Known(self, raw, state, final))

    def observe(self, logits: Array, state: State, tokens: Sequence[int] | np.ndarray) -> Step:
        """Accept tokens that were chosen elsewhere, possible under this chain or not, one a row."""
        raw = self._read(logits, state)
        chosen = np.asarray(tokens)
        if chosen.shape != (len(state),) or chosen.dtype.kind not in "iu":
            raise LogitsError(f"tokens must be {len(state)} whole numbers, one a row; got {tokens!r}")
        if ((chosen < 0) | (chosen >= raw.shape[1])).any():
            raise LogitsError(f"tokens must be ids in [0, {raw.shape[1]}); got {tokens!r}")
        return self._learn(chosen.astype(np.int64), state, _Known(self, raw, state))

    def plan(self, verb: str = "step") -> Plan:
        """Which kernel runs which rules; print it.

        verb: "step" or "apply": what is asked of the chain. Raises RecipeError if it is another word.
        """
        if verb not in ("step", "apply"):
            raise RecipeError(f'verb must be "step" or "apply"; got {verb!r}')
        return self._plan if verb == "step" else self._plan_of_apply

    @cached_property
    def _plan(self) -> Plan:
        return Plan(self.rules)

    @cached_property
    def _plan_of_apply(self) -> Plan:
        return Plan(self.rules, "apply")

    def stages(self, logits: Array, state: State) -> Iterator[tuple[Rule, Array, Array, At]]:
        """Each rule in turn with the logits it receives, the logits it gives, and what it could look at."""
        yield from self._stages(self._read(logits, state), state)

    def _stages(self, raw: Array, state: State) -> Iterator[tuple[Rule, Array, Array, At]]:
        before = raw
        for rule, memory, number in zip(self.rules, state.memory, self._lanes, strict=True):
            at = At(raw, state, memory, number)
            after = _apply(rule, before, at)
            yield rule, before, after, at
            before = after

    @cached_property
    def _lanes(self) -> tuple[int, ...]:
        seen: Counter[str] = Counter()
        lanes = []
        for rule in self.rules:
            seen[rule.name] += 1
            lanes.append(lane(f"{rule.name}#{seen[rule.name]}"))
        return tuple(lanes)

    def _read(self, logits: Array, state: State) -> Array:
        """The logits as float64, if they can be drawn from as they are."""
        raw = float64(logits)
        if raw.ndim != 2 or raw.shape[1] == 0 or raw.shape[0] != len(state):
            raise LogitsError(f"logits must be ({len(state)} rows, vocabulary); got shape {tuple(raw.shape)}")
        if len(state.memory) != len(self.rules):
            raise RecipeError(f"the state must come from this sampler's start; got one of {len(state.memory)} rules")
        if not np.isfinite(numpy(top(raw))).all():
            _blame("in the logits", raw)
        if isinstance(raw, np.ndarray):
            raw.flags.writeable = False  # a rule that writes in place must not change what the step started from
        return raw

    def _final(self, raw: Array, logits: Array, state: State) -> Array:
        """The logits after the chain: where a kernel knows what stays, only the temperatures are left to do."""
        cuts = self._plan_of_apply.cuts(logits, state)
        if cuts is None:
            return self._shape(raw, state)
        final = keep(raw, raw >= like(cuts, raw)[:, None])
        for rule in self.rules:
            if isinstance(rule, Tempering):
                final = rule.apply(final, At(raw, state))
        return final

    def _shape(self, raw: Array, state: State) -> Array:
        final = raw
        for _, _, after, _ in self._stages(raw, state):
            final = after
        return final

    def _checked(self, final: Array, raw: Array, state: State) -> Array:
        """The final logits, if every row can be drawn from; only if not, the first rule that spoiled one is sought."""
        if not np.isfinite(numpy(top(final))).all():
            for rule, _, after, _ in self._stages(raw, state):
                _blame(f"after {str(rule)!r}", after)
        return final

    def _learn(self, tokens: np.ndarray, state: State, logits: _Known) -> Step:
        after = state.push(tokens)
        step = Step(tokens, after, logits)
        memory = tuple(r.advance(m, step) for r, m in zip(self.rules, state.memory, strict=True))
        return replace(step, state=replace(after, memory=memory))


class _Logits:
    """What knows the logits of a step: the sampler that took it, and the state before it."""

    sampler: Sampler
    state: State
    raw: Array

    def received(self, memory: Any) -> Array:
        """The logits before the rule whose memory this very object is."""
        return next(before for _, before, _, at in self.sampler._stages(self.raw, self.state) if at.memory is memory)


class _Known(_Logits):
    """The logits of a step that the plain rules took; those after the chain are computed at the first question."""

    def __init__(self, sampler: Sampler, raw: Array, state: State, final: Any = None) -> None:
        self.sampler, self.raw, self.state, self._final = sampler, raw, state, final

    @property
    def final(self) -> Array:
        """The logits after the chain."""
        if self._final is None:
            self._final = self.sampler._shape(self.raw, self.state)
        return self._final


class _Again(_Logits):
    """The logits of a step that a kernel took, read again at the first question.

    The log-probabilities of the tokens, and the rows' marks, tell whether they are still the same.
    """

    def __init__(self, sampler: Sampler, logits: Array, state: State, tokens: np.ndarray, seen: np.ndarray) -> None:
        self.sampler, self.logits, self.state, self.tokens, self.seen = sampler, logits, state, tokens, seen

    @property
    def raw(self) -> Array:
        """The logits before any rule."""
        return self._both[0]

    @property
    def final(self) -> Array:
        """The logits after the chain."""
        return self._both[1]

    @cached_property
    def _both(self) -> tuple[Array, Array]:
        raw = self.sampler._read(self.logits, self.state)
        final = self.sampler._final(raw, self.logits, self.state)
        found = numpy(log_softmax(final))[np.arange(len(self.tokens)), self.tokens]
        log_ps, mark = self.seen.T
        moved = np.abs(marks(raw) - mark) > 1e-9 * (1.0 + np.abs(mark))
        if moved.any() or not (np.abs(found - log_ps) < REMEMBERED * (1.0 - found)).all():
            raise LogitsError("the logits were written over before the step's probabilities were asked for")
        return raw, final


def _apply(rule: Rule, logits: Array, at: At) -> Array:
    """The rule's answer, if it is one. A row that an earlier rule emptied makes NaN, reported at the end."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        after = rule.apply(logits, at)
    if getattr(after, "shape", None) != logits.shape:
        got = getattr(after, "shape", type(after).__name__)
        raise RecipeError(f"{rule.name}.apply must return logits of shape {tuple(logits.shape)}; got {got}")
    return after


def _blame(where: str, logits: Array) -> None:
    """Raise for the first row that no token can be drawn from."""
    values = numpy(logits)
    advice = "; the chain must leave at least one" if where.startswith("after") else ""
    for row, line in enumerate(values):
        if np.isnan(line).any():
            raise LogitsError(f"NaN {where}, first at token {int(np.isnan(line).argmax())}", row)
        if np.isposinf(line).any():
            raise LogitsError(f"+inf {where}, first at token {int(np.isposinf(line).argmax())}", row)
        if np.isneginf(line).all():
            raise LogitsError(f"every token was removed {where}" + advice, row)


Rule.chain = Sampler
