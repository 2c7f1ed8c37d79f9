"""`logitherm compare`: several recipes on the same logits, and their texts side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from logitherm import look
from logitherm.cli import options, output
from logitherm.cli.errors import INTERRUPTED, WRONG, complain, friendly
from logitherm.comparison import Comparison, with_texts
from logitherm.errors import PromptError, RecipeError
from logitherm.generation.loop import MOST_TEXTS, Generation, Run, at_least
from logitherm.models import load_model


@friendly
def compare(
    prompt: options.PromptArgument = None,
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="RECIPE|FILE|PRESET",
            help="Give it twice or more; the others are compared with the first. With --vary: once at most.",
            show_default=False,
        ),
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(
            metavar="RULE[.PARAMETER]=VALUE,…",
            help='One parameter at several values, such as "temperature=0.1,0.5,1,5,10,100": in the recipe, or alone.',
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--samples", help="Texts with each recipe; text i has seed + i. 0 is none.")
    ] = 1,
    max_new_tokens: Annotated[int, typer.Option(help="Stop a text after so many tokens.")] = 40,
    stop: options.StopOption = None,
    logits: options.LogitsOption = None,
    tokens: options.TokensOption = None,
    top: Annotated[int, typer.Option(help="How many leading tokens to list.")] = 10,
    seed: options.SeedOption = None,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    chat: options.ChatOption = False,
    system: options.SystemOption = None,
    file: options.FileOption = None,
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Compare recipes: what each keeps of the same logits, what it draws, and where the texts part.

    Every recipe has the same seeds. KL (nats) and TV (total variation) are distances from the first recipe. Ctrl-C
    shows the recipes whose texts are finished (exit code 130).
    """
    if not 0 <= n <= MOST_TEXTS:
        raise RecipeError(f"-n must be a whole number in [0, {MOST_TEXTS}]; got {n}")
    output.check(html, figure)
    if logits is None:
        options.refuse_tokens(tokens)
        at_least("max_new_tokens", max_new_tokens, 1)  # before a large model is read
        look.candidates(recipes, vary)
        text, loaded = options.read_prompt(prompt, file), load_model(model, dtype=dtype, device=device)
    else:
        if prompt is not None or file is not None or model is not None or chat or system is not None:
            raise PromptError("give either a prompt or --logits, not both")
        text, loaded, n = None, None, 0
    found, runs = look.comparing(
        text,
        recipes,
        vary=vary,
        logits=None if logits is None else options.read_logits(logits),
        tokens=tokens.split(",") if tokens is not None else None,
        model=loaded,
        seed=seed,
        top=top,
        n=n,
        max_new_tokens=max_new_tokens,
        stop=[options.unescape(s) for s in stop or ()],
        chat=chat,
        system=system,
    )
    done, whole = _drain(runs, n)
    _show(with_texts(found, done), html, figure, as_json)
    if not whole:
        print(f"interrupted: texts of {len(done)} of {len(runs)} recipes", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if failed := [text for texts in done for text in texts if text.error]:
        complain(failed[0].error)
        raise typer.Exit(WRONG)


def _drain(runs: Sequence[Run], n: int) -> tuple[list[list[Generation]], bool]:
    """The texts of the runs that came to their end, and whether all did; Ctrl-C ends the rest.

    Texts of a run that did not come to its end are left out: those of them that are finished are the short ones.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    done: list[list[Generation]] = []
    try:
        with progress:
            task = progress.add_task("texts", total=len(runs) * n)
            for run in runs:
                for piece in run:
                    progress.advance(task, piece.stop is not None)
                done.append(run.texts)
    except KeyboardInterrupt:
        return done, False
    return done, True


def _show(found: Comparison, html: Path | None, figure: Path | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False).print(found)
    output.write(html, found.to_html, figure, found.plot)
