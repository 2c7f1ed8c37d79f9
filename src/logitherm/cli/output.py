"""The files that a command writes besides what it prints: an HTML page, a figure. Refused before any work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logitherm.errors import OutputError
from logitherm.paths import unwritable
from logitherm.show.figure import FORMATS, require
from logitherm.show.figure import write as write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGES = (".html", ".htm")

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Also write a page that opens offline and runs no script.", show_default=False),
]
FigureOption = Annotated[
    Path | None,
    typer.Option("--figure", help=f"Also write a figure: {', '.join(FORMATS)}. Needs matplotlib.", show_default=False),
]


def check(html: Path | None, figure: Path | None) -> None:
    """Refuse files that could not be written at the end: OutputError, or BackendUnavailable without matplotlib."""
    if html is not None:
        _check("--html", html, PAGES)
    if figure is not None:
        _check("--figure", figure, FORMATS)
        require()


def _check(option: str, path: Path, endings: tuple[str, ...]) -> None:
    if path.suffix.lower() not in endings:
        raise OutputError(f"{option} must end in {' or '.join(endings)}; got {path}")
    if why := unwritable(path):
        raise OutputError(f"{option}: cannot write {path}: {why}")


def write(html: Path | None, page: Callable[[], str], figure: Path | None, plot: Callable[[], Figure]) -> None:
    """Write the files that were asked for over what is there, and name each on standard error."""
    if html is not None:
        html.write_text(page(), encoding="utf-8")
    if figure is not None:
        write_figure(plot(), figure)
    for path in filter(None, (html, figure)):
        print(f"wrote {path}", file=sys.stderr)
