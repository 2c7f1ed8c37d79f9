"""Tables for the terminal, with Rich: numbers a person can read, bars, and the ruler on which a draw landed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import floor, log10
from typing import Literal, NamedTuple
from unicodedata import category

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

BLOCKS = " ▏▎▍▌▋▊▉█"


def number(x: float | None) -> str:
    """A probability, entropy or temperature in few characters: .2345, 1.234, 6, 123.4, 3.2e-07; a dash for none."""
    if x is None:
        return "–"
    if abs(x) < 1e6 and x == int(x):
        return str(int(x))
    if abs(x) < 1e-4:
        return f"{x:.1e}"
    return f"{x:.4f}".replace("0.", ".", 1) if abs(x) < 1 else f"{x:.3f}" if abs(x) < 100 else f"{x:.4g}"


def bound(x: float, keeps: str) -> str:
    """The limit of a condition, rounded to the side on which the condition still holds: up for ">", down for "<"."""
    if x == int(x) and abs(x) < 1e6:
        return str(int(x))
    digits = 3 - floor(log10(abs(x)))
    direction = ROUND_CEILING if keeps.startswith(">") else ROUND_FLOOR
    for more in (0, 4, 8):  # more digits where the rounded limit is another whole number, such as a p of 1
        rounded = float(Decimal(x).quantize(Decimal(1).scaleb(-digits - more), rounding=direction))
        if rounded != int(rounded) or x > 1:
            break
    text = f"{rounded:.{max(0, digits + more)}f}" if 1e-4 <= abs(x) < 1e5 else f"{rounded:.4g}"
    return text.replace("0.", ".", 1) if text.startswith("0.") else text


def bar(share: float, width: int) -> str:
    """A share of 1 as a bar of block characters, to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


UNSAFE = {"Cc", "Cs"}
"""Unicode categories that a terminal must not get as they are: controls, and halves of surrogate pairs."""

TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows them."""


def printable(text: str, breaks: bool = True) -> str:
    """The text with control characters spelt out, so that a model cannot steer the terminal.

    breaks: leave line breaks and tabs; otherwise they are spelt out too.
    """
    plain = "\n\t" if breaks else ""
    unsafe = (c not in plain and (category(c) in UNSAFE or c in TURNING) for c in text)
    return "".join(c.encode("unicode_escape").decode() if bad else c for c, bad in zip(text, unsafe, strict=True))


def visible(text: str | None, token: int) -> str:
    """A token's text in quotes, with what cannot be seen spelt out; its id where it has no text."""
    if text is None:
        return f"#{token}"
    shown = printable(text, breaks=False)
    return f"“{shown}”" if len(shown) <= 24 else f"“{shown[:23]}…”"


def plain(shown: RenderableType) -> str:
    """What Rich would print, as text of the terminal's width without colours."""
    # whatever it runs in: a notebook would show an empty output too, and a terminal would get its styles
    console = Console(highlight=False, no_color=True, force_jupyter=False, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


NARROW = 70
"""Below this many cells a terminal gets fewer, shorter columns."""


class Column(NamedTuple):
    """A column of a table.

    fit:  "whole" keeps its width; "cut" (with …) and "wrap" (in lines) share what is left.
    rank: columns of the highest rank are left out first where the table is too wide; those of 0 never are.
    """

    heading: str
    side: Literal["left", "right"] = "left"
    fit: Literal["whole", "cut", "wrap"] = "whole"
    rank: int = 0


GAP = 2
"""Blank cells between columns."""


LEAST = 8
"""An elastic column gets so many cells at least."""


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], width: int) -> Table:
    """A plain table that fits into `width` cells; a row's cells are text, styled or not."""
    lines = [list(row) for row in rows]
    needs = [max(_cells(t) for t in [c.heading, *(line[i] for line in lines)]) for i, c in enumerate(columns)]
    rank = max((c.rank for c in columns), default=0)
    if rank and GAP * (len(columns) - 1) + sum(_least(n, c) for n, c in zip(needs, columns, strict=True)) > width:
        kept = [i for i, c in enumerate(columns) if c.rank < rank]
        return table([columns[i] for i in kept], [[line[i] for i in kept] for line in lines], width)
    elastic = [i for i, c in enumerate(columns) if c.fit != "whole"]
    left = width - GAP * (len(columns) - 1) - sum(n for i, n in enumerate(needs) if i not in elastic)
    for place, i in enumerate(
        sorted(elastic, key=lambda i: needs[i])
    ):  # short ones take what they need, long ones share
        needs[i] = max(LEAST, min(needs[i], left // (len(elastic) - place)))
        left -= needs[i]
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for c, need in zip(columns, needs, strict=True):
        grid.add_column(c.heading, justify=c.side, width=need, no_wrap=c.fit != "wrap", overflow="ellipsis")
    for line in lines:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in line))  # data is no markup
    return grid


def _least(need: int, column: Column) -> int:
    return need if column.fit == "whole" else min(need, LEAST)


def _cells(text: str | Text) -> int:
    return max(map(cell_len, str(text).split("\n")))


def ruler(u: float, low: float, high: float, width: int) -> Text:
    """The line from 0 to 1 with the drawn token's share in bold and a mark where u fell."""
    cells = max(10, width - cell_len("0  1"))
    start, end, mark = (min(cells - 1, int(x * cells)) for x in (low, high, u))
    line = Text.assemble(("0 ", "dim"))
    for i in range(cells):
        inside = start <= i <= max(start, end if i == mark else end - 1)
        line.append("▲" if i == mark else "━" if inside else "─", style="bold green" if inside or i == mark else "dim")
    return line.append(" 1", style="dim")
