"""What a sampler remembers between tokens (State), what a rule may look at (At), and what one step gives (Step)."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from logitherm.arrays import Array, entropy, like, log_softmax, numpy
from logitherm.errors import PromptError, RecipeError
from logitherm.ragged import Ragged
from logitherm.rng import uniform
from logitherm.schedule import Schedule

Memory = tuple[Any, ...]
"""One entry a rule: None, or an array whose first axis is the rows."""


def fresh_seed() -> int:
    """A seed that nobody has used: 32 bits from the operating system, short enough to type again."""
    return secrets.randbits(32)


def row_seeds(seed: int | Sequence[int] | np.ndarray | None, rows: int) -> np.ndarray:
    """One seed a row: an integer s gives row i the seed s + i (modulo 2⁶⁴), a sequence one each, None a fresh s."""
    if seed is None:
        seed = fresh_seed()
    try:
        given = (
            [operator.index(s) for s in seed] if np.iterable(seed) else [operator.index(seed) + i for i in range(rows)]
        )
    except TypeError:
        raise RecipeError(f"seed must be a whole number, or one a row; got {seed!r}") from None
    if len(given) != rows:
        raise RecipeError(f"seed must be one number, or one for each of the {rows} rows; got {len(given)}")
    if (given and not 0 <= given[0] < 2**64) or (np.iterable(seed) and not all(0 <= s < 2**64 for s in given)):
        raise RecipeError(f"seed must be in [0, 2**64 - 1]; got {seed!r}")
    return np.array([s % 2**64 for s in given], dtype=np.uint64)


def whole(name: str, values: Any, below: int = 2**63, error: type[Exception] = RecipeError) -> np.ndarray:
    """Whole numbers from 0 up to below a bound, as an int64 array; an error if something else is among them."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= below:
        raise error(f"{name} must be whole numbers in [0, {below}); got {values!r}")
    return array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class State:
    """Where each row stands. Immutable; every field has rows first.

    history: the token ids so far, prompt first.
    prompt:  (rows,) how many of them are the prompt.
    seed:    (rows,) uint64.
    row:     (rows,) the row's number when it started: per-row parameters follow it through `take`.
    memory:  what each rule remembers.
    """

    history: Ragged
    prompt: np.ndarray
    seed: np.ndarray
    row: np.ndarray
    memory: Memory = ()

    @classmethod
    def start(
        cls,
        prompts: Sequence[Sequence[int]],
        seed: int | Sequence[int] | np.ndarray | None = None,
        rows: Sequence[int] | None = None,
    ) -> State:
        """Rows that have read their prompts and drawn nothing."""
        read = [whole("the ids of a prompt", prompt, error=PromptError) for prompt in prompts]
        lengths = np.array([len(prompt) for prompt in read], dtype=np.int64)
        ids = np.zeros((len(read), int(lengths.max(initial=0))), dtype=np.int64)
        for row, prompt in enumerate(read):
            ids[row, : len(prompt)] = prompt
        numbers = whole("rows", list(range(len(read)) if rows is None else rows))
        if len(numbers) != len(read):
            raise RecipeError(f"rows must be one number for each of the {len(read)} prompts; got {len(numbers)}")
        return cls(Ragged([ids], lengths), lengths, row_seeds(seed, len(read)), numbers)

    def __len__(self) -> int:
        return len(self.prompt)

    @property
    def tokens(self) -> tuple[np.ndarray, ...]:
        """The ids of each row so far, prompt first."""
        return tuple(self.history.row(i) for i in range(len(self)))

    @property
    def position(self) -> np.ndarray:
        """(rows,) how many tokens each row has drawn."""
        drawn: np.ndarray = self.history.lengths - self.prompt
        return drawn

    def push(self, tokens: np.ndarray) -> State:
        """The state after each row has taken one more token; memory is left as it was."""
        return self.grown(self.history.append([tokens[:, None]]))

    def grown(self, history: Ragged) -> State:
        """The same rows with these histories; not by `replace`, which takes five times as long."""
        state = object.__new__(State)
        state.__dict__.update(self.__dict__, history=history)
        return state

    def take(self, rows: Sequence[int] | np.ndarray, seed: int | Sequence[int] | np.ndarray | None = None) -> State:
        """These rows in this order: to filter, to permute, to fork, to move.

        seed: new seeds for the taken rows. Needed when a row is taken twice, for copies with one seed would draw the
              same tokens; pass `state.seed[rows]` if that is what you want.
        """
        index = whole("State.take's rows", np.asarray(rows), below=len(self))
        if seed is None and len(np.unique(index)) < len(index):
            raise RecipeError(f"State.take needs seed= when a row is taken twice; got rows {index.tolist()}")
        return State(
            self.history.take(index),
            self.prompt[index],
            self.seed[index] if seed is None else row_seeds(seed, len(index)),
            self.row[index],
            tuple(m if m is None else m[index] for m in self.memory),
        )

    def join(self, *others: State) -> State:
        """The rows of this state, then those of the others: `State.join(a, b, …)` or `a.join(b)`."""
        joined = self
        for other in others:
            joined = joined._join(other)
        return joined

    def _join(self, other: State) -> State:
        if len(self.memory) != len(other.memory):
            raise RecipeError(
                "State.join needs states of one sampler; got one of "
                f"{len(self.memory)} rules and one of {len(other.memory)}"
            )
        pairs = zip(self.memory, other.memory, strict=True)
        return State(
            self.history.join(other.history),
            np.concatenate([self.prompt, other.prompt]),
            np.concatenate([self.seed, other.seed]),
            np.concatenate([self.row, other.row]),
            tuple(a if a is None else np.concatenate([a, b]) for a, b in pairs),
        )


