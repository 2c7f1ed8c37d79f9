"""`logitherm generate`: text from a model and a recipe, as it comes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from logitherm import api
from logitherm.cli import options, output
from logitherm.cli.errors import INTERRUPTED, complain, friendly
from logitherm.errors import RecipeError
from logitherm.generation.loop import MOST_TEXTS, Generation, Run
from logitherm.models import load_model
from logitherm.recording.writer import writable
from logitherm.show.html import page
from logitherm.show.html_text import text_html
from logitherm.show.table import number, printable

STEPS = "step  final p  T       raw nats  kept   "


@friendly
def generate(
    prompt: options.PromptArgument = None,
    recipe: options.RecipeOption = None,
    temperature: options.TemperatureOption = None,
    top_k: options.TopKOption = None,
    top_p: options.TopPOption = None,
    min_p: options.MinPOption = None,
    order: options.OrderOption = None,
    max_new_tokens: Annotated[int, typer.Option(help="Stop after so many tokens.")] = 100,
    stop: options.StopOption = None,
    n: Annotated[int, typer.Option("-n", "--samples", help="How many texts; text i has seed + i.")] = 1,
    seed: options.SeedOption = None,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    chat: options.ChatOption = False,
    system: options.SystemOption = None,
    file: options.FileOption = None,
    show_steps: Annotated[bool, typer.Option(help="Print the growing sentence, a line for each token.")] = False,
    echo: Annotated[
        bool | None,
        typer.Option(help="Print the prompt before the text; unless told, in a terminal only.", show_default=False),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not print recipe and seed on standard error.")
    ] = False,
    save_trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep every step's logits, u and token, for verify and replay.", show_default=False
        ),
    ] = None,
    trace_top: Annotated[
        int | None,
        typer.Option(
            help="Keep so many of the largest logits of a step, and a summary of the rest.", show_default=False
        ),
    ] = None,
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Continue a text.

    The text goes to standard output, recipe and seed to standard error. Ctrl-C keeps what was written (exit code 130).
    With --json each text is one line of JSON (JSON Lines). Put -- before a prompt that begins with a dash.
    """
    if show_steps and (n > 1 or as_json):
        raise RecipeError("--show-steps is for one text in plain form; leave out -n and --json")
    _check(n, save_trace, trace_top, html, figure)
    sampler, origin = options.read_recipe(recipe, temperature, top_k, top_p, min_p, order)
    text = options.read_prompt(prompt, file)
    ends = [options.unescape(s) for s in stop or ()]
    api.limits(max_new_tokens, ends)  # these two too before a large model is read
    api.check_chat(chat, system)
    run = api.start(
        [text] * n,
        sampler,
        model=load_model(model, dtype=dtype, device=device),
        max_new_tokens=max_new_tokens,
        seed=seed,
        stop=ends,
        details=show_steps or as_json or html is not None or figure is not None,
        save_trace=save_trace,
        trace_top=trace_top,
        chat=chat,
        system=system,
    )
    if not (quiet or as_json):
        print(f"recipe: {sampler}" + (f"  ({origin})" if origin else ""), file=sys.stderr)
        _print_seed(run, 0)
    try:
        if as_json:
            _drain(run)
        elif show_steps:
            _print_steps(run)
        else:
            _print_texts(run, sys.stdout.isatty() if echo is None else echo, quiet)
    except KeyboardInterrupt:
        run.interrupt()
        _finish([text for text in run.texts if text.tokens], as_json, html, figure)
        raise typer.Exit(INTERRUPTED) from None
    _finish(run.texts, as_json, html, figure)
    if failed := [t for t in run.texts if t.stop == "error"]:
        complain(failed[0].error)
        raise typer.Exit(1)


def _check(n: int, save_trace: Path | None, trace_top: int | None, html: Path | None, figure: Path | None) -> None:
    """Refuse what cannot be done, before any work."""
    if not 1 <= n <= MOST_TEXTS:
        raise RecipeError(f"-n must be a whole number in [1, {MOST_TEXTS}]; got {n}")
    if trace_top is not None and save_trace is None:
        raise RecipeError("--trace-top needs --save-trace")
    if figure and n > 1:
        raise RecipeError("--figure is for one text; leave out -n")
    output.check(html, figure)
    if save_trace is not None:
        writable(save_trace)
        if save_trace in (html, figure):
            raise RecipeError(f"--save-trace and the page or figure must be different files; got {save_trace} twice")


def _finish(texts: list[Generation], as_json: bool, html: Path | None, figure: Path | None) -> None:
    """What comes when all is drawn: JSON, and the files that were asked for; a text that never began has no figure."""
    if as_json:
        for text in texts:
            print(json.dumps(text.to_dict(), ensure_ascii=False, allow_nan=False), flush=True)
    if texts:
        drawings = (text_html(text.to_dict()) for text in texts)
        output.write(html, lambda: page("Texts", *drawings), figure if texts[0].tokens else None, texts[0].plot)


def _drain(run: Run) -> None:
    for _ in run:
        pass


def _print_steps(run: Run) -> None:
    """The growing sentence, as S0 prints it, with what each step looked like; in a terminal, as much as fits a line."""
    (text,) = run.texts
    room = Console().width - len(STEPS) if sys.stdout.isatty() else 0
    print(f"{STEPS}text", flush=True)
    for place, piece in enumerate(run, 1):
        if piece.token and (s := piece.token.summary):
            sentence = printable(text.lead + text.text, breaks=False)
            if 0 < room < len(sentence):
                sentence = "…" + sentence[len(sentence) - room + 1 :]
            cells = f"{number(s.final_p):<9}{number(s.temperature):<8}{number(s.raw_entropy):<10}{s.kept:<7}"
            print(f"{place:4}  {cells}{sentence}", flush=True)
    print(f"stopped: {text.stop}", file=sys.stderr)


def _print_texts(run: Run, echo: bool, quiet: bool) -> None:
    """The texts in order: the one whose turn it is as it comes, the others when their turn is there."""
    turn, shown = 0, 0
    _open(run, turn, echo)
    try:
        for _ in run:
            shown += _write(run.texts[turn].text[shown:])
            while run.texts[turn].stop != "interrupted" and turn + 1 < len(run.texts):
                turn += 1
                print("\n", flush=True)
                if not quiet:
                    _print_seed(run, turn)
                _open(run, turn, echo)
                shown = _write(run.texts[turn].text)
    except KeyboardInterrupt:
        run.interrupt()
        _write(run.texts[turn].text[shown:] + "\n")
        raise
    print()


def _print_seed(run: Run, turn: int) -> None:
    print(f"seed: {run.texts[turn].seed}", file=sys.stderr, flush=True)


def _open(run: Run, turn: int, echo: bool) -> None:
    prompt = run.texts[turn].lead
    if echo and sys.stdout.isatty():
        Console(highlight=False).print(Text(printable(prompt), "dim"), end="", soft_wrap=True)
    elif echo:
        _write(prompt)


def _write(text: str) -> int:
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
    return len(text)
