"""A trace as HTML: its stages, the coloured table of its leading tokens, and the ruler on which the draw landed."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from logitherm.show.conditions import conditions
from logitherm.show.html import (
    Html,
    count_cell,
    drawing,
    figure_cell,
    gone_cell,
    legend,
    table,
    tag,
    token,
    unseen,
)
from logitherm.show.table import number


def trace_html(trace: Mapping[str, Any]) -> Html:
    """The trace of one step (`Trace.to_dict()`) as one element; `page` and `embedded` give it its style."""
    draw = trace["draw"]
    return drawing(
        tag("h2", "Why ", token(draw["text"], draw["id"]), " was drawn"),
        tag("p", tag("code", trace["recipe"])),
        tag("p", f"seed {trace['seed']}, token {trace['position'] + 1}", class_="faint"),
        _stages(trace),
        _tokens(trace),
        legend("l", "lowest", "highest", "logits, from the lowest to the highest listed"),
        legend("p", "0", number(_largest(trace)), "probabilities"),
        _ruler(draw),
    )


def _stages(trace: Mapping[str, Any]) -> Html:
    heat = any(stage["temperature"] is not None for stage in trace["stages"])
    heads = ["stage", "kept", "removed", "their mass", "entropy, nats", "e^entropy"] + ["T"] * heat
    rows = []
    for place, s in enumerate(trace["stages"]):
        cells = [tag("th", f"{place} {s['stage']}" if place else s["stage"], scope="row"), count_cell(s["kept"])]
        cells += [count_cell(s["removed"] or None), figure_cell(s["removed_mass"] if s["removed"] else None)]
        cells += [figure_cell(s["entropy"]), figure_cell(exp(s["entropy"]))]
        rows.append(tag("tr", *cells, *([figure_cell(s["temperature"])] if heat else [])))
    return table("What each rule kept and removed. The mass is of what the rule received.", heads, rows, {"stage"})


def _tokens(trace: Mapping[str, Any]) -> Html:
    """A row a token: its logit, its probability at every stage, and what keeps it or removed it."""
    stages = trace["stages"]
    after = [f"{place} {stage['stage']}" for place, stage in enumerate(stages)][1:]
    heads = ["token", "logit", "p, raw", *(f"p, {label}" for label in after), "stays while …"]
    rows = [_token(trace, index) for index in range(len(stages[0]["tokens"]))]
    caption = "The leading tokens at each stage. ▶ marks the drawn one, ✗ where a rule removed one."
    return table(caption, heads, rows, {heads[0], heads[-1]})


def _token(trace: Mapping[str, Any], index: int) -> Html:
    cells = [stage["tokens"][index] for stage in trace["stages"]]
    raw, drawn = cells[0], cells[0]["id"] == trace["draw"]["id"]
    remover = next((s for s, c in zip(trace["stages"], cells, strict=True) if c["logit"] is None), None)
    mark = ["▶ ", unseen("drawn: ")] if drawn else []
    head = tag("th", *mark, token(raw["text"], raw["id"], remover is not None), scope="row")
    why = conditions(trace, raw["id"], remover is not None)
    if remover:
        why = f"{_removed(remover)}; {why.removeprefix('✗ ')}" if why != "✗" else _removed(remover)
    probabilities = [_probability(trace, stage, c, remover) for stage, c in zip(trace["stages"], cells, strict=True)]
    style = "drawn" if drawn else "gone" if remover else None
    return tag("tr", head, _logit(trace, raw["logit"]), *probabilities, tag("td", why, class_="wide"), class_=style)


def _logit(trace: Mapping[str, Any], logit: float | None) -> Html:
    listed = [t["logit"] for t in trace["stages"][0]["tokens"] if t["logit"] is not None]
    if logit is None:
        return gone_cell("removed before any rule")
    low, high = min(listed), max(listed)
    return figure_cell(logit, (logit - low) / (high - low) if high > low else 1.0, "l")


def _probability(
    trace: Mapping[str, Any], stage: Mapping[str, Any], here: Mapping[str, Any], remover: Mapping[str, Any] | None
) -> Html:
    if remover and here["logit"] is None:
        return gone_cell(_removed(remover))
    return figure_cell(here["p"], here["p"] / _largest(trace), title=f"{stage['stage']}: logit {number(here['logit'])}")


def _removed(stage: Mapping[str, Any]) -> str:
    if not stage["rule"]:
        return "removed before any rule"
    return f"removed by {stage['rule']} (with {number(stage['removed_mass'])} of the mass)"


def _largest(trace: Mapping[str, Any]) -> float:
    """The largest probability listed, so that all stages share one scale."""
    return max((t["p"] for stage in trace["stages"] for t in stage["tokens"]), default=1.0) or 1.0


def _ruler(draw: Mapping[str, Any]) -> Html:
    low, width = 100 * draw["low"], 100 * (draw["high"] - draw["low"])
    words = f"u = {draw['u']:.6f} lands in [{draw['low']:.6f}, {draw['high']:.6f})"
    line = tag(
        "div",
        tag("i", class_="line"),
        tag("span", "0"),
        tag("span", "1"),
        tag("i", class_="share", style=f"left:{low:.3f}%;width:{width:.3f}%"),
        tag("i", class_="mark", style=f"left:{100 * draw['u']:.3f}%"),
        class_="ruler",
        role="img",
        aria_label=f"The line from 0 to 1: {words}",
    )
    shown = tag("strong", token(draw["text"], draw["id"]))
    return tag("section", line, tag("p", f"{words} → ", shown, f", drawn with p = {number(draw['p'])}"))
