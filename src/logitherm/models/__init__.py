"""Models by name or folder. Each kind lives in its own file and is imported when it is asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from logitherm.errors import ModelError
from logitherm.model import Model

DEFAULT = "nutshell"


class Known(NamedTuple):
    """A model that ships with Logitherm."""

    name: str
    about: str


KNOWN = (
    Known(
        "nutshell",
        "A small story model in ONNX Runtime, trained by this project on public-domain children's books.",
    ),
    Known(
        "toy",
        "No weights: it counts which byte followed the last four in a short text. For tests and lessons.",
    ),
)


def load_model(name: str | Path | None = None) -> Model:
    """A model by name or folder; the same object when asked again.

    name: "nutshell" (the default, shipped with Logitherm), "toy" (no weights), or a folder made by training/export.py.
    Raises ModelError if there is no such model, BackendUnavailable if a package that it needs is missing.
    """
    return _load(DEFAULT if name is None else str(name))


@cache
def _load(name: str) -> Model:
    if name == "toy":
        from logitherm.models.toy import Toy

        return Toy()
    if name != DEFAULT and not Path(name).is_dir():
        known = ", ".join(k.name for k in KNOWN)
        raise ModelError(f"there is no model {name!r}; known are {known}, and folders made by training/export.py")
    from logitherm.models.onnx import NUTSHELL, OnnxModel

    return OnnxModel(NUTSHELL if name == DEFAULT else Path(name))
