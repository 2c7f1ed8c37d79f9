"""Remarks as HTML: the chain, what there is to say about it, and what each rule did in the steps of a trace file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logitherm.show.html import Html, drawing, figure_cell, table, tag
from logitherm.show.remarks import summary

LEGEND = "Acted: changed a probability or removed a token. Removed: tokens a step, on average."


def remarks_html(remarks: Mapping[str, Any]) -> Html:
    """Remarks (`Remarks.to_dict()`) as one element; `page` and `embedded` give it its style."""
    return drawing(
        tag("h2", "Remarks on a recipe"),
        tag("p", tag("code", remarks["recipe"] or "no rules")),
        tag("p", tag("strong", summary(remarks))),
        *([_remarks(remarks)] if remarks["remarks"] else []),
        *([_acted(remarks)] if remarks["steps"] is not None else []),
    )


def _remarks(remarks: Mapping[str, Any]) -> Html:
    rows = []
    for remark in remarks["remarks"]:
        first, *others = (f"{rule['index'] + 1} {rule['rule']}" for rule in remark["rules"])
        about = [tag("code", first), *(tag("span", "with ", tag("code", o), class_="below faint") for o in others)]
        advice = [] if remark["kind"] == "note" else [tag("span", "→ ", remark["advice"], class_="below")]
        head = tag("th", tag("strong", remark["code"]), scope="row")
        what = tag("td", remark["what"], *advice, class_="wide")
        rows.append(tag("tr", head, tag("td", remark["kind"]), tag("td", *about), what))
    heads = ["remark", "it is", "rule", "what, and → what to do"]
    caption = "Proven follows from the rules for all logits; seen was counted; advice and notes are neither."
    return table(caption, heads, rows, heads)


def _acted(remarks: Mapping[str, Any]) -> Html:
    steps, rows = remarks["steps"], []
    for rule in remarks["acted"]:
        cells = [tag("th", f"{rule['index'] + 1} {rule['rule']}", scope="row")]
        cells += [_share(rule["acted"], steps), figure_cell(rule["removed"]), _share(rule["alone"], steps)]
        rows.append(tag("tr", *cells))
    rough = f" {remarks['summarised']} of {steps} steps keep the largest logits only." if remarks["summarised"] else ""
    return table(f"What each rule did. {LEGEND}{rough}", ["rule", "acted", "removed", "left one token"], rows, {"rule"})


def _share(count: int, steps: int) -> Html:
    return tag("td", f"{count} of {steps}", class_="number")
