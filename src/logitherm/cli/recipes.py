"""`logitherm recipes`: the presets and the rules."""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer
from rich.console import Console

from logitherm.cli import options
from logitherm.cli.errors import friendly
from logitherm.errors import RecipeError
from logitherm.presets import presets
from logitherm.rules import REGISTRY, Rule
from logitherm.rules.base import literal
from logitherm.show.table import Column, table


def _complete(incomplete: str) -> list[str]:
    return [name for name in (*presets(), *REGISTRY) if name.startswith(incomplete)]


@friendly
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A rule or a preset to describe.", show_default=False, autocompletion=_complete)
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """List the presets and the rules, or describe one."""
    console = Console(highlight=False)
    if name is not None and name not in REGISTRY and name not in presets():
        raise RecipeError(f"there is no rule or preset {name!r}; `logitherm recipes` lists them")
    if as_json:
        shown_presets = [vars(p) for p in presets().values() if name in (None, p.name)]
        shown_rules = [describe(rule) for _, rule in sorted(REGISTRY.items()) if name in (None, rule.name)]
        listed = {"version": 1, "presets": shown_presets, "rules": shown_rules}
        print(json.dumps(listed, ensure_ascii=False, allow_nan=False))
    elif name in presets():
        console.print(f"{presets()[name].recipe}\n{presets()[name].about}", soft_wrap=True, markup=False)
    elif name is not None:
        console.print(f"{signature(REGISTRY[name])}\n\n{inspect.getdoc(REGISTRY[name])}", markup=False)
    else:
        rows = [[p.name, f"{p.recipe}\n{p.about}"] for p in presets().values()]
        console.print(table([Column("preset"), Column("recipe, and when", fit="wrap")], rows, console.width))
        console.print()
        rules = [[rule.name, _first_line(rule)] for _, rule in sorted(REGISTRY.items())]
        console.print(table([Column("rule"), Column("what it does", fit="wrap")], rules, console.width))
        console.print("\n`logitherm recipes NAME` describes one.", style="dim")


def describe(rule: type[Rule]) -> dict[str, Any]:
    """A rule as plain data: what it does, its parameters with units, where it is neutral, its whole description."""
    parameters = [
        {
            "name": f.name,
            "unit": f.metadata.get("unit"),
            "allowed": f.metadata.get("allowed") or " | ".join(f.metadata.get("options", ())),
            "default": None if f.default is MISSING else f.default if f.default != float("inf") else "inf",
            "required": f.default is MISSING,
        }
        for f in fields(rule)
    ]
    neutral = None if rule.neutral is None else {k: "inf" if v == float("inf") else v for k, v in rule.neutral.items()}
    about = inspect.getdoc(rule) or ""
    source = next((line.removeprefix("Source: ") for line in about.splitlines() if line.startswith("Source: ")), None)
    return {
        "name": rule.name,
        "summary": _first_line(rule),
        "parameters": parameters,
        "neutral": neutral,
        "source": source,
        "about": about,
    }


def signature(rule: type[Rule]) -> str:
    """How a rule is written: top_p(p), dynamic_temperature(a, max_p=0.0, …)."""
    written = [f.name if f.default is MISSING else f"{f.name}={literal(f.default)}" for f in fields(rule)]
    return f"{rule.name}({', '.join(written)})"


def _first_line(rule: type[Rule]) -> str:
    return (inspect.getdoc(rule) or "").partition("\n")[0]
