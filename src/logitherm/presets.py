"""The recipes that ship with Logitherm, as data; presets.toml holds them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from logitherm.show.shown import Paged, Printed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from logitherm.show.html import Html


@dataclass(frozen=True)
class Preset:
    """A named recipe that ships with Logitherm, and when to use it."""

    name: str
    recipe: str
    about: str


class Presets(Printed, Paged, dict[str, Preset]):
    """Presets by name. Prints as a table."""

    def _tables(self, width: int) -> Iterator[RenderableType]:
        from logitherm.show.table import Column, table

        columns = [Column("preset"), Column("recipe, and when", fit="wrap")]
        yield table(columns, [[p.name, f"{p.recipe}\n{p.about}"] for p in self.values()], width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_lists import presets_html

        return "Presets", presets_html(asdict(preset) for preset in self.values())


@cache
def presets() -> Presets:
    """The recipes that ship with Logitherm, by name."""
    data = tomllib.loads(files("logitherm").joinpath("presets.toml").read_text("utf-8"))
    return Presets({name: Preset(name, **entry) for name, entry in data.items()})
