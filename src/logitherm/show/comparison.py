"""A comparison in the terminal: a row a recipe, a column a recipe for the tokens, and the texts side by side.

It draws the JSON form of a comparison (`Comparison.to_dict()`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from logitherm.show.table import NARROW, Column, number, printable, table, visible

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
    raw = f"{data['raw']['kept']:,} tokens, {number(data['raw']['entropy'])} nats"
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
    wide, named = width >= NARROW, not data["varied"]
    heated = any(recipe["temperature"] is not None for recipe in data["recipes"])
    heat = wide and heated and data["varied"] != "temperature"
    cut = any(d and d["only_first"] + d["only_this"] for d in data["differences"])
    columns = [Column(data["varied"] or "", "right"), *([Column("recipe", fit="wrap")] if named else [])]
    columns += [Column("kept", "right"), *([Column("nats", "right")] if wide else [])]
    columns += [Column("T", "right")] if heat else []
    columns += [Column("draws", fit="cut" if named else "whole"), *([Column("lost, won", "right")] if cut else [])]
    columns += ([Column("KL", "right"), Column("back", "right")] if wide else []) + [Column("TV", "right")]
    rows = []
    for heading, recipe, d in zip(_headings(data), data["recipes"], data["differences"], strict=True):
        drawn = recipe["drawn"]
        row = [heading, *([recipe["label"]] if named else []), f"{recipe['kept']:,}"]
        row += [number(recipe["entropy"])] if wide else []
        row += [number(recipe["temperature"])] if heat else []
        row += [visible(drawn["text"], drawn["id"]), *([_counts(d)] if cut else [])]
        row += [_divergence(d, kl) for kl in ("kl", "kl_back")] if wide else []
        rows.append([*row, number(d["tv"]) if d else ""])
    return table(columns, rows, width)


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
    headings = _headings(data)
    room = max(1, (width - max(map(len, names)) - 9) // (max(5, *map(len, headings)) + 2))
    for start in range(0, len(headings), room):
        places = range(start, min(start + room, len(headings)))
        columns = [Column("token"), Column("raw", "right"), *(Column(headings[i], "right") for i in places)]
        rows: list[list[str | Text]] = []
        for name, token in zip(names, data["tokens"], strict=True):
            cells = [_cell(token, data["recipes"][i], i) for i in places]
            rows.append([name, number(token["raw_p"]), *cells])
        yield table(columns, rows, width)
        if places[-1] + 1 < len(headings):
            yield ""


def _cell(token: Mapping[str, Any], recipe: Mapping[str, Any], place: int) -> Text:
    p, drawn = token["p"][place], recipe["drawn"]["id"] == token["id"]
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
    names = MEASURES if width >= NARROW else SHORT
    known = [name for name in names if name in recipes[0]["measures"]]
    columns = [Column(data["varied"] or "", "right"), *(Column(names[name], "right") for name in known)]
    rows: list[list[str | Text]] = [
        [heading, *(_interval(recipe["measures"].get(name), width >= NARROW) for name in known)]
        for heading, recipe in zip(_headings(data), recipes, strict=False)
    ]
    yield table(columns, rows, width)
    texts = len(recipes[0]["texts"])
    if texts > 1:
        yield Text(f"means of {texts} texts" + (", with 95 % intervals" if width >= NARROW else ""), "dim")


def _interval(found: Mapping[str, Any] | None, wide: bool) -> Text:
    if found is None:
        return Text("–")
    mean = number(found["mean"])
    if found["low"] is None or not wide:
        return Text(mean)
    return Text.assemble(mean, "\n", (f"{number(found['low'])} – {number(found['high'])}", "dim"))
