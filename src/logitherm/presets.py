"""The recipes that ship with Logitherm, as data; presets.toml holds them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Preset:
    """A named recipe that ships with Logitherm, and when to use it."""

    name: str
    recipe: str
    about: str


@cache
def presets() -> dict[str, Preset]:
    """The recipes that ship with Logitherm, by name."""
    data = tomllib.loads(files("logitherm").joinpath("presets.toml").read_text("utf-8"))
    return {name: Preset(name, **entry) for name, entry in data.items()}
