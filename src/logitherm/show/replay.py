"""A replay in the terminal: the text coloured by what the other recipe would have made of it, and a row a token.

It draws the JSON form of a replay (`Replay.to_dict()`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from logitherm.show.table import NARROW, Column, number, printable, table, visible

STYLES = {"impossible": "bold red strike", "less likely": "yellow", "same": "", "likelier": "green"}

ROUGH = "~ only the largest logits are stored: what hangs on the others may be far off"
"""Said where a step's logits are not all there."""


def replayed(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A replay as text and a table that fit into `width` columns."""
    yield Text.assemble(("drawn by  ", "dim"), data["recipe"])
    yield Text.assemble(("now       ", "dim"), data["other"])
    yield ""
    yield _text(data)
    yield ""
    yield _table(data, width)
    yield ""
    yield summary(data)
    if not all(token["exact"] for token in data["tokens"]):
        yield Text(ROUGH, "dim")


def _text(data: Mapping[str, Any]) -> Text:
    line = Text.assemble((printable(data["prompt"]) + ("\n\n" if data["chat"] else ""), "dim"))
    for token in data["tokens"]:
        line.append(printable(token["text"]), STYLES[token["fate"]])
    return line


def _table(data: Mapping[str, Any], width: int) -> RenderableType:
    wide = width >= NARROW
    columns = [Column("", "right"), Column("token", fit="cut"), Column("p then", "right"), Column("p now", "right")]
    columns += ([Column("")] if wide else []) + [Column("now draws", fit="cut")]
    rows = []
    for token in data["tokens"]:
        gone, parts = token["fate"] == "impossible", token["drawn"] != token["id"]
        near = "" if token["exact"] else "~"
        cells = [
            f"{token['position'] + 1}",
            visible(token["text"], token["id"]),
            number(token["old_p"]),
            near + ("✗" if gone else number(token["p"])),
            *([token["fate"]] if wide else []),
            near + draws(token),
        ]
        style = STYLES[token["fate"]].replace(" strike", "")
        rows.append(
            [Text(cell, "" if parts and place == len(cells) - 1 else style) for place, cell in enumerate(cells)]
        )
    return table(columns, rows, width)


def draws(token: Mapping[str, Any]) -> str:
    """What the same u draws under the other recipe."""
    if token["drawn"] == token["id"]:
        return "the same"
    if token["drawn"] is None:
        return "one of the smaller" if token["kept"] else "nothing is left"
    return visible(token["drawn_text"], token["drawn"])


def summary(data: Mapping[str, Any]) -> str:
    """The whole replay in a line."""
    total = len(data["tokens"])
    fates = Counter(token["fate"] for token in data["tokens"])
    other = sum(token["drawn"] != token["id"] for token in data["tokens"])
    counts = ", ".join(f"{fates[fate]} {fate}" for fate in STYLES if fates[fate])
    where = data["parts_at"]
    parts = "the same text" if where is None else f"a text of its own from token {where + 1} on"
    return f"of {total} tokens {counts}; the same u draws {other} others; with this seed: {parts}"
