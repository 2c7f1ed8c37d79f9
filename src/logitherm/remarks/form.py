"""Remarks on a recipe, as plain records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from logitherm.rules import Rule
from logitherm.show.remarks import remarked
from logitherm.show.shown import Drawn, Printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from logitherm.show.html import Html

VERSION = 1
"""Of the JSON form."""

CODES = {
    "cannot-act": "a rule that can change nothing, whatever the logits",
    "empties": "rules that together leave no token, which is an error",
    "did-not-act": "a rule that changed nothing in the steps of a trace file",
    "always-one": "a rule that left one token in every step of a trace file",
    "edit-after-cut": "a penalty, bias, ban or other rule on single tokens that comes too late",
    "sign-moved": "a rule that acts on a logit's sign, after one that moves signs",
    "measure-after-cut": "a cutoff that measures the whole row, after another cut",
    "hot-before-cut": "a cut by probability that sees a heated row",
    "cool-before-min-p": "a min_p that a temperature below 1 makes stricter",
    "xtc-before-cut": "xtc before a cut, which then has other probabilities to go by",
    "raw-after-cut": "a temperature by the model's own row, where a cut left another",
    "not-last": "a rule that learns from what it gives, with rules after it that change that",
    "unseen-by-feedback": "entropy_rate of the raw row, with rules that change what is drawn from",
    "undone": "a temperature with a promise about its row, which a later rule breaks",
    "temperatures-multiply": "several temperatures",
    "same-family": "several cuts of one kind, each by what the one before it left",
    "two-controllers": "several rules with a memory, which steer against each other",
    "unbounded": "a dynamic temperature that can become very hot",
    "default-on": "a parameter that acts at its default",
}
"""Every code and what it says."""

KINDS = {
    "proven": "follows from the rules themselves, for all logits",
    "seen": "counted in the steps of the trace file",
    "advice": "does what it says, and seldom what is meant",
    "note": "worth knowing; nothing is wrong",
}
"""How sure a remark is."""


@dataclass(frozen=True)
class Concerned:
    """A rule that a remark is about: its place in the chain, from 0, and how it is written."""

    index: int
    rule: str


@dataclass(frozen=True)
class Remark:
    """One remark.

    code:  one of CODES. kind: one of KINDS.
    rules: the rules concerned; the first is the one to change.
    what:  what is wrong. advice: what to do.
    """

    code: str
    kind: str
    rules: tuple[Concerned, ...]
    what: str
    advice: str


@dataclass(frozen=True)
class Acted:
    """What a rule did in the steps of a trace file.

    acted:   in how many of them it removed a token or changed a probability.
    removed: how many tokens it took on average; emptied: in how many steps it left none.
    alone:   in how many steps one token was left after it.
    """

    index: int
    rule: str
    acted: int
    removed: float
    alone: int
    emptied: int


@dataclass(frozen=True, repr=False)
class Remarks(Printed, Drawn):
    """What there is to say about a recipe. Prints as text; `to_dict` is the JSON form.

    steps: how many steps of a trace file were looked at, None without one. summarised: how many of them keep only the
           largest logits, so that what hangs on the others may be far off.
    acted: what each rule did in them.
    """

    rules: tuple[str, ...]
    remarks: tuple[Remark, ...]
    steps: int | None = None
    summarised: int = 0
    acted: tuple[Acted, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is nothing to say but notes."""
        return all(remark.kind == "note" for remark in self.remarks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the form."""
        return {"version": VERSION, "recipe": " | ".join(self.rules), "clean": self.clean, **asdict(self)}

    def _tables(self, width: int) -> Iterator[RenderableType]:
        yield from remarked(self.to_dict(), width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_remarks import remarks_html

        return "Remarks on a recipe", remarks_html(self.to_dict())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_shares import remarks_figure

        return remarks_figure(self.to_dict(), dark)


def remark(code: str, kind: str, rules: Sequence[Rule], places: Sequence[int], what: str, advice: str) -> Remark:
    """A remark about the rules at these places of a chain."""
    return Remark(code, kind, tuple(Concerned(i, str(rules[i])) for i in places), what, advice)
