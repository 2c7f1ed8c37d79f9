"""Figures, with matplotlib: the look that they share, the text that their font can draw, and how they are written.

matplotlib is an extra, imported when a figure is asked for. Figures stand alone: no window, no pyplot, no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from logitherm.errors import BackendUnavailable
from logitherm.show.table import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
"""The endings of files that a figure can be written to."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so a figure looks the same everywhere."""

TITLE = 26
"""Characters of a title's line that fit above a panel."""


@dataclass(frozen=True)
class Look:
    """The colours of a figure; safe for colour-blind eyes (Okabe and Ito's), and told apart by lightness too.

    shades:             for the likeliest other tokens of a step, in their order.
    probability, logit: what lies behind such numbers, as on the HTML page; `most` of it at the largest.
    """

    paper: str
    ink: str
    faint: str
    line: str
    bar: str
    chosen: str
    shades: tuple[str, ...]
    probability: str
    logit: str
    most: float


LIGHT = Look(
    paper="#ffffff",
    ink="#1f2328",
    faint="#59636e",
    line="#d1d9e0",
    bar="#0072b2",
    chosen="#d55e00",
    shades=("#0072b2", "#4b9fd0", "#86c0e0", "#b4d8ec", "#d6eaf5"),
    probability="#0072b2",
    logit="#e69f00",
    most=0.6,
)
DARK = Look(
    paper="#0d1117",
    ink="#e6edf3",
    faint="#9198a1",
    line="#3d444d",
    bar="#56b4e9",
    chosen="#e69f00",
    shades=("#56b4e9", "#3e8fbf", "#2d6d94", "#20506e", "#173a50"),
    probability="#1f88e5",
    logit="#c87800",
    most=0.7,
)


def require() -> None:
    """Raise BackendUnavailable where matplotlib is not installed."""
    try:
        import_module("matplotlib")
    except ImportError:
        raise BackendUnavailable("figures need matplotlib: pip install 'logitherm[plot]'") from None


@contextmanager
def looking(dark: bool) -> Iterator[Look]:
    """Set matplotlib to our look, whatever a user's settings are, for as long as a figure is being drawn.

    Raises BackendUnavailable where matplotlib is not installed.
    """
    require()
    from matplotlib import rc_context

    look = DARK if dark else LIGHT
    with rc_context(_settings(look)):
        yield look


def _settings(look: Look) -> dict[Any, Any]:
    """The same look in matplotlib's own words."""
    return {
        **dict.fromkeys(("axes.labelcolor", "xtick.color", "ytick.color"), look.faint),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), look.paper),
        **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.grid"), False),
        **dict.fromkeys(("text.parse_math", "text.usetex"), False),
        **dict.fromkeys(("font.size", "axes.labelsize", "ytick.labelsize"), 9),
        "axes.edgecolor": look.line,
        "axes.linewidth": 0.8,
        "axes.titlesize": 10,
        "font.family": FONT,
        "text.color": look.ink,
        "xtick.labelsize": 8,
    }


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches; its parts make room for each other."""
    from logitherm.show.figure_shown import ShownFigure

    return ShownFigure(figsize=(width, height), layout="constrained")


def finish(figure: Figure) -> Figure:
    """Lay the figure out and settle its ticks while our look holds, or what it is drawn under later changes them."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            axis.set_ticks([at for at in axis.get_ticklocs() if low <= at <= high])
    return figure


def named(text: str | None, token: int) -> str:
    """A token's text in quotes; characters that the font cannot draw are spelt out too."""
    return drawable(visible(text, token))


def drawable(text: str) -> str:
    r"""The text with characters that the font has not (猫, 🐟) spelt out as \u732b, so none turns into an empty box."""
    known = _glyphs()
    return "".join(c if ord(c) in known else c.encode("unicode_escape").decode() for c in text)


@cache
def _glyphs() -> frozenset[int]:
    require()
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def describe(axes: Axes, title: str, note: str) -> None:
    """A title on the left, in lines of TITLE characters at most, and below it a smaller line."""
    axes.set_title(fill(drawable(title), TITLE) + "\n", loc="left", fontweight="bold")
    axes.annotate(  # in points, as far from the axes as the title is
        drawable(note), (0, 1), (0, 5), "axes fraction", "offset points", va="bottom", fontsize=8, alpha=0.85
    )


def write(figure: Figure, path: Path) -> None:
    """Write a figure to a file, in the format that its ending names; the same data gives the same bytes."""
    from matplotlib import rc_context

    undated: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
    with rc_context({"svg.hashsalt": "logitherm", "svg.fonttype": "none"}):
        figure.savefig(path, format=path.suffix.lower().lstrip("."), dpi=160, metadata=undated)
