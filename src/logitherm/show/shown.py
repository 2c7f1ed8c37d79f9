"""What every result can do besides being plain data: print itself, be a page, be a figure.

The drawings are imported when they are asked for, so a result costs nothing to make.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from logitherm.show.html import Html


class Printed(ABC):
    """A result that prints as tables, as wide as the terminal."""

    @abstractmethod
    def _tables(self, width: int) -> Iterator[RenderableType]:
        """The tables, to fit into so many columns."""

    def __str__(self) -> str:
        """The tables as plain text."""
        from logitherm.show.table import plain

        return plain(self)

    def __repr__(self) -> str:
        """The same: who asks for it at a prompt wants to look."""
        return str(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._tables(options.max_width)


class Paged(ABC):
    """A result that is a page, and shows itself as one in a notebook."""

    @abstractmethod
    def _html(self) -> tuple[str, Html]:
        """A title, and the drawing as an element."""

    def to_html(self) -> str:
        """A whole page, light or dark as the reader's system is; it runs no script and opens offline."""
        from logitherm.show.html import page

        return page(*self._html())

    def _repr_html_(self) -> str:
        from logitherm.show.html import embedded

        return embedded(self._html()[1])


class Drawn(Paged):
    """A result that is a page and a figure, and plain data."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain data."""

    @abstractmethod
    def _figure(self, dark: bool) -> Figure:
        """The drawing as a figure."""

    def plot(self, dark: bool = False) -> Figure:
        """A matplotlib figure.

        dark: on a dark ground.
        Raises BackendUnavailable without matplotlib, OutputError where there is nothing to draw: a text that was
        generated without details, a replay of no tokens, remarks without the steps of a trace file.
        """
        return self._figure(dark)
