"""`logitherm replay`: another recipe over a text that exists, without the model."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from logitherm import look
from logitherm.cli import options, output
from logitherm.cli.errors import friendly
from logitherm.recording.replay import Replay
from logitherm.trace import Trace


@friendly
def replay(
    file: options.TraceFileArgument,
    recipe: options.RecipeOption = None,
    temperature: options.TemperatureOption = None,
    top_k: options.TopKOption = None,
    top_p: options.TopPOption = None,
    min_p: options.MinPOption = None,
    order: options.OrderOption = None,
    text: Annotated[int, typer.Option(help="Which text of the file, from 0.")] = 0,
    step: Annotated[
        int | None,
        typer.Option(help="Explain this token as `logitherm explain` does, from 1.", show_default=False),
    ] = None,
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show which tokens of a trace file would be impossible, likelier, or drawn differently under another recipe.

    Each token is looked at after the same tokens before it, with the logits and the u that the file keeps. With --step
    and no recipe, that step is explained as it was.
    """
    output.check(html, figure)
    flat = (temperature, top_k, top_p, min_p, order)
    other, _ = options.read_recipe(recipe, *flat)
    if step is not None:
        same = recipe is None and all(value is None for value in flat)
        shown: Trace | Replay = look.recall(file, step, None if same else other, text)
    else:
        shown = look.replay(file, other, text)
    if as_json:
        print(json.dumps(shown.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False).print(shown)
    output.write(html, shown.to_html, figure, shown.plot)
