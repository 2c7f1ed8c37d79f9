"""Text, one token after another, with all that the page shows of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from logitherm.arrays import numpy, softmax
from logitherm.errors import LogithermError
from logitherm.generation.detokenise import Detokeniser
from logitherm.generation.prompts import read_prompt
from logitherm.generation.stop import StopStrings
from logitherm.model import Model
from logitherm.playground.texts import TOLD, Text, Texts
from logitherm.sampler import Sampler
from logitherm.state import State, Step
from logitherm.trace import summarise
from logitherm.vocabulary import label

Event = dict[str, Any]


def begin(texts: Texts, model: Model, prompt: str, sampler: Sampler, seed: int | None, chat: bool = False) -> Text:
    """A text of which there is only the prompt. PromptError if that is empty or too long, or if the model cannot chat.

    chat: the prompt is a user's message, for the model's chat template.
    """
    with texts.turn:
        ids = read_prompt(model, prompt, chat)
    bound = sampler.bind(model.vocabulary)
    state = bound.start([ids], seed)
    return texts.new(Text(prompt, tuple(ids), bound, str(sampler), int(state.seed[0]), chat, states=[state]))


def branch(texts: Texts, model: Model, source: Text, place: int, token: int | None, sampler: Sampler | None) -> Text:
    """The same text up to a place, from 0, and there this token (None: whatever the recipe draws).

    place:   at most the text's length: from its end it goes on.
    sampler: another recipe to go on with; None is the one that wrote the text.
    """
    if not 0 <= place <= len(source):
        raise LogithermError(f"step must be in [1, {len(source) + 1}]; got {place + 1}")
    if token is not None and not 0 <= token < model.vocabulary.size:
        raise LogithermError(f"a token must be an id in [0, {model.vocabulary.size}); got {token}")
    if token is not None and place == len(source):
        raise LogithermError("a token can be put only in the place of one that was drawn")
    bound, states = source.under(sampler, model.vocabulary, place)
    recipe = source.recipe if sampler is None else str(sampler)
    text = Text(source.prompt, source.ids, bound, recipe, source.seed, source.chat, source.id, place)
    text.mixed = place > 0 and (source.mixed or sampler is not None)
    text.logits, text.states = source.logits[:place], list(states)
    text.tokens, text.events = source.tokens[:place], source.events[:place]
    text.forced = {t for t in source.forced if t < place}
    text.cache = _cropped(source, place)
    if token is not None:
        _put(model, text, source.step(place)[0], token)
    return texts.new(text)


def _cropped(source: Text, place: int) -> Any:
    """The cache of a text up to a place, but for its last token: reading that gives the logits to go on with."""
    if (kept := source.cache) is None:
        return None
    cache, length = kept
    keep = min(length, len(source.ids) + place - 1)
    return (cache.crop([keep]), keep) if keep > 0 else None


def _put(model: Model, text: Text, row: np.ndarray, token: int) -> None:
    """A token that somebody chose."""
    before = text.states[-1]
    step = text.sampler.observe(row, before, [token])
    event = told(model, text.sampler, step, before, token, _characters(model, text))
    text.forced.add(len(text))
    text.add(row[0], token, step.state, {**event, "forced": True})


def write(texts: Texts, model: Model, text: Text, most: int, stop: Sequence[str]) -> Iterator[Event]:
    """Go on with a text for at most so many tokens; each event is one token, the last says why it ended.

    Raises LogithermError where it cannot go on: nothing is left to draw, or no room for its logits.
    """
    ends, characters = StopStrings(stop), _characters(model, text)
    text.stop = "stopped"  # unless it comes to an end of its own
    end = _end(model, text, ends, most)
    while end is None:
        try:
            event = _drawn(texts, model, text, characters)
        except LogithermError:
            text.stop = "error"
            raise
        ends.feed(event["shown"])
        most -= 1
        yield {"token": event}
        end = _end(model, text, ends, most)
    text.stop = end
    yield {"done": end}


def _end(model: Model, text: Text, ends: StopStrings, left: int) -> str | None:
    """Why a text ends here, if it does."""
    if text.tokens and text.tokens[-1] in model.vocabulary.eos:
        return "eos"
    if ends.found is not None:
        return "stop_string"
    if model.context is not None and len(text.ids) + len(text) > model.context:
        return "context"
    return None if left > 0 else "length"


def _drawn(texts: Texts, model: Model, text: Text, characters: Detokeniser) -> Event:
    """The next token."""
    with texts.turn:
        row = np.array(numpy(_read(model, text)))  # the model may write its next logits into the same memory
    texts.make_room(text, row.nbytes + TOLD)
    before = text.states[-1]
    step = text.sampler.step(row, before)
    token = int(step.tokens[0])
    event = told(model, text.sampler, step, before, token, characters)
    text.add(row[0], token, step.state, event)
    return event


def _read(model: Model, text: Text) -> Any:
    """The logits after all tokens; the cache is kept."""
    history = [*text.ids, *text.tokens]
    cache, seen = text.cache or (None, 0)
    if cache is None:
        row, cache = model.prefill([history])
    for token in history[seen:] if seen else ():
        row, cache = model.step([token], cache)
    text.cache = cache, len(history)
    return row


def _characters(model: Model, text: Text) -> Detokeniser:
    """What makes characters of bytes, after all tokens so far."""
    characters = Detokeniser()
    for token in text.tokens:
        characters.feed(model.vocabulary.bytes_of(token))
    return characters


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
