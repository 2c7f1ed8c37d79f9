"""What can be looked at in a text that was written: a step, recipes on its logits, another recipe over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

import numpy as np

from logitherm import comparison
from logitherm.arrays import Array, entropy, float64, log_softmax, numpy, softmax
from logitherm.critical import Name, critical
from logitherm.errors import LogitsError
from logitherm.model import Model
from logitherm.playground.texts import Text
from logitherm.rng import uniform
from logitherm.rules import Temperature
from logitherm.sampler import Sampler
from logitherm.state import At, State
from logitherm.trace import labels, trace
from logitherm.vocabulary import label

MOST_LISTED = 512
"""The page gets so many leading tokens at most; of the others how many there are and what they weigh."""

Data = dict[str, Any]


def step(model: Model, text: Text, place: int, sampler: Sampler | None, top: int) -> Data:
    """The trace of the step that drew a token, and what is not listed."""
    row, _ = text.step(place)
    bound, states = text.under(sampler, model.vocabulary, place)
    told = waterfall(bound, row, states[place], top, _names(model))
    return {**told, "drawn": text.tokens[place], "forced": place in text.forced}


def waterfall(sampler: Sampler, row: Array, state: State, top: int, name: Name) -> Data:
    """The trace of a step without critical values, with what the tokens that are not listed weigh at each stage."""
    told = trace(sampler, row, state, min(top, MOST_LISTED), name, limits=False)[0].to_dict()
    for stage in told["stages"]:
        kept = sum(token["logit"] is not None for token in stage["tokens"])
        stage["rest"] = {
            "kept": stage["kept"] - kept,
            "mass": max(0.0, 1.0 - sum(token["p"] for token in stage["tokens"])),
        }
    told["seed"] = str(told["seed"])  # numbers in JavaScript end at 2⁵³
    return {**told, "listed": len(told["stages"][0]["tokens"]), "drawn": told["draw"]["id"], "forced": False}


def limits(model: Model, text: Text, place: int, sampler: Sampler | None, tokens: Sequence[int]) -> list[Data]:
    """The settings at which some tokens enter or leave."""
    row, _ = text.step(place)
    bound, states = text.under(sampler, model.vocabulary, place)
    return crossings(bound, row, states[place], tokens, _names(model))


def crossings(sampler: Sampler, row: Array, state: State, tokens: Sequence[int], name: Name) -> list[Data]:
    """The settings at which some tokens of a step enter or leave."""
    stages = list(sampler.stages(row, state))
    raw = numpy(float64(row))
    return [vars(found) for found in critical(sampler, raw, state, stages, labels(sampler), list(tokens), name)]


def compare(model: Model, text: Text, place: int, samplers: Mapping[str, Sampler], top: int) -> Data:
    """Recipes on the logits of one step; and from which token on each would write another text with this seed."""
    row, state = text.step(place)
    places = len(text)  # it may grow meanwhile
    told = {name: text.under(sampler, model.vocabulary, places) for name, sampler in samplers.items()}
    found = comparison.compare(
        {name: bound for name, (bound, _) in told.items()},
        row,
        state,
        top,
        _names(model),
        text.prompt,
        memories={name: states[place].memory for name, (_, states) in told.items()},
    ).to_dict()
    found["parts"] = [_parts(text, bound, states, places) for bound, states in told.values()]
    return found


def _parts(text: Text, bound: Sampler, states: Sequence[State], places: int) -> int | None:
    """The first place at which a recipe draws another token than the text has; None if there is none."""
    for place in range(places):
        try:
            if int(bound.step(text.step(place)[0], states[place]).tokens[0]) != text.tokens[place]:
                return place
        except LogitsError:
            return place
    return None


def strip(model: Model, text: Text, place: int, temperatures: Sequence[float], top: int) -> Data:
    """The leading tokens of a step at several temperatures, with nothing else in the recipe."""
    row, state = text.step(place)
    raw = numpy(row).astype(np.float64)
    ids = np.argsort(-raw[0], kind="stable")[:top].tolist()
    columns = []
    for t in temperatures:
        bent = Temperature(t).apply(raw, At(raw, state))
        columns.append({"t": t, "p": softmax(bent)[0][ids].tolist(), "entropy": float(entropy(bent)[0, 0])})
    return {"tokens": [{"id": i, "text": label(model.vocabulary, i)} for i in ids], "columns": columns}


def replay(model: Model, text: Text, sampler: Sampler) -> list[Data]:
    """What a recipe would have made of each token, the tokens before it being as they are."""
    places = len(text)  # it may grow meanwhile
    bound, states = text.under(sampler, model.vocabulary, places)
    return [_replayed(model, bound, text, place, states[place]) for place in range(places)]


def _replayed(model: Model, bound: Sampler, text: Text, place: int, state: State) -> Data:
    token, old = text.tokens[place], text.events[place]["final_p"]
    u = float(uniform(state.seed, state.position)[0])
    try:
        taken = bound.step(text.step(place)[0], state)
    except LogitsError:
        return {"place": place, "p": 0.0, "old_p": old, "kept": 0, "drawn": None, "u": u, "entropy": None}
    log_p, drawn = float(log_softmax(taken.final)[0, token]), int(taken.tokens[0])
    return {
        "place": place,
        "p": exp(log_p),
        "old_p": old,
        "kept": int(np.isfinite(numpy(taken.final)).sum()),
        "drawn": {"id": drawn, "text": label(model.vocabulary, drawn)},
        "u": u,
        "entropy": float(taken.final_entropy[0]),
    }


def _names(model: Model) -> Name:
    return lambda token: label(model.vocabulary, token)
