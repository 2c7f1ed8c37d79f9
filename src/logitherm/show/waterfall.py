"""The waterfall of one step in the terminal: its stages, its leading tokens, and the ruler on which the draw landed.

It draws the JSON form of a trace (`Trace.to_dict()`), so a saved one looks the same as a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from logitherm.show.conditions import conditions
from logitherm.show.table import NARROW, Column, bar, number, ruler, table, visible


def waterfall(trace: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A step's trace as tables that fit into `width` columns."""
    draw = trace["draw"]
    yield Text.assemble(("recipe  ", "dim"), trace["recipe"])
    yield Text.assemble(("seed    ", "dim"), f"{trace['seed']}", ("  token ", "dim"), f"{trace['position'] + 1}")
    yield ""
    yield _stages(trace, width)
    yield ""
    yield _tokens(trace, width)
    yield ""
    yield ruler(draw["u"], draw["low"], draw["high"], min(width, 80))
    yield Text.assemble(
        f"u = {draw['u']:.6f} lands in [{draw['low']:.6f}, {draw['high']:.6f}) → ",
        (visible(draw["text"], draw["id"]), "bold green"),
        f", drawn with p = {number(draw['p'])}",
    )


def _stages(trace: Mapping[str, Any], width: int) -> RenderableType:
    stages, wide = trace["stages"], width >= NARROW
    heat = any(s["temperature"] is not None for s in stages)
    columns = [Column("stage", fit="cut"), Column("kept", "right")]
    columns += [Column("removed", "right"), Column("their mass", "right")] if wide else []
    columns += [Column("entropy, nats" if wide else "nats", "right")] + ([Column("T", "right")] if heat else [])
    rows = []
    for place, s in enumerate(stages):
        label = f"{place} {s['stage']}" if place else "  raw"
        took = [f"{s['removed']:,}", number(s["removed_mass"])] if s["removed"] else ["–", "–"]
        row = [label, f"{s['kept']:,}"] + (took if wide else []) + [number(s["entropy"])]
        rows.append(row + ([number(s["temperature"])] if heat else []))
    return table(columns, rows, width)


def _tokens(trace: Mapping[str, Any], width: int) -> RenderableType:
    """A row a token: its probability at every stage for which there is room, a bar, and what keeps it or would."""
    stages, wide = trace["stages"], width >= NARROW
    places = list(range(len(stages))) if 64 + 7 * len(stages) <= width else [0, len(stages) - 1]
    last = len(stages) - 1
    columns = [Column("token")] + [
        Column("raw" if i == 0 else "final" if i == last else f"{i}", "right") for i in places
    ]
    gone_at_all = any(c["logit"] is None for c in stages[last]["tokens"])
    if wide:
        columns += [Column(""), Column("stays while …", fit="wrap")]
    elif gone_at_all:
        columns.append(Column("removed by", fit="cut"))
    rows: list[list[str | Text]] = []
    for index, raw in enumerate(stages[0]["tokens"]):
        cells = [s["tokens"][index] for s in stages]
        gone, drawn = cells[last]["logit"] is None, raw["id"] == trace["draw"]["id"]
        style = "bold green" if drawn else "dim" if gone else ""
        shown = visible(raw["text"], raw["id"])
        row = [("▶ " if drawn else "  ") + shown]
        row += [number(cells[i]["p"]) if cells[i]["logit"] is not None else "✗" for i in places]
        if wide:
            row += [bar(cells[last]["p"], 10), conditions(trace, raw["id"], gone)]
        elif gone_at_all:
            row.append(next((f"{s['rule']}" for s, c in zip(stages, cells, strict=True) if c["logit"] is None), ""))
        rows.append([Text(cell, style) for cell in row])
    return table(columns, rows, width)
