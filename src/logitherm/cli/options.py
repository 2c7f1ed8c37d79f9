"""The options that several commands share, and what they mean together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from logitherm.errors import LogitsError, PromptError, RecipeError
from logitherm.models import KNOWN
from logitherm.presets import presets
from logitherm.recipe import ORDERS, from_params, load_recipe
from logitherm.sampler import Sampler


def _complete_recipe(incomplete: str) -> list[tuple[str, str]]:
    return [(p.name, p.about) for p in presets().values() if p.name.startswith(incomplete)]


def _complete_model(incomplete: str) -> list[tuple[str, str]]:
    return [(m.name, m.about) for m in KNOWN if m.name.startswith(incomplete)]


def _complete_order(incomplete: str) -> list[str]:
    return [order for order in ORDERS if order.startswith(incomplete)]


PromptArgument = Annotated[
    str | None,
    typer.Argument(help="The text to continue; - reads it from standard input.", show_default=False),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Read the prompt from this file.", show_default=False)
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="RECIPE|FILE|PRESET",
        help='Such as "temperature(0.7) | top_p(0.9)". Without one: the preset "default".',
        autocompletion=_complete_recipe,
        show_default=False,
    ),
]
TemperatureOption = Annotated[
    float | None, typer.Option(help="Flat parameter; see --order. 0 is greedy.", show_default=False)
]
TopKOption = Annotated[int | None, typer.Option(help="Flat parameter; 0 is off.", show_default=False)]
TopPOption = Annotated[float | None, typer.Option(help="Flat parameter; 1 is off.", show_default=False)]
MinPOption = Annotated[float | None, typer.Option(help="Flat parameter; 0 is off.", show_default=False)]
OrderOption = Annotated[
    str | None,
    typer.Option(
        help=f"The engine in whose order the flat parameters apply: {', '.join(ORDERS)}. Unless given, transformers.",
        autocompletion=_complete_order,
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="nutshell (the default), toy, a folder made by training/export.py or in the Hugging Face layout, or a "
        "Hugging Face name such as gpt2.",
        autocompletion=_complete_model,
        show_default=False,
    ),
]
LogitsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.npy|NUMBERS",
        help="Take these logits instead of a model's: --logits=1.2,2.0,3.5 or a NumPy file.",
        show_default=False,
    ),
]
TokensOption = Annotated[
    str | None, typer.Option(help="Names for the logits: --tokens=warm,cold,wet", show_default=False)
]
StopOption = Annotated[
    list[str] | None,
    typer.Option(help=r"End a text before this string; \n is a newline. May be repeated.", show_default=False),
]
DtypeOption = Annotated[
    str, typer.Option(help="For Hugging Face models: bf16, fp16, fp32, or auto, as the weights are stored.")
]
DeviceOption = Annotated[
    str, typer.Option(help="For Hugging Face models: cpu, cuda, cuda:1, mps, or auto, a GPU if there is one.")
]
ChatOption = Annotated[
    bool, typer.Option("--chat", help="The prompt is a user's message, put into the model's chat template.")
]
SystemOption = Annotated[
    str | None, typer.Option(help="With --chat, the system message before it.", show_default=False)
]
SeedOption = Annotated[
    int | None,
    typer.Option(help="The same seed draws the same tokens; fresh unless given.", show_default=False),
]
TraceFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A trace file: logitherm generate … --save-trace FILE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read_recipe(
    recipe: str | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    order: str | None,
) -> tuple[Sampler, str]:
    """The sampler that the options ask for, and in words where it comes from."""
    flat = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    given = [f"--{name.replace('_', '-')}" for name, value in flat.items() if value is not None]
    if recipe is not None and (given or order):
        raise RecipeError(f"give either --recipe or {' '.join(given) or '--order'}, not both")
    if given:
        chosen = order or "transformers"
        return from_params(order=chosen, **flat), f"in the order of {chosen}" if len(given) > 1 else ""
    if order:
        raise RecipeError("--order needs one of --temperature, --top-k, --top-p, --min-p")
    if recipe is None:
        return load_recipe("default"), "default; no generation_config is applied"
    return load_recipe(recipe), ""


def read_prompt(prompt: str | None, file: Path | None) -> str:
    """The prompt from the argument, a file or standard input; a file's last line break is not part of it."""
    if prompt not in (None, "-") and file is not None:
        raise PromptError("give the prompt either as an argument or as --file, not both")
    if file is not None:
        try:
            return _read_text(file.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(
                f"cannot read the prompt file {file}: {getattr(error, 'strerror', None) or error}"
            ) from None
    if prompt is not None and prompt != "-":
        return prompt
    if prompt is None and sys.stdin.isatty():
        raise PromptError('give a prompt, such as "The cat slept on the"; - reads it from standard input')
    try:
        return _read_text(sys.stdin.buffer.read())
    except UnicodeDecodeError as error:
        raise PromptError(f"standard input must be UTF-8 text: {error}") from None


def _read_text(data: bytes) -> str:
    """UTF-8 text without a byte order mark, with plain line breaks, the last one left out."""
    return data.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")


def refuse_tokens(tokens: str | None) -> None:
    """Names without logits are a mistake."""
    if tokens is not None:
        raise LogitsError("--tokens needs --logits")


def unescape(text: str) -> str:
    r"""A stop string as typed in a shell: \n, \t and \\ stand for what they usually do."""
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")


def read_logits(text: str) -> np.ndarray:
    """Numbers with commas between them, or a .npy file of one row."""
    if text.lower().endswith(".npy"):
        try:
            row = np.load(Path(text), allow_pickle=False)
        except OSError as error:
            raise LogitsError(f"cannot read the logits file {text}: {error.strerror or error}") from None
        except Exception:  # a damaged file can make NumPy raise nearly anything
            raise LogitsError(f"the logits file {text} is no NumPy array file (.npy) of numbers") from None
        if not isinstance(row, np.ndarray) or row.dtype.kind not in "fiu":
            raise LogitsError(f"the logits file {text} must hold one array of real numbers")
        return row.astype(np.float64)
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise LogitsError(
            f"logits must be numbers with commas between them, or a .npy file; got {text[:60]!r}"
        ) from None
