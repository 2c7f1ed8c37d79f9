"""HTML: elements whose text is inert by construction, and the page around them. No script, and nothing is fetched.

A drawing is one element of class "logitherm" to which alone the style applies, so it leaks into no notebook.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from logitherm.show.table import number, printable, visible

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a page may load: its own style and pictures inside itself."""

AROUND = """\
body { margin: 0; background: #ffffff; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; } }
"""
"""The style of what lies around the drawings of a page; the paper's colours stand in style.css too."""


class Html(str):
    """Markup that is safe to write as it is; any other text is escaped."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: str | int | None) -> Html:
    """An element. In text and attributes, markup is escaped and what cannot be seen is spelt out; Html stays as it is.

    attributes: `class_` is written class, `aria_label` aria-label; None is left out.
    """
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    written = "".join(f' {key}="{escape(printable(str(value)))}"' for key, value in given)
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def joined(content: Iterable[str]) -> Html:
    """Pieces one after another; those that are no Html are escaped."""
    return Html("".join(c if isinstance(c, Html) else escape(printable(c), quote=False) for c in content))


def drawing(*content: str) -> Html:
    """The element that holds a drawing. It brings no style: see `embedded` and `page`."""
    return tag("div", *content, class_="logitherm")


def embedded(fragment: Html) -> Html:
    """A drawing that brings its style along, for a notebook or another page."""
    return Html(f"<style>\n{_style()}</style>\n{fragment}")


def page(title: str, *fragments: Html) -> str:
    """A whole document of one drawing or several. It runs no script and fetches nothing: it opens offline, for ever."""
    head = (
        Html('<meta charset="utf-8">\n'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        Html('<meta name="color-scheme" content="light dark">\n'),
        tag("title", title),
        Html(f"\n<style>\n{AROUND}{_style()}</style>"),
    )
    body = tag("body", *(joined([fragment, Html("\n")]) for fragment in fragments))
    return f'<!DOCTYPE html>\n<html lang="en">\n{tag("head", *head)}\n{body}\n</html>\n'


@cache
def _style() -> str:
    return files("logitherm.show").joinpath("style.css").read_text(encoding="utf-8")


def table(caption: str, heads: Sequence[str], rows: Iterable[Html], words: Container[str] = ()) -> Html:
    """A table in a box of its own, in which it scrolls where it is wider than the page.

    words: the heads that stand over words, and on their left; the others stand over numbers.
    """
    columns = (tag("th", head, scope="col", class_=None if head in words else "number") for head in heads)
    lines = [joined([row, Html("\n")]) for row in rows]
    whole = tag(
        "table",
        tag("caption", tag("span", caption)),
        tag("thead", tag("tr", *columns)),
        Html("\n"),
        tag("tbody", *lines),
    )
    name = caption.partition(".")[0]
    return tag("div", whole, class_="box", tabindex=0, role="region", aria_label=name)


def figure_cell(x: float | None, tint: float | None = None, hue: str = "p", title: str | None = None) -> Html:
    """A table's cell with a number, as precise as in the terminal.

    tint: how much colour lies behind it, in [0, 1]; None is no colour. hue: "p" (blue) or "l" (orange).
    """
    if tint is None:
        return tag("td", number(x), class_="number", title=title)
    return tag("td", number(x), class_=f"number {hue}", style=amount(tint), title=title)


def count_cell(n: int | None) -> Html:
    """A table's cell with a whole number; a dash for none."""
    return tag("td", "–" if n is None else f"{n:,}", class_="number")


def gone_cell(title: str) -> Html:
    """A table's cell of a token that is no longer there."""
    return tag("td", "✗", unseen(" removed"), class_="number gone", title=title)


def amount(tint: float) -> str:
    """The style of an element with so much colour behind it, from 0 (none) to 1."""
    return f"--x:{max(0.0, min(1.0, tint)):.3f}"


def unseen(text: str) -> Html:
    """Words for those who hear the page instead of seeing it."""
    return tag("span", text, class_="unseen")


def token(text: str | None, token_id: int, struck: bool = False) -> Html:
    """A token's text in quotes, kept from turning the direction of what stands beside it; struck through if gone."""
    label = visible(text, token_id)
    quotes = ("", "") if text is None else (label[0], label[-1])
    inner = label if text is None else label[1:-1]
    whole = repr(text) if inner.endswith("…") else None
    shown = joined([quotes[0], tag("bdi", inner, title=whole), quotes[1]])
    return tag("s", shown) if struck else shown


def legend(hue: str, low: str, high: str, what: str) -> Html:
    """What the colours of a drawing mean."""
    return tag("p", f"{what}: {low}", tag("i", class_=f"legend {hue}"), high, class_="faint note")
