"""`logitherm explain`: why a token was picked, from a model or from bare logits."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from logitherm import look
from logitherm.cli import options, output
from logitherm.cli.errors import friendly
from logitherm.errors import PromptError
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
    logits: options.LogitsOption = None,
    tokens: options.TokensOption = None,
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
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Show why a token was picked: what each rule removed, where the draw landed, what would have changed it."""
    output.check(html, figure)
    sampler, _ = options.read_recipe(recipe, temperature, top_k, top_p, min_p, order)
    if logits is not None:
        if prompt is not None or file is not None or model is not None or chat or system is not None:
            raise PromptError("give either a prompt or --logits, not both")
        if step != 1:
            raise PromptError("--step needs a prompt; logits are one step")
        names = tokens.split(",") if tokens is not None else None
        trace = look.explain(recipe=sampler, logits=options.read_logits(logits), tokens=names, seed=seed, top=top)
    else:
        options.refuse_tokens(tokens)
        text = options.read_prompt(prompt, file)
        loaded = load_model(model, dtype=dtype, device=device)
        trace = look.explain(text, sampler, model=loaded, seed=seed, top=top, step=step, chat=chat, system=system)
    if as_json:
        print(json.dumps(trace.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False).print(trace)
    output.write(html, trace.to_html, figure, trace.plot)
