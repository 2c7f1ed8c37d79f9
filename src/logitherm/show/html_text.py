"""A text as HTML: three strips in which probability, entropy and temperature colour the words, and a table of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from logitherm.show.html import Html, amount, count_cell, drawing, figure_cell, joined, legend, table, tag, token
from logitherm.show.table import number, printable

Token = Mapping[str, Any]


def text_html(text: Mapping[str, Any]) -> Html:
    """A text (`Generation.to_dict()`) as one element; without details it is the words and how they came about alone.

    `page` and `embedded` give it its style.
    """
    tokens = text["tokens"]
    head = [tag("h2", "How this text was drawn"), tag("p", tag("code", text["recipe"]))]
    ended = f"seed {text['seed']}, {len(tokens)} token{'s' * (len(tokens) != 1)}, stopped: {text['stop']}"
    head.append(tag("p", ended + (f" ({text['error']})" if text.get("error") else ""), class_="faint"))
    if not tokens or any(t["final_p"] is None for t in tokens):
        words = [tag("span", _lead(text), class_="faint"), text["text"]]
        return drawing(*head, tag("p", *words, class_="text strip", dir="auto"))
    return drawing(*head, _chances(text), _entropies(tokens), _temperatures(tokens), _steps(tokens))


def _lead(text: Mapping[str, Any]) -> str:
    """The prompt, in a chat on lines of its own."""
    return str(text["prompt"]) + ("\n\n" if text["chat"] else "")


def _chances(text: Mapping[str, Any]) -> Html:
    """The prompt and the words, each with its step's numbers in a box that appears where a pointer or finger rests."""
    tokens = text["tokens"]
    words = _strip(tokens, lambda t: t["final_p"], "p", _tip)
    prompt = tag("span", _lead(text), class_="faint")
    strip = tag("p", prompt, words, class_="text strip", dir="auto")
    return tag("section", legend("p", "0", "1", "Probability with which each token was drawn"), strip)


def _entropies(tokens: Sequence[Token]) -> Html:
    most = max(t["raw_entropy"] for t in tokens)
    words = _strip(tokens, lambda t: t["raw_entropy"] / most if most else 0.0, "l", _entropy_title)
    strip = tag("p", words, class_="text strip", dir="auto")
    return tag("section", legend("l", "0", f"{number(most)} nats", "Entropy before any rule"), strip)


def _temperatures(tokens: Sequence[Token]) -> Html:
    heats = [t["temperature"] for t in tokens]
    low, high = min(heats), max(heats)
    if low == high:
        return tag("p", f"Temperature: {number(low)} at every step", class_="faint note")
    words = _strip(tokens, lambda t: (t["temperature"] - low) / (high - low), "l", _heat_title)
    strip = tag("p", words, class_="text strip", dir="auto")
    return tag("section", legend("l", number(low), number(high), "Temperature"), strip)


def _strip(
    tokens: Sequence[Token], share: Callable[[Token], float], hue: str, about: Callable[[Token], str | Html]
) -> Html:
    """The words one after another, each as coloured as its share of 1; `about` is a title, or an element inside."""
    return joined(_word(t, amount(share(t)), hue, about(t)) for t in tokens)


def _word(t: Token, style: str, hue: str, about: str | Html) -> Html:
    """A token of a strip. A line break is spelt out and then made."""
    shown = [printable(t["text"], breaks=False), "\n" * t["text"].count("\n")]
    if isinstance(about, Html):
        return tag("span", *shown, about, class_=f"token {hue}", style=style, tabindex=0)
    return tag("span", *shown, class_=f"token {hue}", style=style, title=about)


def _tip(t: Token) -> Html:
    heat, kept = number(t["temperature"]), f"{t['kept']:,}"
    words = f" p = {number(t['final_p'])} (raw {number(t['raw_p'])}), T = {heat}, {_entropy_title(t)}, {kept} kept"
    return tag(
        "span", tag("strong", token(t["text"], t["id"])), words, tag("span", _leading(t), class_="below"), class_="tip"
    )


def _entropy_title(t: Token) -> str:
    return f"entropy {number(t['raw_entropy'])} → {number(t['final_entropy'])} nats"


def _heat_title(t: Token) -> str:
    return f"T = {number(t['temperature'])}"


def _leading(t: Token) -> Html:
    """The leading tokens of a step, each as coloured as it is likely."""
    chips = []
    for other in t["leading"]:
        raw = f"raw probability {number(other['raw_p'])}"
        words = [token(other["text"], other["id"]), f" {number(other['final_p'])}"]
        mark = "▶ " if other["id"] == t["id"] else ""
        chips.append(tag("span", mark, *words, class_="chip p", style=amount(other["final_p"]), title=raw))
    return joined(chips)


def _steps(tokens: Sequence[Token]) -> Html:
    heads = ["step", "token", "p, final", "p, raw", "T", "entropy, raw", "entropy, final", "kept"]
    heads.append("leading tokens, p final (▶ drawn)")
    rows = []
    for place, t in enumerate(tokens, 1):
        cells = [tag("th", str(place), scope="row", class_="number"), tag("td", token(t["text"], t["id"]))]
        cells += [figure_cell(t["final_p"], t["final_p"]), figure_cell(t["raw_p"], t["raw_p"])]
        cells += [figure_cell(t[key]) for key in ("temperature", "raw_entropy", "final_entropy")]
        rows.append(tag("tr", *cells, count_cell(t["kept"]), tag("td", _leading(t), class_="wide")))
    caption = "Each step: the token drawn, and what else could have been. Entropies in nats."
    return table(caption, heads, rows, {heads[1], heads[-1]})
