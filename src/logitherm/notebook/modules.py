"""Several ES modules as one: a widget has one source, and the playground's modules import each other by path."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("logitherm")))
IMPORT = re.compile(r'^import \{[^}]*\} from "(.+)";\n', re.MULTILINE)
STYLE = PACKAGE / "playground" / "static" / "style.css"


def joined(name: str) -> str:
    """The module of this name in `notebook/static` with all that it imports before it, and the style as `STYLE`.

    The names of all top levels share one scope; two that are the same would be a syntax error in the browser.
    """
    found: dict[Path, str] = {}
    _collect(PACKAGE / "notebook" / "static" / f"{name}.js", found)
    return f"const STYLE = {json.dumps(STYLE.read_text('utf-8'))};\n" + "\n".join(found.values())


def _collect(path: Path, found: dict[Path, str]) -> None:
    source = path.read_text("utf-8")
    for other in IMPORT.findall(source):
        below = (path.parent / other).resolve()
        if below not in found:
            _collect(below, found)
    found[path] = re.sub(r"^export (?!default)", "", IMPORT.sub("", source), flags=re.MULTILINE)