@dataclass(frozen=True, eq=False)
class At:
    """What a rule may look at besides the logits that it receives.

    raw:    the logits before any rule, float64.
    state:  the rows' histories, seeds and positions.
    memory: this rule's own memory.
    lane:   this rule's own random lane.
    """

    raw: Array
    state: State
    memory: Any = None
    lane: int = 0

    def values(self, parameter: Any) -> list[Any]:
        """A parameter's value for each present row: the number, the row's own of a tuple, or the schedule's."""
        if isinstance(parameter, Schedule):
            return [parameter.at(position) for position in self.state.position.tolist()]
        if isinstance(parameter, tuple):
            return [parameter[row] for row in self.state.row.tolist()]
        return [parameter] * len(self.state)

    def column(self, parameter: Any, function: Callable[[Any], Any] = lambda value: value) -> Any:
        """A parameter, or a function of it, ready to meet logits: one number, or (rows, 1) if rows may differ."""
        if not isinstance(parameter, tuple | Schedule):
            return function(parameter)
        return like([function(value) for value in self.values(parameter)], self.raw)[:, None]

    def uniform(self) -> Array:
        """(rows, 1) one coin a row in [0, 1), from this rule's lane at this position."""
        return like(uniform(self.state.seed, self.state.position, self.lane), self.raw)[:, None]


class Logits(Protocol):
    """Something that knows the logits of a step."""

    @property
    def raw(self) -> Array:
        """Before any rule, (rows, vocabulary) float64."""

    @property
    def final(self) -> Array:
        """After the whole chain, -inf where removed."""

    def received(self, memory: Any) -> Array:
        """Before the rule that has this memory."""


@dataclass(frozen=True, eq=False, init=False)
class Step:
    """One token for each row, and what can be said about it. Probabilities are computed when asked for.

    tokens: (rows,) int64 ids, on the host whatever the logits are.
    state:  the rows after these tokens.
    logits: what knows the logits before any rule and after all of them.
    """

    tokens: np.ndarray
    state: State
    logits: Logits

    def __init__(self, tokens: np.ndarray, state: State, logits: Logits) -> None:
        own = self.__dict__  # what a frozen dataclass writes for itself takes twice as long
        own["tokens"], own["state"], own["logits"] = tokens, state, logits

    @property
    def raw(self) -> Array:
        """The logits before any rule, float64."""
        return self.logits.raw

    @property
    def final(self) -> Array:
        """The logits after the whole chain, -inf where removed."""
        return self.logits.final

    def received(self, memory: Any) -> Array:
        """The logits that a rule received in this step, told by its memory; the chain before it runs once more."""
        return self.logits.received(memory)

    @cached_property
    def raw_logprobs(self) -> np.ndarray:
        """(rows,) log-probability of each token before any rule, nats."""
        return self._of_tokens(self.raw)

    @cached_property
    def final_logprobs(self) -> np.ndarray:
        """(rows,) log-probability of each token after the whole chain, nats; -inf if the chain had removed it."""
        return self._of_tokens(self.final)

    @cached_property
    def raw_entropy(self) -> np.ndarray:
        """(rows,) entropy before any rule, nats."""
        return numpy(entropy(self.raw))[:, 0]

    @cached_property
    def final_entropy(self) -> np.ndarray:
        """(rows,) entropy after the whole chain, nats."""
        return numpy(entropy(self.final))[:, 0]

    def _of_tokens(self, logits: Array) -> np.ndarray:
        picked: np.ndarray = numpy(log_softmax(logits))[np.arange(len(self.tokens)), self.tokens]
        return picked
