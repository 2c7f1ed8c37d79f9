"""A comparison in the terminal: a row a recipe, a column a recipe for the tokens, and the texts side by side.

It draws the JSON form of a comparison (`Comparison.to_dict()`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from logitherm.show.table import GAP, Column, number, printable, table, visible

BESIDE = 36
"""Texts stand side by side where each gets so many cells."""

MEASURES = {
    "repetition": "repetition",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "entropy": "nats a step",
    "length": "tokens",
}
SHORT = {"repetition": "rep", "distinct_1": "dist-1", "distinct_2": "dist-2", "entropy": "nats", "length": "tokens"}
"""What the measures are called, and in a narrow terminal."""


def compared(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A comparison as tables that fit into `width` columns."""
    if data["prompt"] is not None:
        yield Text.assemble(("prompt  ", "dim"), printable(data["prompt"], breaks=False))
    kept = data["raw"]["kept"]
    raw = f"{kept:,} token{'s' * (kept != 1)}, {number(data['raw']['entropy'])} nats"
    yield Text.assemble(("seed    ", "dim"), f"{data['seed']}", ("  before any rule  ", "dim"), raw)
    yield ""
    yield _recipes(data, width)
    yield from _alone(data)
    yield ""
    yield from _tokens(data, width)
    if any(recipe["texts"] for recipe in data["recipes"]):
        yield from _texts(data, width)
    if any(recipe["measures"] for recipe in data["recipes"]):
        yield ""
        yield from _measures(data, width)


