"""Remarks in the terminal: each with its rules, what is wrong and what to do; and what each rule did, as a table.

It draws the JSON form of remarks (`Remarks.to_dict()`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from logitherm.show.table import NARROW, Column, number, printable, table

STYLES = {"proven": "bold red", "seen": "bold yellow", "advice": "bold yellow", "note": "dim"}

LONGEST = 60
"""Characters of a rule that are shown."""


def remarked(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """Remarks as text that fits into `width` columns."""
    for place, rule in enumerate(data["rules"], 1):
        yield Text.assemble((f"{place:>2}  ", "dim"), _rule(rule))
    for remark in data["remarks"]:
        yield ""
        yield from _remark(remark)
    if data["steps"] is not None:
        yield ""
        yield from _acted(data, width)
    yield ""
    yield Text(_summary(data), "green" if data["clean"] else "")


def _remark(remark: Mapping[str, Any]) -> Iterator[RenderableType]:
    rules = [f"{rule['index'] + 1} {_rule(rule['rule'])}" for rule in remark["rules"]]
    others = f"  with {', '.join(rules[1:])}" if rules[1:] else ""
    head = Text.assemble((remark["code"], STYLES[remark["kind"]]), (f" ({remark['kind']})  ", "dim"), rules[0])
    yield head.append(others, "dim")
    yield Padding(Text(remark["what"]), (0, 0, 0, 4), expand=False)
    if remark["kind"] != "note":
        yield Padding(Text(f"→ {remark['advice']}"), (0, 0, 0, 4), expand=False)


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


def _summary(data: Mapping[str, Any]) -> str:
    notes = sum(remark["kind"] == "note" for remark in data["remarks"])
    others = len(data["remarks"]) - notes
    said = "nothing to remark" if not others else "1 remark" if others == 1 else f"{others} remarks"
    return said + ("" if not notes else ", 1 note" if notes == 1 else f", {notes} notes")
