"""`logitherm explain`: why a token was picked, from a model or from bare logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from logitherm import api
from logitherm.cli import options
from logitherm.cli.errors import friendly
from logitherm.errors import LogitsError, PromptError
from logitherm.models import load_model


@friendly
def explain(
    prompt: options.PromptArgument = None,
    recipe: options.RecipeOption = None,
    temperature: options.TemperatureOption = None,
    top_k: options.TopKOption = None,
    top_p: options.TopPOption = None,
    min_p: options.MinPOption = None,
    order: options.OrderOption = None,
    logits: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.npy|NUMBERS",
            help="Explain these logits instead of a model's: --logits=1.2,2.0,3.5 or a NumPy file.",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(help="Names for the logits: --tokens=warm,cold,wet", show_default=False)
    ] = None,
    step: Annotated[
        int, typer.Option(help="Which token after the prompt; earlier ones are drawn with the same seed.")
    ] = 1,
    top: Annotated[int, typer.Option(help="How many leading tokens to list.")] = 10,
    seed: options.SeedOption = None,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    chat: options.ChatOption = False,
    system: options.SystemOption = None,
    file: options.FileOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show why a token was picked: what each rule removed, where the draw landed, what would have changed it."""
    sampler, _ = options.read_recipe(recipe, temperature, top_k, top_p, min_p, order)
    if logits is not None:
        if prompt is not None or file is not None or model is not None or chat or system is not None:
            raise PromptError("give either a prompt or --logits, not both")
        if step != 1:
            raise PromptError("--step needs a prompt; logits are one step")
        names = tokens.split(",") if tokens is not None else None
        trace = api.explain(recipe=sampler, logits=_read_logits(logits), tokens=names, seed=seed, top=top)
    elif tokens is not None:
        raise LogitsError("--tokens needs --logits")
    else:
        text = options.read_prompt(prompt, file)
        loaded = load_model(model, dtype=dtype, device=device)
        trace = api.explain(text, sampler, model=loaded, seed=seed, top=top, step=step, chat=chat, system=system)
    if as_json:
        print(json.dumps(trace.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False).print(trace)


def _read_logits(text: str) -> np.ndarray:
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
