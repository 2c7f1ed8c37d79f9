"""Another recipe over a text that exists: what it would have made of each token, from the stored logits, without the
model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm.arrays import NEG_INF, log_softmax
from logitherm.errors import LogitsError, RecipeError, TraceError
from logitherm.recording.form import Recording
from logitherm.recording.logits import stored
from logitherm.recording.reading import load_trace
from logitherm.rng import uniform
from logitherm.sampler import Sampler
from logitherm.show.replay import replayed
from logitherm.show.shown import Drawn, Printed
from logitherm.state import State
from logitherm.trace import Trace, trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from logitherm.show.html import Html

VERSION = 1
"""Of the JSON form of a replay."""

SAME = 1e-9
"""Probabilities that differ by less than this part of themselves are called the same."""


@dataclass(frozen=True)
class Replayed:
    """A token of the text under the other recipe, after the same tokens before it.

    old_p, p: its probability under the recipe that drew it, and under the other.
    fate:     "impossible", "less likely", "same" or "likelier".
    u:        the number that the seed gives, which drew it and draws under the other recipe too.
    kept:     how many tokens the other recipe leaves; 0 makes every token impossible.
    drawn, drawn_text: what that number would draw now; None if nothing is left, or one that the file keeps in a summary
              only.
    exact:    whether all the logits of the step are stored; if not, a summary stands for the smallest, and what the
              other recipe makes of these may be far off.
    """

    position: int
    id: int
    text: str
    old_p: float
    p: float
    fate: str
    u: float
    kept: int
    drawn: int | None
    drawn_text: str | None
    exact: bool


@dataclass(frozen=True, repr=False)
class Replay(Printed, Drawn):
    """One text of a trace file under another recipe. Prints as a table; `to_dict` is the JSON form.

    parts_at: the first position at which it draws another token, from where a text of its own would differ; None if
              it draws the same text.
    """

    prompt: str
    chat: bool
    seed: int
    recipe: str
    other: str
    tokens: tuple[Replayed, ...]

    @property
    def parts_at(self) -> int | None:
        """The first position at which another token is drawn."""
        return next((token.position for token in self.tokens if token.drawn != token.id), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the form."""
        return {"version": VERSION, **asdict(self), "parts_at": self.parts_at}

    def _tables(self, width: int) -> Iterator[RenderableType]:
        yield from replayed(self.to_dict(), width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_replay import replay_html

        return f"Replay under {self.other}", replay_html(self.to_dict())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_replay import replay_figure

        return replay_figure(self.to_dict(), dark)


class Ends:
    """What rules may ask of the vocabulary of a recorded model: its size and its ends; its tokenizer is not there."""

    def __init__(self, recording: Recording) -> None:
        self.size = recording.head.vocabulary
        self.eos = recording.head.eos

    def encode(self, text: str) -> list[int]:
        """Not known."""
        raise RecipeError(f"a trace file holds no tokenizer; this recipe needs the ids of {text!r}")

    def bytes_of(self, token: int) -> bytes:
        """Not known: the file's names are for people, and not of all tokens."""
        raise RecipeError(f"a trace file holds no tokenizer; this recipe needs the bytes of token {token}")


def replay(path: str | Path, other: Sampler, text: int = 0) -> Replay:
    """What another recipe would have made of each token of a text.

    path:  a trace file.
    other: the other recipe.
    text:  which text of the file, from 0.
    Raises TraceError if the file cannot be read or has no such text.
    """
    recording = load_trace(path)
    bound = other.bind(Ends(recording))
    tokens = tuple(_tokens(recording, text, bound))
    prompt = recording.head.texts[text]
    return Replay(prompt.prompt, prompt.chat, prompt.seed, recording.head.recipe, str(bound), tokens)


def recall(path: str | Path, step: int, text: int = 0, other: Sampler | None = None, top: int = 10) -> Trace:
    """The trace of one stored step, under the recipe that drew it or another.

    step: which token of the text, from 1.
    Raises TraceError if the file cannot be read or has no such step.
    """
    recording = load_trace(path)
    names = recording.names
    sampler = recording.head.sampler if other is None else other.bind(Ends(recording))
    count = 0
    for count, (_, logits, state) in enumerate(recording.steps(text, sampler), 1):
        if count == step:
            return trace(sampler, logits, state, top, names.get)[0]
    raise TraceError(f"step must be in [1, {count}]; got {step}")


def _tokens(recording: Recording, text: int, other: Sampler) -> Iterator[Replayed]:
    names = recording.names
    for entry, logits, state in recording.steps(text, other):
        log_p, kept, drawn = _under(other, logits, state, entry.token)
        if drawn is not None and not stored(entry.logits, drawn):
            drawn = None
        yield Replayed(
            int(state.position[0]),
            entry.token,
            names.get(entry.token, ""),
            entry.final_p,
            exp(log_p),
            _fate(entry.final_p, log_p),
            float(uniform(state.seed, state.position)[0]),
            kept,
            drawn,
            None if drawn is None else names.get(drawn),
            "all" in entry.logits,
        )


def _under(other: Sampler, logits: np.ndarray, state: State, token: int) -> tuple[float, int, int | None]:
    """The token's log-probability under the other recipe, how many tokens that leaves, and which it draws."""
    try:
        step = other.step(logits, state)
    except LogitsError:
        return NEG_INF, 0, None
    return float(log_softmax(step.final)[0, token]), int(np.isfinite(step.final).sum()), int(step.tokens[0])


def _fate(old: float, log_p: float) -> str:
    new = exp(log_p)
    if log_p == NEG_INF:
        return "impossible"
    return "same" if abs(new - old) <= SAME * max(new, old) else "likelier" if new > old else "less likely"
