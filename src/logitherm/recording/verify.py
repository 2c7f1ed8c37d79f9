"""Deriving every token of a trace file again, from its logits, recipe and seed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from logitherm.errors import LogitsError, RecipeError, TraceError
from logitherm.recording.form import Entry, Recording
from logitherm.recording.reading import load_trace
from logitherm.rng import uniform
from logitherm.show.shown import Drawn, Printed
from logitherm.show.table import printable
from logitherm.state import State, Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from logitherm.show.html import Html

CLOSE = 1e-9
"""How far a probability may be from the stored one: processors differ in the last digits of exp and of sums."""

VERSION = 1
"""Of the JSON form of a verification."""


@dataclass(frozen=True)
class Finding:
    """A place where a trace file is not what it says.

    line: in the file. text: which text, from 0; token: which of its tokens, from 1; both None outside the tokens.
    what: "digest", "order", "u", "token", "raw_p", "final_p", "logits" or "end".
    """

    line: int
    text: int | None
    token: int | None
    what: str
    message: str


@dataclass(frozen=True, repr=False)
class Verification(Printed, Drawn):
    """What came of deriving a trace file again; `right` if everything in it follows from its logits and its seeds.

    tokens:   how many were derived; lengths: how many of each text.
    finished: whether the file was written to its end; one that breaks off may still be right.
    """

    recipe: str
    model: str
    fingerprint: str | None
    texts: int
    tokens: int
    finished: bool
    findings: tuple[Finding, ...]
    lengths: tuple[int, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the form."""
        return {"version": VERSION, "right": self.right, **asdict(self)}

    def _said(self) -> str:
        if self.right:
            return f"right: {self.tokens} tokens follow from their logits and seeds"
        return f"wrong: {len(self.findings)} finding{'s' * (len(self.findings) != 1)}"

    def _tables(self, width: int) -> Iterator[RenderableType]:
        """A line for each finding, or one that says that there is none."""
        if self.right:
            yield Text(self._said())
        yield from (Text(printable(finding.message, breaks=False)) for finding in self.findings)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_lists import verification_html

        return f"Verification of {self.recipe}", verification_html(self.to_dict(), self._said())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_shares import verification_figure

        return verification_figure(self.to_dict(), dark)


def verify(path: str | Path) -> Verification:
    """Derive every token of a trace file again, and say where the file is not what it says.

    Each line's digest is compared, each u with its seed, each token and its probabilities with what the recipe makes of
    the stored logits (probabilities to 1e-9). That the logits are the model's own, only the model can show.
    Raises TraceError if the file cannot be read as a trace file.
    """
    recording = load_trace(path)
    findings = [*_of_lines(recording), *_of_texts(recording)]
    head, entries = recording.head, recording.entries
    texts, finished = len(head.texts), recording.stops is not None
    found = tuple(sorted(findings, key=lambda finding: finding.line))
    counted = Counter(entry.text for entry in entries)
    lengths = tuple(counted[text] for text in range(texts))
    return Verification(head.recipe, head.model, head.fingerprint, texts, len(entries), finished, found, lengths)


def _of_lines(recording: Recording) -> Iterator[Finding]:
    last = len(recording.entries) + 2
    for line in recording.bent:
        place = "the head" if line == 1 else "the end" if line == last else f"line {line}"
        yield Finding(line, None, None, "digest", f"{place} was changed: its digest is of something else")
    if recording.stops is not None and len(recording.stops) != len(recording.head.texts):
        yield Finding(last, None, None, "end", f"the end speaks of {len(recording.stops)} texts")
        return
    for text, stop in enumerate(recording.stops or ()):
        tokens = [entry.token for entry in recording.entries if entry.text == text]
        ended = bool(tokens) and tokens[-1] in recording.head.eos
        if ended != (stop == "eos"):
            told = "its last token is the model's end" if ended else "its last token is not the model's end"
            yield Finding(last, text, len(tokens), "end", f"text {text} says that it stopped by {stop!r}; {told}")


def _of_texts(recording: Recording) -> Iterator[Finding]:
    for text in range(len(recording.head.texts)):
        ended = False
        for entry, logits, state in recording.steps(text):
            if ended:
                yield _finding(entry, "order", "the text goes on after the model's end")
            ended = entry.token in recording.head.eos
            try:
                step = recording.head.sampler.step(logits, state)
            except LogitsError as error:
                yield _finding(entry, "logits", str(error))
            except RecipeError as error:  # a recipe that speaks of tokens which are not there
                raise TraceError(f"line {entry.line}: {error}") from None
            else:
                yield from _of_token(entry, step, state, recording)


def _of_token(entry: Entry, step: Step, before: State, recording: Recording) -> Iterator[Finding]:
    position, u = int(before.position[0]), float(uniform(before.seed, before.position)[0])
    if entry.position != position:
        yield _finding(entry, "order", f"it says that {entry.position} tokens came before; there are {position}")
    if entry.u != u:
        yield _finding(entry, "u", f"u is {entry.u!r}; the seed gives {u!r}")
    drawn = int(step.tokens[0])
    if drawn != entry.token:
        told, found = (recording.names.get(token, "") for token in (entry.token, drawn))
        yield _finding(entry, "token", f"it is {entry.token} {told!r}; logits and seed give {drawn} {found!r}")
        return
    for what, stored, log in (
        ("raw_p", entry.raw_p, step.raw_logprobs),
        ("final_p", entry.final_p, step.final_logprobs),
    ):
        p = float(np.exp(log[0]))
        if not abs(p - stored) <= CLOSE:
            yield _finding(entry, what, f"{what} is {stored!r}; the logits give {p!r}")


def _finding(entry: Entry, what: str, message: str) -> Finding:
    where = f"text {entry.text}, token {entry.position + 1} (line {entry.line})"
    return Finding(entry.line, entry.text, entry.position + 1, what, f"{where}: {message}")
