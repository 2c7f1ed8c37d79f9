"""`logitherm recipes`: the presets and the rules."""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, fields
from math import inf
from typing import Annotated, Any

import typer
from rich.console import Console

from logitherm.cli import options
from logitherm.cli.errors import friendly
from logitherm.errors import RecipeError
from logitherm.presets import presets
from logitherm.rules import REGISTRY, Repetition, Rule, TopP
from logitherm.rules.base import literal
from logitherm.show.table import Column, table
from logitherm.told import covered, covered_by_cuts


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
    elif name is not None and name in presets():
        console.print(f"{presets()[name].recipe}\n{presets()[name].about}", soft_wrap=True, markup=False)
    elif name is not None:
        console.print(f"{signature(REGISTRY[name])}\n\n{inspect.getdoc(REGISTRY[name])}", markup=False)
    else:
        console.print(presets())
        console.print()
        rules = [[rule.name, _first_line(rule)] for _, rule in sorted(REGISTRY.items())]
        console.print(table([Column("rule"), Column("what it does", fit="wrap")], rules, console.width))
        console.print("\n`logitherm recipes NAME` describes one.", style="dim")


def describe(rule: type[Rule]) -> dict[str, Any]:
    """A rule as plain data: what it does, its parameters with units, where it is neutral, what kernels cover it."""
    neutral = rule.neutral or {}
    parameters = [
        {
            "name": f.name,
            "unit": f.metadata.get("unit"),
            "allowed": f.metadata.get("allowed") or " | ".join(f.metadata.get("options", ())),
            "default": None if f.default is MISSING else plain(f.default),
            "required": f.default is MISSING,
            "neutral": plain(neutral.get(f.name)),
        }
        for f in fields(rule)
    ]
    about = inspect.getdoc(rule) or ""
    return {
        "name": rule.name,
        "summary": _first_line(rule),
        "parameters": parameters,
        "neutral": None if rule.neutral is None else {name: plain(value) for name, value in neutral.items()},
        "source": _source(about),
        "kernel": coverage(rule),
        "about": about,
    }


PLACES: dict[str, tuple[Rule, ...]] = {"first": (), "after_cut": (TopP(0.9),), "after_edit": (Repetition(1.1),)}
"""Where in a chain a kernel may cover a rule, each with a rule that stands before it."""


def coverage(rule: type[Rule]) -> dict[str, str]:
    """Whether a kernel covers a rule, by asking for its examples: "yes", "no", or "some" of them.

    first, after_cut, after_edit: in `Sampler.step`, at the head of a chain, after a cutoff, after a penalty.
    apply: in `Sampler.apply`.
    """
    examples = [rule(**parameters) for parameters in rule.examples]
    found = {place: [covered((*before, example)) for example in examples] for place, before in PLACES.items()}
    found["apply"] = [covered_by_cuts((example,)) for example in examples]
    return {place: "yes" if all(yes) and yes else "some" if any(yes) else "no" for place, yes in found.items()}


def plain(value: Any) -> Any:
    """A parameter's value as JSON can carry it: infinities as strings."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if value in (inf, -inf) else value


def _source(about: str) -> str | None:
    """The paragraph of a description that begins with Source, on one line."""
    _, found, rest = about.partition("\nSource: ")
    lines = rest.partition("\nExample: ")[0].splitlines()
    return " ".join(lines) if found else None


def signature(rule: type[Rule]) -> str:
    """How a rule is written: top_p(p), dynamic_temperature(a, max_p=0.0, …)."""
    written = [f.name if f.default is MISSING else f"{f.name}={literal(f.default)}" for f in fields(rule)]
    return f"{rule.name}({', '.join(written)})"


def _first_line(rule: type[Rule]) -> str:
    return (inspect.getdoc(rule) or "").partition("\n")[0]
