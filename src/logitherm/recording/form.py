"""The form of a trace file: JSON Lines, a head first, then a line for each drawn token, then an end.

Every line carries a digest of itself and of the line before, so that a change anywhere is noticed, and noticed where.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm.errors import LogithermError, TraceError
from logitherm.recipe import parse
from logitherm.recording.logits import unpack
from logitherm.sampler import Sampler
from logitherm.show.shown import Paged, Printed
from logitherm.state import State

if TYPE_CHECKING:
    from rich.console import RenderableType

    from logitherm.show.html import Html

FORMAT = 1


@dataclass(frozen=True)
class Prompt:
    """Where a text began: its prompt, the prompt's ids, its seed, and its row, which per-row parameters follow.

    chat, system: whether the prompt was a user's message, and the system message before it.
    """

    prompt: str
    ids: tuple[int, ...]
    seed: int
    row: int
    chat: bool
    system: str | None


@dataclass(frozen=True)
class Head:
    """What holds for the whole file.

    recipe:      bound to the model, so that it needs no vocabulary.
    model:       its name; fingerprint: what tells its weights apart, or None.
    vocabulary:  how many tokens it has; eos: the ids that end a text.
    top:         how many of the largest logits each step keeps at least, or None for all.
    """

    logitherm: str
    recipe: str
    model: str
    fingerprint: str | None
    vocabulary: int
    eos: tuple[int, ...]
    top: int | None
    texts: tuple[Prompt, ...]

    @cached_property
    def sampler(self) -> Sampler:
        """The chain that drew the tokens."""
        return parse(self.recipe)


@dataclass(frozen=True)
class Entry:
    """One drawn token.

    text:     which of the texts, from 0; position: how many tokens it had drawn before.
    token:    the id; u: the number that drew it.
    raw_p, final_p: its probability before any rule and after all of them.
    logits:   as `recording.logits` packs them.
    names:    texts of tokens that no earlier line names, this step's leading ones among them.
    line:     its line in the file.
    """

    text: int
    position: int
    token: int
    u: float
    raw_p: float
    final_p: float
    logits: Mapping[str, Any]
    names: Mapping[str, str]
    line: int = 0


@dataclass(frozen=True, repr=False)
class Recording(Printed, Paged):
    """A trace file, read. Prints as a table of its texts.

    stops: why each text ended, or None if the file breaks off before its end.
    bent:  the lines, head and end among them, whose digest is wrong.
    """

    head: Head
    entries: tuple[Entry, ...]
    stops: tuple[str, ...] | None
    bent: tuple[int, ...]

    def steps(self, text: int = 0, sampler: Sampler | None = None) -> Iterator[tuple[Entry, np.ndarray, State]]:
        """Each token of a text, its logits (1, vocabulary) and the state before it, under its own sampler or another.

        Whatever the sampler would draw, the text goes on with the stored token. TraceError if there is no such text.
        """
        if isinstance(text, bool) or not isinstance(text, int) or not 0 <= text < len(self.head.texts):
            raise TraceError(f"text must be a whole number in [0, {len(self.head.texts) - 1}]; got {text!r}")
        chain = sampler or self.head.sampler
        state = begin(chain, self.head.texts[text])
        for entry in self._of_text.get(text, ()):
            logits = _row(entry, self.head)
            yield entry, logits, state
            try:
                state = chain.observe(logits, state, [entry.token]).state
            except LogithermError as error:
                raise TraceError(f"line {entry.line}: {error}") from None

    @cached_property
    def _of_text(self) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.text, []).append(entry)
        return found

    def logits(self, text: int = 0) -> np.ndarray:
        """(tokens, vocabulary) float64: the model's own logits at each token of a text.

        Where the file keeps only the largest, the others are what their summary makes of them.
        """
        return np.concatenate([np.zeros((0, self.head.vocabulary)), *(row for _, row, _ in self.steps(text))])

    def scores(self, text: int = 0) -> np.ndarray:
        """(tokens, vocabulary) float64: the logits after all rules, -inf where removed."""
        after = (_shaped(self.head.sampler, entry, row, state) for entry, row, state in self.steps(text))
        return np.concatenate([np.zeros((0, self.head.vocabulary)), *after])

    def summary(self) -> dict[str, Any]:
        """Plain data: what drew the texts, and of each its prompt, seed, number of tokens and why it ended."""
        texts = []
        for place, text in enumerate(self.head.texts):
            stop = self.stops[place] if self.stops and place < len(self.stops) else None
            count = len(self._of_text.get(place, ()))
            texts.append({"prompt": text.prompt, "seed": text.seed, "tokens": count, "stop": stop})
        told = {"recipe": self.head.recipe, "model": self.head.model, "fingerprint": self.head.fingerprint}
        return {**told, "texts": texts}

    def _tables(self, width: int) -> Iterator[RenderableType]:
        from rich.text import Text

        from logitherm.show.table import Column, printable, table

        told = self.summary()
        yield Text.assemble(("recipe  ", "dim"), told["recipe"])
        yield Text.assemble(("model   ", "dim"), printable(told["model"], breaks=False))
        columns = [Column("text", "right"), Column("prompt", fit="cut"), Column("seed", "right")]
        columns += [Column("tokens", "right"), Column("stopped")]
        rows = [
            [f"{i}", printable(t["prompt"], breaks=False), f"{t['seed']}", f"{t['tokens']:,}", t["stop"] or "–"]
            for i, t in enumerate(told["texts"])
        ]
        yield table(columns, rows, width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_lists import recording_html

        return "Trace file", recording_html(self.summary())

    @cached_property
    def names(self) -> dict[int, str]:
        """The texts of the tokens that the file names."""
        return {int(token): name for entry in self.entries for token, name in entry.names.items()}


def seal(content: Mapping[str, Any], before: str) -> tuple[str, str]:
    """A line of the file and its digest, which the next line continues."""
    digest = digest_of(content, before)
    return json.dumps({**content, "digest": digest}, ensure_ascii=False, allow_nan=False) + "\n", digest


def digest_of(content: Mapping[str, Any], before: str) -> str:
    """The digest of a line's content after a line of that digest."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b((before + text).encode(errors="backslashreplace"), digest_size=16).hexdigest()


def head_line(head: Head) -> dict[str, Any]:
    """The head as plain data."""
    return {"logitherm_trace": FORMAT, **asdict(head)}


def entry_line(entry: Entry) -> dict[str, Any]:
    """A drawn token as plain data."""
    return {name: value for name, value in vars(entry).items() if name != "line"}


def begin(sampler: Sampler, prompt: Prompt) -> State:
    """The state of a text before its first token; TraceError if the sampler cannot start there."""
    try:
        return sampler.start([prompt.ids], [prompt.seed], [prompt.row])
    except LogithermError as error:
        raise TraceError(f"line 1, the head: {error}") from None


def _shaped(sampler: Sampler, entry: Entry, row: np.ndarray, state: State) -> np.ndarray:
    try:
        shaped: np.ndarray = sampler.apply(row, state)
    except LogithermError as error:
        raise TraceError(f"line {entry.line}: {error}") from None
    return shaped


def _row(entry: Entry, head: Head) -> np.ndarray:
    try:
        return unpack(entry.logits, head.vocabulary)[None]
    except TraceError as error:
        raise TraceError(f"line {entry.line}: {error}") from None
