"""Remarks in the terminal: each with its rules, what is wrong and what to do; and what each rule did, as a table.

It draws the JSON form of remarks (`Remarks.to_dict()`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from logitherm.show.table import NARROW, Column, number, printable, table

STYLES = {"proven": "bold red", "seen": "bold yellow", "advice": "bold yellow", "note": "dim"}

INDENT = "    "

LONGEST = 60
"""Characters of a rule that are shown."""


def remarked(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Remarks as text that fits into `width` columns."""
    for place, rule in enumerate(data["rules"], 1):
        yield Text.assemble((f"{place:>2}  ", "dim"), _rule(rule))
    for remark in data["remarks"]:
        yield ""
        yield from _remark(remark, width)
    if data["steps"] is not None:
        yield ""
        yield from _acted(data, width)
    yield ""
    yield Text(summary(data), "green" if data["clean"] else "")


def _remark(remark: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    first, *others = (f"{rule['index'] + 1} {_rule(rule['rule'])}" for rule in remark["rules"])
    yield Text.assemble((remark["code"], STYLES[remark["kind"]]), (f" ({remark['kind']})  ", "dim"), first)
    if others:
        yield Text(_indented(f"with {', '.join(others)}", width), "dim")
    yield Text(_indented(remark["what"], width))
    if remark["kind"] != "note":
        yield Text(_indented(f"→ {remark['advice']}", width))


def _indented(text: str, width: int) -> str:
    return fill(text, max(width, 20), initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)


def _acted(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    steps = data["steps"]
    wide = width >= NARROW
    columns = [Column("", "right"), Column("rule", fit="cut"), Column("acted", "right"), Column("removed", "right")]
    columns += [Column("left one" if wide else "one", "right")]
    rows = []
    for rule in data["acted"]:
        counts = f"{rule['acted']} of {steps}", number(rule["removed"]), f"{rule['alone']} of {steps}"
        rows.append([f"{rule['index'] + 1}", _rule(rule["rule"]), *counts])
    yield table(columns, rows, width)
    yield Text("removed: tokens a step, on average; left one: steps with one token left after it", "dim")
    if data["summarised"]:
        yield Text(
            f"{data['summarised']} of {steps} steps keep the largest logits only: what the others do may be off", "dim"
        )


def _rule(text: str) -> str:
    shown = printable(text, breaks=False)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 2]}…)"


def summary(data: Mapping[str, Any]) -> str:
    """How much there is to say."""
    notes = sum(remark["kind"] == "note" for remark in data["remarks"])
    others = len(data["remarks"]) - notes
    said = "nothing to remark" if not others else "1 remark" if others == 1 else f"{others} remarks"
    return said + ("" if not notes else ", 1 note" if notes == 1 else f", {notes} notes")