def title(data: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """What a recipe is called where it stands alone: "temperature 0.5" if that varies, else its label."""
    return f"{data['varied']} {recipe['label']}" if data["varied"] else str(recipe["label"])


def _headings(data: Mapping[str, Any]) -> list[str]:
    """What stands over a recipe's column: its value if one parameter varies, else its number."""
    if data["varied"]:
        return [recipe["label"] for recipe in data["recipes"]]
    return [f"{place}" for place in range(1, len(data["recipes"]) + 1)]


def _recipes(data: Mapping[str, Any], width: int) -> RenderableType:
    """A row a recipe. Against the first: how many tokens it lost and won, the two divergences, the total variation."""
    named = not data["varied"]
    heated = any(recipe["temperature"] is not None for recipe in data["recipes"])
    heat = heated and data["varied"] != "temperature"
    cut = any(d and d["only_first"] + d["only_this"] for d in data["differences"])
    columns = [Column(_short(data), "right"), *([Column("recipe", fit="wrap")] if named else [])]
    columns += [Column("kept", "right"), Column("nats", "right", rank=2)]
    columns += [Column("T", "right", rank=3)] if heat else []
    columns += [Column("draws", fit="cut"), *([Column("lost, won", "right", rank=1)] if cut else [])]
    columns += [Column("KL", "right", rank=4), Column("back", "right", rank=4), Column("TV", "right")]
    rows = []
    for heading, recipe, d in zip(_headings(data), data["recipes"], data["differences"], strict=True):
        drawn = recipe["drawn"]
        row = [heading, *([recipe["label"]] if named else []), f"{recipe['kept']:,}", number(recipe["entropy"])]
        row += [number(recipe["temperature"])] if heat else []
        row += [visible(drawn["text"], drawn["id"]), *([_counts(d)] if cut else [])]
        rows.append([*row, *(_divergence(d, kl) for kl in ("kl", "kl_back")), number(d["tv"]) if d else ""])
    return table(columns, rows, width)


def _short(data: Mapping[str, Any]) -> str:
    """The varied parameter without its rule, over a column of values."""
    return str(data["varied"] or "").rpartition(".")[2]


def _counts(difference: Mapping[str, Any] | None) -> str:
    return f"−{difference['only_first']:,} +{difference['only_this']:,}" if difference else ""


def _divergence(difference: Mapping[str, Any] | None, which: str) -> str:
    if difference is None:
        return ""
    return "∞" if difference[which] is None else number(difference[which])


def _alone(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The leading tokens that only one of two recipes keeps."""
    if len(data["recipes"]) != 2:
        return
    for key, place in (("only_first", 1), ("only_this", 2)):
        found, leading = data["differences"][1][key], data["differences"][1][f"{key}_leading"]
        if found:
            names = " ".join(visible(c["text"], c["id"]) for c in leading) + (" …" if found > len(leading) else "")
            yield Text.assemble((f"kept by {place} only  ", "dim"), names)


def _tokens(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A row a token, a column a recipe; as many columns in one table as fit, the others in tables below it."""
    names = [visible(token["text"], token["id"]) for token in data["tokens"]]
    raw = [number(token["raw_p"]) for token in data["tokens"]]
    cells = [[_cell(token, recipe, i) for token in data["tokens"]] for i, recipe in enumerate(data["recipes"])]
    columns = zip(_headings(data), cells, strict=True)
    needs = [max(len(str(cell)) for cell in [heading, *column]) for heading, column in columns]
    room = width - max(map(cell_len, names), default=0) - max(map(len, raw), default=0) - GAP
    for place, group in enumerate(_groups(needs, room)):
        if place:
            yield ""
        heads = [Column("token"), Column("raw", "right"), *(Column(_headings(data)[i], "right") for i in group)]
        yield table(heads, zip(names, raw, *(cells[i] for i in group), strict=True), width)


def _groups(needs: Sequence[int], room: int) -> Iterator[list[int]]:
    """The columns in their order, in groups that each need no more than the room; a group holds one at least."""
    group: list[int] = []
    for i in range(len(needs)):
        if group and sum(needs[j] + GAP for j in [*group, i]) > room:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _cell(token: Mapping[str, Any], recipe: Mapping[str, Any], place: int) -> Text:
    p, drawn = token["final_p"][place], recipe["drawn"]["id"] == token["id"]
    return Text(number(p) if p is not None else "✗", "bold green" if drawn else "dim" if p is None else "")


def _texts(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """The first text of each recipe; what it shares with the first recipe's is dim, and what is its own is not."""
    recipes = [recipe for recipe in data["recipes"] if recipe["texts"]]
    headings = [f"{data['varied'] or 'recipe'} {heading}" for heading in _headings(data)]
    bodies = [
        _body(recipe["texts"][0]["tokens"], d and d["parts_at"])
        for recipe, d in zip(recipes, data["differences"], strict=False)
    ]
    if width // len(recipes) >= BESIDE:
        yield ""
        columns = [Column(heading, fit="wrap") for heading in headings[: len(recipes)]]
        yield table(columns, [bodies], width)
        return
    for heading, recipe, body in zip(headings, recipes, bodies, strict=False):
        yield ""
        yield Text(f"{heading} · {recipe['about']}" if recipe["about"] else heading, "dim")
        yield body


def _body(tokens: Sequence[Mapping[str, Any]], parts_at: int | None) -> Text:
    body = Text()
    for place, token in zip(count(), tokens, strict=False):
        own = parts_at is not None and place >= parts_at
        style = "bold" if place == parts_at else "" if own else "dim"
        body.append(printable(token["text"]).replace("\n", "⏎\n"), style)
    return body


def _measures(data: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """A row a recipe: the mean of each measure, and under it the interval if there are several texts."""
    recipes = [recipe for recipe in data["recipes"] if recipe["measures"]]
    known = [name for name in MEASURES if name in recipes[0]["measures"]]
    full, means = (
        [[_interval(recipe["measures"].get(name), wide) for name in known] for recipe in recipes]
        for wide in (True, False)
    )
    need = sum(max(max(map(len, str(row[i]).split("\n"))) for row in full) + GAP for i in range(len(known)))
    wide = max(len(_short(data)), *map(len, _headings(data))) + need <= width
    names = MEASURES if wide else SHORT
    columns = [Column(_short(data), "right"), *(Column(names[name], "right") for name in known)]
    lines = full if wide else means
    yield table(columns, [[h, *line] for h, line in zip(_headings(data), lines, strict=False)], width)
    texts = len(recipes[0]["texts"])
    failed = sum(text["error"] is not None for recipe in data["recipes"] for text in recipe["texts"])
    if failed:
        yield Text(f"{failed} texts ended with an error and are not counted", "yellow")
    if texts > 1:
        intervals = wide and any(m["low"] is not None for m in recipes[0]["measures"].values())
        yield Text(f"means of {texts} texts" + (", with 95 % intervals" if intervals else ""), "dim")


def _interval(found: Mapping[str, Any] | None, wide: bool) -> Text:
    if found is None:
        return Text("–")
    mean = number(found["mean"])
    if found["low"] is None or not wide:
        return Text(mean)
    return Text.assemble(mean, "\n", (f"{number(found['low'])} – {number(found['high'])}", "dim"))
