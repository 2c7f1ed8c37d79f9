"""A text to take away: the trace file that `logitherm verify` reads, and a page that opens offline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from logitherm.errors import LogithermError
from logitherm.generation.loop import Generation, Token
from logitherm.model import Model
from logitherm.playground.texts import Text
from logitherm.recording.writer import Recorder
from logitherm.show.html import page
from logitherm.show.html_text import text_html
from logitherm.show.html_trace import trace_html
from logitherm.trace import Contender, Summary, trace
from logitherm.vocabulary import label

MOST_STEPS = 40
"""The page shows so many steps at most; the trace file holds all."""


def trace_file(model: Model, text: Text, folder: Path) -> Path:
    """Every token with its logits. LogithermError if the recipe and the seed do not give them all."""
    if text.forced:
        raise LogithermError("a trace file is of what a recipe drew; in this text tokens were put in by hand")
    if text.mixed:
        raise LogithermError("a trace file is of what one recipe drew; in this text there were several")
    path = folder / "text.trace"
    recorder = Recorder(path, model, text.sampler, [text.prompt], text.states[0], chat=text.chat)
    recorder.open()
    try:
        for place in range(len(text)):
            row, before = text.step(place)
            recorder.step([0], text.sampler.observe(row, before, [text.tokens[place]]), before)
    finally:
        recorder.close([text.stop or "interrupted"])
    return path


def report(model: Model, text: Text, folder: Path) -> Path:
    """The text and its steps as one page."""

    def name(i: int) -> str:
        return label(model.vocabulary, i)

    tokens, steps = [], []
    measures = [field.name for field in fields(Summary)]
    known = text.shared if text.mixed else 0  # tokens before may have been drawn by another recipe
    for place in range(len(text)):
        event = text.events[place]
        leading = tuple(Contender(**contender) for contender in event["leading"])
        summary = Summary(**{**{measure: event[measure] for measure in measures}, "leading": leading})
        tokens.append(Token(event["id"], event["label"], summary))
        if known <= place < known + MOST_STEPS and place not in text.forced:
            row, before = text.step(place)
            steps.append(trace_html(trace(text.sampler, row, before, 10, name)[0].to_dict()))
    shown = "".join(event["shown"] for event in text.events[: len(tokens)])
    made = Generation(text.prompt, text.seed, text.recipe, shown, text.stop or "interrupted", tokens, chat=text.chat)
    path = folder / "text.html"
    path.write_text(page(f"Text from {text.recipe}", text_html(made.to_dict()), *steps), "utf-8")
    return path


KINDS: Mapping[str, Callable[[Model, Text, Path], Path]] = {"trace": trace_file, "html": report}
