"""A replay as HTML: the text coloured by its probabilities under the other recipe, and a row a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logitherm.show.html import (
    Html,
    amount,
    count_cell,
    drawing,
    figure_cell,
    gone_cell,
    joined,
    legend,
    table,
    tag,
    token,
)
from logitherm.show.replay import ROUGH, draws, summary
from logitherm.show.table import number, printable


def replay_html(replay: Mapping[str, Any]) -> Html:
    """A replay (`Replay.to_dict()`) as one element; `page` and `embedded` give it its style."""
    tokens = replay["tokens"]
    rough = not all(t["exact"] for t in tokens)
    prompt = tag("span", replay["prompt"] + ("\n\n" if replay["chat"] else ""), class_="faint")
    return drawing(
        tag("h2", "This text under another recipe"),
        tag("p", "drawn by ", tag("code", replay["recipe"])),
        tag("p", "now ", tag("code", replay["other"])),
        tag("p", f"seed {replay['seed']}", class_="faint"),
        legend("p", "0", "1", "Probability of each token now; struck through where it would be impossible"),
        tag("p", prompt, joined(map(_word, tokens)), class_="text strip", dir="auto"),
        tag("p", summary(replay)),
        _tokens(replay),
        *([tag("p", ROUGH, class_="faint note")] if rough else []),
    )


def _word(t: Mapping[str, Any]) -> Html:
    shown = [printable(t["text"], breaks=False), "\n" * t["text"].count("\n")]
    words = tag("s", *shown) if t["fate"] == "impossible" else joined(shown)
    about = f"{t['fate']}: p = {number(t['old_p'])} then, {number(t['p'])} now; now draws {draws(t)}"
    return tag("span", words, class_="token p", style=amount(t["p"]), title=about)


def _tokens(replay: Mapping[str, Any]) -> Html:
    heads = ["step", "token", "p then", "p now", "it is", "kept now", "the same u draws now"]
    rows = []
    for t in replay["tokens"]:
        gone, parts = t["fate"] == "impossible", t["drawn"] != t["id"]
        step = tag("th", f"{t['position'] + 1}", scope="row", class_="number")
        cells = [step, tag("td", token(t["text"], t["id"], gone)), figure_cell(t["old_p"], t["old_p"])]
        cells.append(gone_cell(f"removed by {replay['other']}") if gone else figure_cell(t["p"], t["p"]))
        now = _drawn(t) if parts else tag("td", "the same", class_="faint")
        rows.append(tag("tr", *cells, tag("td", t["fate"]), count_cell(t["kept"]), now))
    return table("Each token, after the same tokens before it.", heads, rows, {"token", "it is", heads[-1]})


def _drawn(t: Mapping[str, Any]) -> Html:
    near = "" if t["exact"] else "~"
    return tag("td", near, draws(t) if t["drawn"] is None else token(t["drawn_text"], t["drawn"]))
