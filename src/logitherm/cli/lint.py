"""`logitherm lint`: what is wrong with a recipe, before it runs or by the steps of a trace file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from logitherm.cli import options, output
from logitherm.cli.errors import WRONG, friendly
from logitherm.errors import RecipeError
from logitherm.remarks import lint as linting
from logitherm.remarks.form import CODES


def _complete(incomplete: str) -> list[tuple[str, str]]:
    return [(code, about) for code, about in CODES.items() if code.startswith(incomplete)]


@friendly
def lint(
    text: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE|FILE|PRESET", help="The same as --recipe.", show_default=False),
    ] = None,
    recipe: options.RecipeOption = None,
    temperature: options.TemperatureOption = None,
    top_k: options.TopKOption = None,
    top_p: options.TopPOption = None,
    min_p: options.MinPOption = None,
    order: options.OrderOption = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Try it on the steps of a trace file too; without a recipe, the one that drew it.",
            show_default=False,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Leave these remarks out. May be repeated.", autocompletion=_complete),
    ] = None,
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Say what is wrong with a recipe: rules that cannot act, traps of order, rules of one family, what did not act.

    Exit code 0 if there is nothing to say but notes, 1 if there are remarks, 2 if the recipe or the file is wrong.
    """
    output.check(html, figure)
    if text is not None and recipe is not None:
        raise RecipeError("give the recipe either as an argument or as --recipe, not both")
    flat = (temperature, top_k, top_p, min_p, order)
    given = text if recipe is None else recipe
    own = trace is not None and given is None and all(value is None for value in flat)
    found = linting.lint(None if own else options.read_recipe(given, *flat)[0], trace, ignore or ())
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False).print(found)
    output.write(html, found.to_html, figure, found.plot)
    if not found.clean:
        raise typer.Exit(WRONG)
