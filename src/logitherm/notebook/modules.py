"""Several ES modules as one: a widget has one source, and the playground's modules import each other by path."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("logitherm")))
STYLE = PACKAGE / "playground" / "static" / "style.css"

IMPORT = re.compile(r'^import (\{[^}]*\}) from "(.+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)


def joined(name: str) -> str:
    """The module of this name in `notebook/static` with all that it imports before it, and the style as `STYLE`.

    Each keeps its own scope: it becomes a function that gives what the module exports.
    """
    entry = PACKAGE / "notebook" / "static" / f"{name}.js"
    found: dict[Path, str] = {}
    _collect(entry, found)
    below = [_scoped(i, source) for i, source in enumerate([*found.values()][:-1])]
    return f"const STYLE = {json.dumps(STYLE.read_text('utf-8'))};\n" + "\n".join([*below, found[entry]])


def _collect(path: Path, found: dict[Path, str]) -> None:
    """A module and what it imports, each after what it needs; imports are taken from the others by their place."""

    def taken(statement: re.Match[str]) -> str:
        names, other = statement[1].replace(" as ", ": "), (path.parent / statement[2]).resolve()
        if other not in found:
            _collect(other, found)
        return f"const {names} = module{[*found].index(other)};"

    source = IMPORT.sub(taken, path.read_text("utf-8"))
    found[path] = source


def _scoped(place: int, source: str) -> str:
    names = ", ".join(found[2] for found in EXPORT.finditer(source))
    body = EXPORT.sub(r"\1", source)
    return f"const module{place} = (() => {{\n{body}\nreturn {{ {names} }};\n}})();"
