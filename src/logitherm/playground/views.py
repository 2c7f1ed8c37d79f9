"""What can be looked at in a text that was written: a step, recipes on its logits, another recipe over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

import numpy as np

from logitherm import comparison
from logitherm.arrays import Array, entropy, log_softmax, numpy, softmax
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


def under(model: Model, text: Text, sampler: Sampler | None) -> tuple[Sampler, list[State]]:
    """A recipe, bound, and the states before each token as its rules would have seen them; None: the text's own."""
    if sampler is None:
        return text.sampler, text.states
    bound = sampler.bind(model.vocabulary)
    states = [bound.start([text.ids], text.seed)]
    if all(memory is None for memory in states[0].memory):  # nothing to learn: the tokens alone count
        for token in text.tokens:
            states.append(states[-1].push(np.array([token])))
        return bound, states
    for place, token in enumerate(text.tokens):
        states.append(bound.observe(text.step(place)[0], states[-1], [token]).state)
    return bound, states


def step(model: Model, text: Text, place: int, sampler: Sampler | None, top: int) -> Data:
    """The trace of the step that drew a token, and what is not listed."""
    row, _ = text.step(place)
    bound, states = under(model, text, sampler)
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
    return {**told, "listed": len(told["stages"][0]["tokens"]), "drawn": told["draw"]["id"], "forced": False}


def limits(model: Model, text: Text, place: int, sampler: Sampler | None, tokens: Sequence[int]) -> list[Data]:
    """The settings at which some tokens enter or leave."""
    row, _ = text.step(place)
    bound, states = under(model, text, sampler)
    return crossings(bound, row, states[place], tokens, _names(model))


def crossings(sampler: Sampler, row: Array, state: State, tokens: Sequence[int], name: Name) -> list[Data]:
    """The settings at which some tokens of a step enter or leave."""
    stages = list(sampler.stages(row, state))
    raw = numpy(row).astype(np.float64)
    return [vars(found) for found in critical(sampler, raw, state, stages, labels(sampler), list(tokens), name)]


def compare(model: Model, text: Text, place: int, samplers: Mapping[str, Sampler], top: int) -> Data:
    """Recipes on the logits of one step; and from which token on each would write another text with this seed."""
    row, state = text.step(place)
    bound = {name: sampler.bind(model.vocabulary) for name, sampler in samplers.items()}
    start = State(state.history, state.prompt, state.seed, state.row)
    found = comparison.compare(bound, row, start, top, _names(model), text.prompt).to_dict()
    found["parts"] = [parts(model, text, sampler) for sampler in samplers.values()]
    return found


def parts(model: Model, text: Text, sampler: Sampler) -> int | None:
    """The first place at which a recipe draws another token than the text has; None if there is none."""
    bound, states = under(model, text, sampler)
    for place, token in enumerate(text.tokens):
        try:
            if int(bound.step(text.step(place)[0], states[place]).tokens[0]) != token:
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
    bound, states = under(model, text, sampler)
    return [_replayed(model, bound, text, place, states[place]) for place in range(len(text.tokens))]


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
