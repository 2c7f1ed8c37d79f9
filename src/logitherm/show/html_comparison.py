"""A comparison of recipes on the same logits as HTML: tokens × recipes in colour, what differs, and the texts."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from logitherm.show.comparison import title
from logitherm.show.html import (
    Html,
    count_cell,
    drawing,
    figure_cell,
    gone_cell,
    joined,
    legend,
    table,
    tag,
    token,
    unseen,
)
from logitherm.show.table import number, printable

SHOWN = 5
"""How many texts of each recipe a page shows."""


def comparison_html(comparison: Mapping[str, Any]) -> Html:
    """Recipes on the same logits, side by side, as one element; `page` and `embedded` give it its style."""
    prompt = comparison["prompt"]
    about = [tag("p", prompt, class_="text", dir="auto")] if prompt else []
    return drawing(
        tag("h2", "The same logits under several recipes"),
        *about,
        tag("p", f"seed {comparison['seed']}", class_="faint"),
        _tokens(comparison),
        legend("p", "0", number(_largest(comparison)), "probabilities"),
        _recipes(comparison),
        *_measures(comparison),
        *_texts(comparison),
    )


def _largest(comparison: Mapping[str, Any]) -> float:
    """The largest probability listed, so that all recipes share one scale."""
    listed = [p for t in comparison["tokens"] for p in (t["raw_p"], *t["final_p"]) if p is not None]
    return max(listed, default=1.0) or 1.0


def _tokens(comparison: Mapping[str, Any]) -> Html:
    most, recipes = _largest(comparison), comparison["recipes"]
    rows = []
    for t in comparison["tokens"]:
        cells = [figure_cell(t["raw_p"], t["raw_p"] / most)]
        for recipe, p in zip(recipes, t["final_p"], strict=True):
            gone = f"removed by {recipe['recipe']}"
            cells.append(gone_cell(gone) if p is None else figure_cell(p, p / most, title=recipe["recipe"]))
        head = tag("th", token(t["text"], t["id"], all(p is None for p in t["final_p"])), scope="row")
        rows.append(tag("tr", head, *cells))
    heads = ["token", "p, raw", *(title(comparison, recipe) for recipe in recipes)]
    return table("Probabilities under each recipe. ✗ marks what it removed.", heads, rows, {"token"})


def _recipes(comparison: Mapping[str, Any]) -> Html:
    recipes = comparison["recipes"]
    heads = ["recipe", "T", "kept", "entropy, nats", "e^entropy", "drawn", "its p"]
    heads += ["only the first keeps", "only this keeps", "KL, nats", "back", "TV", "texts part at token"]
    raw = [tag("th", "raw", scope="row"), figure_cell(None), count_cell(comparison["raw"]["kept"])]
    entropy = comparison["raw"]["entropy"]
    raw += [figure_cell(entropy), figure_cell(exp(entropy)), *[figure_cell(None)] * (len(heads) - 5)]
    pairs = zip(recipes, comparison["differences"], strict=True)
    lines = (_recipe(title(comparison, recipe), recipe, difference) for recipe, difference in pairs)
    rows = [tag("tr", *raw), *lines]
    caption = "The recipes, and how each differs from the first: KL of this from the first, and back."
    return table(caption, heads, rows, {"recipe", "drawn"})


def _recipe(name: str, recipe: Mapping[str, Any], difference: Mapping[str, Any] | None) -> Html:
    cells = [tag("th", name, scope="row", title=recipe["recipe"]), figure_cell(recipe["temperature"])]
    cells += [count_cell(recipe["kept"]), figure_cell(recipe["entropy"]), figure_cell(exp(recipe["entropy"]))]
    drawn = recipe["drawn"]
    cells += [tag("td", token(drawn["text"], drawn["id"])), figure_cell(drawn["final_p"])]
    if difference is None:
        return tag("tr", *cells, tag("td", "the first", colspan=6, class_="faint"))
    cells += [count_cell(difference["only_first"]), count_cell(difference["only_this"])]
    endless = tag("td", "∞", unseen(" infinite"), class_="number")
    cells += [endless if kl is None else figure_cell(kl) for kl in (difference["kl"], difference["kl_back"])]
    parts_at = difference["parts_at"]
    return tag("tr", *cells, figure_cell(difference["tv"]), count_cell(None if parts_at is None else parts_at + 1))


def _measures(comparison: Mapping[str, Any]) -> list[Html]:
    """What was measured on the texts, if anything was: the mean, and the interval it lies in."""
    recipes = comparison["recipes"]
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe["measures"] or {}))
    if not names:
        return []
    rows = []
    for recipe in recipes:
        cells = [tag("td", _measure((recipe["measures"] or {}).get(name)), class_="number") for name in names]
        rows.append(tag("tr", tag("th", title(comparison, recipe), scope="row"), *cells))
    return [table("Measured on the texts: the mean, and the interval around it.", ["recipe", *names], rows, {"recipe"})]


def _measure(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "–"
    if value["low"] is None:
        return number(value["mean"])
    return f"{number(value['mean'])} ({number(value['low'])} to {number(value['high'])})"


def _texts(comparison: Mapping[str, Any]) -> list[Html]:
    """The texts side by side, a row for each seed; where one parts from the first recipe's is marked."""
    recipes, rows = comparison["recipes"], []
    most = max((len(recipe["texts"]) for recipe in recipes), default=0)
    for place in range(min(most, SHOWN)):
        written = [(r, r["texts"][place]) for r in recipes if place < len(r["texts"])]
        first = written[0][1]["text"]
        heads = [_head(title(comparison, r), None if place else r["about"]) for r, _ in written]
        pieces = (_text(head, text, first) for head, (_, text) in zip(heads, written, strict=True))
        rows.append(tag("div", *pieces, class_="texts"))
    note = tag("p", "Marked: the first character at which a text parts from the first recipe's.", class_="faint note")
    more = [tag("p", f"The first {SHOWN} of {most} texts of each.", class_="faint note")] if most > SHOWN else []
    return [*rows, note, *more] if rows else []


def _head(name: str, about: str | None) -> Html:
    """What stands over a text: its recipe, and over the first one when to use it, where a preset says so."""
    said = [tag("p", about, class_="faint note")] if about else []
    return joined([tag("p", tag("strong", name)), *said])


def _text(head: Html, text: Mapping[str, Any], first: str) -> Html:
    words = text["text"]
    pairs = enumerate(zip(first, words, strict=False))
    same = next((place for place, (a, b) in pairs if a != b), min(len(first), len(words)))
    parts: list[str] = [words]
    if words != first:
        parting = printable(words[same : same + 1], breaks=False) or "∎"
        parts = [
            words[:same],
            tag("mark", unseen("parts here: "), parting),
            words[same + (words[same : same + 1] != "\n") :],
        ]
    ended = f"seed {text['seed']}, {len(text['tokens'])} tokens, stopped: {text['stop']}"
    ended += f" ({text['error']})" if text["error"] else ""
    body = tag("p", *parts, class_="text", dir="auto")
    return tag("section", head, body, tag("p", ended, class_="faint note"))
