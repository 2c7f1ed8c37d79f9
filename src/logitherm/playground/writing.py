"""Text, one token after another, with all that the page shows of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from logitherm.arrays import numpy, softmax
from logitherm.errors import LogithermError, LogitsError
from logitherm.generation.detokenise import Detokeniser
from logitherm.generation.prompts import read_prompt
from logitherm.generation.stop import StopStrings
from logitherm.model import Model
from logitherm.playground.texts import Text, Texts
from logitherm.sampler import Sampler
from logitherm.state import State, Step
from logitherm.trace import summarise
from logitherm.vocabulary import label

Event = dict[str, Any]


def begin(texts: Texts, model: Model, prompt: str, sampler: Sampler, seed: int | None) -> Text:
    """A text of which there is only the prompt. PromptError if that is empty or too long."""
    ids = read_prompt(model, prompt)
    bound = sampler.bind(model.vocabulary)
    state = bound.start([ids], seed)
    number = int(state.seed[0])
    text = texts.new(lambda name: Text(name, prompt, tuple(ids), bound, str(sampler), number))
    text.states.append(state)
    return text


def branch(texts: Texts, model: Model, source: Text, place: int, token: int | None, sampler: Sampler | None) -> Text:
    """The same text up to a place, from 0, and there this token (None: whatever the recipe draws).

    sampler: another recipe to go on with; None is the one that wrote the text.
    """
    if place < len(source.tokens):
        source.step(place)  # which says if it is not there
    elif place != len(source.tokens) or source.logits is None:
        raise LogithermError(f"step must be in [1, {len(source.tokens) + 1}]; got {place + 1}")
    if token is not None and not 0 <= token < model.vocabulary.size:
        raise LogithermError(f"a token must be an id in [0, {model.vocabulary.size}); got {token}")
    if token is not None and place == len(source.tokens):
        raise LogithermError("a token can be put only in the place of one that was drawn")
    bound = source.sampler if sampler is None else sampler.bind(model.vocabulary)
    recipe = source.recipe if sampler is None else str(sampler)
    rows = list((source.logits or [])[:place])
    text = texts.new(lambda name: Text(name, source.prompt, source.ids, bound, recipe, source.seed, source.id, place))
    text.mixed = place > 0 and (source.mixed or sampler is not None)
    text.tokens, text.logits = source.tokens[:place], rows
    text.forced = {t for t in source.forced if t < place}
    if sampler is None:
        text.states = source.states[: place + 1]
    else:  # what its rules remember of the tokens before
        text.states = [bound.start([source.ids], source.seed)]
        for row, drawn in zip(rows, text.tokens, strict=True):
            text.states.append(bound.observe(row[None], text.states[-1], [drawn]).state)
    text.events = source.events[:place]
    if source.cache is not None:
        cache, length = source.cache
        keep = min(length, len(source.ids) + place)
        text.cache = cache.crop([keep]), keep
    if token is not None:
        text.forced.add(place)
        text.tokens.append(token)
        row = source.step(place)[0]
        step = bound.observe(row, text.states[-1], [token])
        text.logits.append(row[0])
        characters = Detokeniser()
        for before in text.tokens[:-1]:
            characters.feed(model.vocabulary.bytes_of(before))
        text.events.append({**told(model, bound, step, text.states[-1], token, characters), "forced": True})
        text.states.append(step.state)
    return text


def write(texts: Texts, model: Model, text: Text, most: int, stop: Sequence[str]) -> Iterator[Event]:
    """Go on with a text for at most so many tokens; each event is one token, the last says why it ended."""
    ends = StopStrings(stop)
    text.stop = "stopped"  # unless it comes to an end of its own
    characters = Detokeniser()
    for token in text.tokens:
        characters.feed(model.vocabulary.bytes_of(token))
    history = [*text.ids, *text.tokens]
    if model.context is not None and len(history) > model.context:
        text.stop = "context"
        yield {"done": text.stop}
        return
    row, cache = _read(model, text, history)
    for count in range(1, most + 1):
        before = text.states[-1]
        kept = np.array(numpy(row))  # the model may write its next logits into the same memory
        texts.make_room(kept.nbytes)
        try:
            step = text.sampler.step(kept, before)
        except LogitsError as error:
            text.stop = "error"
            yield {"error": str(error)}
            return
        token = int(step.tokens[0])
        event = told(model, text.sampler, step, before, token, characters)
        if text.logits is not None:
            text.logits.append(kept[0])
        text.tokens.append(token)
        text.states.append(step.state)
        text.events.append(event)
        ended = token in model.vocabulary.eos
        ends.feed(model.vocabulary.bytes_of(token).decode("utf-8", "replace"))
        full = model.context is not None and len(text.ids) + len(text.tokens) > model.context
        if ended or ends.found is not None or full or count == most:
            text.stop = "eos" if ended else "stop_string" if ends.found is not None else "context" if full else "length"
            text.cache = cache, len(text.ids) + len(text.tokens) - 1
            yield {"token": event}
            yield {"done": text.stop}
            return
        yield {"token": event}
        row, cache = model.step([token], cache)
        text.cache = cache, len(text.ids) + len(text.tokens)


def _read(model: Model, text: Text, history: Sequence[int]) -> tuple[Any, Any]:
    """The logits after all tokens, and the cache."""
    if text.cache is None or text.cache[1] >= len(history):
        return model.prefill([history])
    cache, seen = text.cache
    row = None
    for token in history[seen:]:
        row, cache = model.step([token], cache)
    return row, cache


def told(model: Model, sampler: Sampler, step: Step, before: State, token: int, characters: Detokeniser) -> Event:
    """What the page shows of a token without asking further. `shown` is what it adds to the text: whole characters, so
    perhaps nothing.
    """

    def name(i: int) -> str:
        return label(model.vocabulary, i)

    (summary,) = summarise(sampler, step, before, name)
    stages = [float(softmax(after)[0, token]) for _, _, after, _ in sampler.stages(step.raw, before)]
    data = model.vocabulary.bytes_of(token)
    return {
        "place": int(before.position[0]),
        "id": token,
        "label": name(token),
        "shown": characters.feed(data),
        "forced": False,
        "ends": token in model.vocabulary.eos,
        "p": [summary.raw_p, *stages],
        **asdict(summary),
    }
