"""Models by name or folder. Each kind lives in its own file and is imported when it is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import NamedTuple

from logitherm.errors import BackendUnavailable, ModelError, RecipeError
from logitherm.model import Model

DEFAULT = "nutshell"
CLOSE = 0.8
"""How like a name of ours another name may be, between 0 and 1, before it counts as a misspelt one."""


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


def load_model(name: str | Path | None = None, *, dtype: str = "auto", device: str = "auto") -> Model:
    """A model by name or folder; the same object when asked again.

    name:   "nutshell" (the default, shipped with Logitherm), "toy" (no weights), a folder made by training/export.py,
            a folder in the Hugging Face layout, or a Hugging Face name such as "gpt2", which transformers finds in its
            cache or on the hub.
    dtype:  for Hugging Face models, what to compute in: "bf16", "fp16", "fp32", or "auto", as the weights are stored.
    device: for Hugging Face models, "cpu", "cuda", "cuda:1", "mps", or "auto", a GPU if there is one.
    Raises ModelError if there is no such model, BackendUnavailable if a package or device that it needs is missing,
    RecipeError for a dtype or device that is none, or that the model does not take.
    """
    text = DEFAULT if name is None else str(name)
    known = text in [k.name for k in KNOWN]
    return _load(str(Path(text).resolve()) if not known and Path(text).is_dir() else text, dtype, device)


@cache
def _load(name: str, dtype: str, device: str) -> Model:
    if _hugging_face(name):
        try:
            from logitherm.models.transformers import TransformersModel
        except ModuleNotFoundError as error:
            raise BackendUnavailable(
                f"the model {name!r} needs {error.name}: pip install 'logitherm[transformers]'"
            ) from error
        return TransformersModel(name, dtype, device)
    for parameter, value in (("dtype", dtype), ("device", device)):
        if value != "auto":
            raise RecipeError(f"{parameter} is for Hugging Face models; {name!r} takes none, got {value!r}")
    if name == "toy":
        from logitherm.models.toy import Toy

        return Toy()
    from logitherm.models.onnx import NUTSHELL, OnnxModel

    return OnnxModel(NUTSHELL if name == DEFAULT else Path(name))


def _hugging_face(name: str) -> bool:
    """Whether transformers is to load this; ModelError if it can be no model at all."""
    known = [k.name for k in KNOWN]
    if name in known:
        return False
    if Path(name).is_dir():
        return (Path(name) / "config.json").is_file() and not (Path(name) / "model.onnx").is_file()
    if Path(name).is_file():
        raise ModelError(f"a model is a name or a folder; {name!r} is a file")
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"there is no folder {name!r}")
    if get_close_matches(name, known, cutoff=CLOSE):  # nobody should wait for a hub to hear of a slip of the finger
        raise ModelError(
            f"there is no model {name!r}; known are {', '.join(known)}, folders made by training/export.py or in the "
            "Hugging Face layout, and Hugging Face names"
        )
    return True
