"""What the recipe editor knows of rules: their parameters, and sliders with a sensible range."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from math import inf
from typing import Any

from logitherm.errors import RecipeError
from logitherm.presets import presets
from logitherm.recipe import parse, pieces
from logitherm.remarks.families import EDITS
from logitherm.remarks.lint import lint
from logitherm.rules import REGISTRY, Cutoff, Rule, Tempering
from logitherm.sampler import Sampler
from logitherm.schedule import Schedule

Slider = tuple[float, float, float]
"""From, to, and the step between."""

UNITS: Mapping[str, Slider] = {
    "tokens": (0, 200, 1),
    "temperature": (0.0, 2.0, 0.01),
    "factor": (0.5, 2.0, 0.01),
    "factor per token": (0.8, 2.0, 0.01),
    "nats": (0.0, 8.0, 0.05),
    "bits": (0.0, 10.0, 0.05),
    "logits": (-5.0, 5.0, 0.05),
    "logits for each time": (-2.0, 2.0, 0.05),
    "standard deviations": (0.0, 4.0, 0.05),
}
"""By a parameter's unit, where it may be any number."""

OWN: Mapping[str, Slider] = {
    "temperature.t": (0.0, 2.0, 0.01),
    "epsilon.epsilon": (0.0, 0.02, 0.0001),
    "eta.epsilon": (0.0, 0.02, 0.0001),
    "min_p.p": (0.0, 0.5, 0.001),
    "no_repeat_ngram.n": (0, 10, 1),
    "mirostat.version": (1, 2, 1),
    "min_k.tau": (0.0, 20.0, 0.1),
    "entropy_rate.t_min": (0.01, 2.0, 0.01),
    "entropy_rate.t_max": (0.01, 2.0, 0.01),
}
"""Of single parameters that are used in a small part of what they may be."""

OTHERWISE: Slider = (-2.0, 2.0, 0.01)
"""Of all others. The number beside a slider takes any value that the rule allows."""

KINDS = {"options": "choice", "entry": "list", "words": "text"}
"""What is no number, by what marks it."""

BETWEEN = re.compile(r"in ([\[(])(-?[\d.]+), ([\d.]+)[\])]")
LEAST = re.compile(r"(>=?) (-?[\d.]+)")


def slider(rule: type[Rule], f: Field[Any]) -> Slider:
    """The range of a parameter's slider: all that is allowed if that ends on both sides, else what is usual."""
    if f"{rule.name}.{f.name}" in OWN:
        return OWN[f"{rule.name}.{f.name}"]
    allowed = f.metadata["allowed"]
    if found := BETWEEN.search(allowed):
        low, high = map(float, found.groups()[1:])
        step = 0.005 if high - low <= 1 else 0.01
        return low + step if found[1] == "(" else low, high, step
    low, high, step = UNITS.get(f.metadata["unit"], OTHERWISE)
    if least := LEAST.search(allowed):
        low = max(low, float(least[2]) + (0 if least[1] == ">=" else step))
    return low, high, step


def offered() -> dict[str, Any]:
    """What the editor offers: every rule by name, and the presets."""
    return {
        "rules": [_described(rule) for _, rule in sorted(REGISTRY.items())],
        "presets": [vars(preset) for preset in presets().values()],
    }


def _described(rule: type[Rule]) -> dict[str, Any]:
    about = inspect.getdoc(rule) or ""
    family = "cutoff" if issubclass(rule, Cutoff) else "temperature" if issubclass(rule, Tempering) else "other"
    return {
        "name": rule.name,
        "family": family,
        "first": issubclass(rule, EDITS),  # where it belongs: after a cut it comes too late
        "summary": about.partition("\n")[0],
        "about": about,
        "neutral": None if rule.neutral is None else _plain(rule.neutral),
        "example": str(rule(**rule.examples[0])),
        "parameters": [_parameter(rule, f) for f in fields(rule)],
    }


def _parameter(rule: type[Rule], f: Field[Any]) -> dict[str, Any]:
    about = inspect.getdoc(rule) or ""
    tip = re.search(rf"^(?:\w+, )*{f.name}(?:, \w+)*:\s*(.+?)(?=\n\S|\Z)", about, re.DOTALL | re.MULTILINE)
    kind = next((kind for mark, kind in KINDS.items() if mark in f.metadata), "number")
    return {
        "name": f.name,
        "kind": kind,
        "unit": None if f.metadata.get("unit") == "1" else f.metadata.get("unit"),
        "allowed": f.metadata.get("allowed"),
        "options": list(f.metadata.get("options", ())),
        "whole": bool(f.metadata.get("whole")),
        "default": None if f.default is MISSING else _plain(f.default),
        "slider": slider(rule, f) if kind == "number" else None,
        "tip": re.sub(r"\s+", " ", tip[1]) if tip else None,
    }


def _plain(value: Any) -> Any:
    """What JSON can carry: infinity as the word, tuples as lists."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Schedule):
        return str(value)
    return str(value) if value in (inf, -inf) else value


def read(recipe: str, others: bool) -> Sampler:
    """The sampler of a recipe's text, or of a preset. RecipeError if it cannot be read.

    others: also take rules of installed packages; otherwise only built-in ones, for whoever may reach the page must
            not choose what code is imported.
    """
    text = presets()[recipe.strip()].recipe if recipe.strip() in presets() else recipe
    if not others:
        for piece in pieces(text):
            name = piece.partition("(")[0].strip()
            if name and name not in REGISTRY:
                raise RecipeError(_unknown(name))
    return parse(text)


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, REGISTRY, n=1)
    return f"unknown rule {name[:60]!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def as_data(sampler: Sampler) -> dict[str, Any]:
    """A recipe as text and as rules with all their parameters, for the editor, with the linter's remarks but notes."""
    rules = []
    for rule in sampler.rules:
        values = {f.name: _plain(getattr(rule, f.name)) for f in fields(rule)}
        rules.append({"name": rule.name, "text": str(rule), "values": values})
    remarks = [
        f"{', '.join(concerned.rule for concerned in remark.rules)}: {remark.what} {remark.advice}"
        for remark in lint(sampler).remarks
        if remark.kind != "note"
    ]
    return {"recipe": str(sampler), "rules": rules, "remarks": remarks}
