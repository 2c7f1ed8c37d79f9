"""Short lists as HTML: what came of a verification, what a trace file holds, the presets, a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from logitherm.show.html import Html, count_cell, drawing, table, tag


def verification_html(found: Mapping[str, Any], said: str) -> Html:
    """A verification (`Verification.to_dict()`) as one element. said: its verdict in a line."""
    heads = ["line", "text", "token", "about", "what is wrong"]
    rows = []
    for f in found["findings"]:
        cells = [tag("th", f"{f['line']}", scope="row", class_="number"), count_cell(f["text"]), count_cell(f["token"])]
        rows.append(tag("tr", *cells, tag("td", f["what"]), tag("td", f["message"], class_="wide")))
    caption = "Where the file is not what it says. Texts are counted from 0, tokens from 1."
    return drawing(
        tag("h2", "A trace file, derived again"),
        tag("p", tag("code", found["recipe"])),
        _of_model(found["model"], found["fingerprint"]),
        tag("p", tag("strong", "✓ " if found["right"] else "✗ ", said)),
        *([] if found["finished"] else [tag("p", "The file breaks off before its end.")]),
        *([table(caption, heads, rows, {"about", heads[-1]})] if rows else []),
    )


def recording_html(recording: Mapping[str, Any]) -> Html:
    """What a trace file holds (`Recording.summary()`) as one element."""
    rows = []
    for place, text in enumerate(recording["texts"]):
        cells = [tag("th", f"{place}", scope="row", class_="number"), tag("td", text["prompt"], class_="wide")]
        cells += [tag("td", f"{text['seed']}", class_="number"), count_cell(text["tokens"])]
        rows.append(tag("tr", *cells, tag("td", text["stop"] or "–")))
    return drawing(
        tag("h2", "A trace file"),
        tag("p", tag("code", recording["recipe"])),
        _of_model(recording["model"], recording["fingerprint"]),
        table("Its texts.", ["text", "prompt", "seed", "tokens", "stopped"], rows, {"prompt", "stopped"}),
    )


def presets_html(presets: Iterable[Mapping[str, str]]) -> Html:
    """Presets (name, recipe, about) as one element."""
    rows = []
    for p in presets:
        cells = [tag("td", tag("code", p["recipe"])), tag("td", p["about"], class_="wide")]
        rows.append(tag("tr", tag("th", p["name"], scope="row"), *cells))
    heads = ["preset", "recipe", "when"]
    return drawing(tag("h2", "Recipes that ship with Logitherm"), table("By name.", heads, rows, heads))


def plan_html(verb: str, lines: Iterable[tuple[str, str, str]]) -> Html:
    """How a chain runs in `Sampler.step` or `Sampler.apply`, as one element; each line: what runs, which rules, why."""
    rows = []
    for what, rules, why in lines:
        cells = [tag("td", tag("code", rules)), tag("td", why, class_="wide")]
        rows.append(tag("tr", tag("th", what, scope="row"), *cells))
    heads = ["runs as", "rules", "since"]
    return drawing(tag("h2", f"How this recipe runs in {verb}"), table("In order.", heads, rows, heads))


def _of_model(name: str, fingerprint: str | None) -> Html:
    return tag("p", f"model {name}" + (f", {fingerprint[:16]}…" if fingerprint else ""), class_="faint")
