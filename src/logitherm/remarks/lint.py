"""The front door: everything that there is to say about a recipe."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any

from logitherm.api import Recipe, find
from logitherm.errors import RecipeError
from logitherm.recording.reading import load_trace
from logitherm.recording.replay import Ends
from logitherm.remarks.families import steers
from logitherm.remarks.form import CODES, Remark, Remarks, remark
from logitherm.remarks.idle import empty, idle
from logitherm.remarks.order import TRAPS
from logitherm.remarks.steps import watch, watched
from logitherm.rules import DynamicTemperature, Rule
from logitherm.rules.base import literal
from logitherm.sampler import Sampler

PLAIN = 0.0, 1.0, inf, None, ()
"""Defaults that leave things as they are."""


def lint(recipe: Recipe = None, trace: str | Path | None = None, ignore: Collection[str] = ()) -> Remarks:
    """What is wrong with a recipe: rules that cannot act, traps of order, rules of one family, and what did not act.

    recipe: as in `generate`; None with a trace file is the recipe that drew it.
    trace:  a trace file, as `generate(save_trace=…)` makes one: the recipe is tried on the steps of all its texts, each
            after the stored tokens, and what each rule did is counted.
    ignore: codes to leave out; `logitherm.remarks.form.CODES` and docs/lint.md list them.
    A remark of kind "proven" holds for all logits; what cannot be proven is not claimed.
    Raises RecipeError for a wrong recipe or code, TraceError if the file cannot be read as a trace file.
    """
    if isinstance(ignore, str) or not set(ignore) <= set(CODES):
        raise RecipeError(f"ignore must be a list of codes among {', '.join(CODES)}; got {ignore!r}")
    recording = None if trace is None else load_trace(trace)
    if recording is None:
        sampler = find(recipe)
    else:
        sampler = recording.head.sampler if recipe is None else find(recipe).bind(Ends(recording))
    live, remarks = idle(sampler.rules)
    remarks += empty(sampler.rules)
    for trap in TRAPS:
        remarks += trap(sampler.rules, live)
    if recording is None:
        return _made(sampler, remarks + list(defaults(sampler.rules, live)), ignore)
    steps, summarised, acted = watch(recording, sampler)
    remarks += watched(sampler, steps, acted, live)
    made = _made(sampler, remarks + list(defaults(sampler.rules, live)), ignore)
    return Remarks(made.rules, made.remarks, steps, summarised, acted)


def _made(sampler: Sampler, remarks: Sequence[Remark], ignore: Collection[str]) -> Remarks:
    kept = tuple(remark for remark in remarks if remark.code not in ignore)
    return Remarks(tuple(map(str, sampler.rules)), kept)


def defaults(rules: Sequence[Rule], live: Sequence[int]) -> Iterator[Remark]:
    """Parameters that act at their defaults."""
    for i in live:
        shown = [f"{f.name}={literal(f.default)}" for f in fields(rules[i])[1:] if _acts(rules[i], f.name, f.default)]
        if shown:
            what = (
                f"At their defaults act {', '.join(shown)}." if len(shown) > 1 else f"At its default acts {shown[0]}."
            )
            yield remark("default-on", "note", rules, (i,), what, "Nothing to do if that is meant.")


def _acts(rule: Rule, name: str, default: Any) -> bool:
    if isinstance(default, str) or name == "version" or getattr(rule, name) != default:
        return False  # a choice between forms, or given
    if isinstance(rule, DynamicTemperature) and name == "window":
        return steers(rule)
    return default not in PLAIN
