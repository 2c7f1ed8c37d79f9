"""The loop from prompts to text: draw, append, show, until every row has ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm.errors import PromptError, RecipeError
from logitherm.generation.batch import Batch
from logitherm.generation.detokenise import Detokeniser
from logitherm.generation.prompts import read_prompt
from logitherm.generation.speculative import Speculation
from logitherm.generation.stop import StopStrings
from logitherm.model import Model
from logitherm.recording.writer import Recorder
from logitherm.sampler import Sampler
from logitherm.show.shown import Drawn
from logitherm.state import State, Step
from logitherm.trace import Summary, summarise
from logitherm.vocabulary import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from logitherm.show.html import Html

VERSION = 1
"""Of the JSON form of a text."""


MOST_TEXTS = 1_000_000


@dataclass(frozen=True)
class Token:
    """A drawn token, and on request what the step looked like."""

    id: int
    text: str
    summary: Summary | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data: id, text, and the summary's fields (None if it was not asked for)."""
        blank = dict.fromkeys(Summary.__dataclass_fields__)
        return {"id": self.id, "text": self.text, **(asdict(self.summary) if self.summary else blank)}


@dataclass(frozen=True)
class Piece:
    """What one step adds to one row. Prints as its text.

    row:   the number of the row.
    text:  whole characters that are safe to show, often one token's, sometimes none or more.
    token: the drawn token; None in the piece that only says that a row failed.
    stop:  why the row ended, in its last piece: "eos", "newline", "stop_string", "max_new_tokens", "context" or
           "error".
    """

    row: int
    text: str
    token: Token | None
    stop: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(repr=False)
class Generation(Drawn):
    """A generated text, the prompt not included. Prints as its text.

    stop: why it ended (see Piece), or "interrupted" if it had not.
    seed: with it the row alone gives the same text again, from the same logits.
    error: what went wrong, if stop is "error".
    chat, system: whether the prompt was a user's message, and the system message before it.
    """

    prompt: str
    seed: int
    recipe: str
    text: str = ""
    stop: str = "interrupted"
    tokens: list[Token] = field(default_factory=list)
    error: str | None = None
    chat: bool = False
    system: str | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{len(self.tokens)} tokens, seed {self.seed}, stopped: {self.stop}: {self.text!r}>"

    @property
    def lead(self) -> str:
        """What stands before the text where both are shown: the prompt, in a chat on lines of its own."""
        return self.prompt + ("\n\n" if self.chat else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the text format. Entropies are in nats."""
        data = {
            "version": VERSION,
            "prompt": self.prompt,
            "text": self.text,
            "stop": self.stop,
            "seed": self.seed,
            "chat": self.chat,
            "system": self.system,
        }
        data |= {"recipe": self.recipe, "tokens": [token.to_dict() for token in self.tokens]}
        return data | ({"error": self.error} if self.error else {})

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_text import text_html

        return f"Text from {self.recipe}", text_html(self.to_dict())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_text import text_figure

        return text_figure(self.to_dict(), dark)


def at_least(name: str, value: object, least: int) -> None:
    """RecipeError if the value is no whole number, or below the least one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise RecipeError(f"{name} must be a whole number >= {least}; got {value!r}")


@dataclass(frozen=True)
class Limits:
    """When a row ends, apart from the model's own end.

    max_new_tokens: at most this many tokens, 1 or more.
    stop:           strings that end a text and are not part of it; a newline among them is reported as "newline".
    """

    max_new_tokens: int = 100
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least("max_new_tokens", self.max_new_tokens, 1)
        StopStrings(self.stop)


class Run:
    """Prompts on their way to texts. Iterate over it for pieces as they come; `texts` holds what there is at any time.

    A loop over it may be left and taken up again.

    prompts: one text a row. Checked here, before any work: PromptError if one is empty or longer than the context.
    seed:    as in `Sampler.start`.
    size:    the most rows to run at once; the others wait and join as rows end.
    details: also compute each token's probabilities and entropies, at every step.
    save:    where to write the trace file while drawing; see `recording.writer.Recorder`, also for `save_top`.
    chat:    the prompts are a user's messages, for the model's chat template.
    system:  the system message of the chats.
    draft, ahead: a model that proposes tokens, and how many at a time; see `generation.speculative`.
    """

    def __init__(
        self,
        model: Model,
        sampler: Sampler,
        prompts: Sequence[str],
        limits: Limits = Limits(),
        seed: int | Sequence[int] | None = None,
        size: int = 16,
        details: bool = False,
        save: Path | None = None,
        save_top: int | None = None,
        chat: bool = False,
        system: str | None = None,
        draft: Model | None = None,
        ahead: int = 4,
    ) -> None:
        at_least("batch_size", size, 1)
        at_least("ahead", ahead, 1)
        if draft is not None and save is not None:
            raise RecipeError("save_trace needs ordinary draws, one number a token; leave draft out")
        self._model = model
        self._sampler = sampler.bind(model.vocabulary)
        self._limits = limits
        self._details = details
        if isinstance(prompts, str) or not isinstance(prompts, Sequence):
            raise PromptError(f"prompts must be a list of texts; got {prompts!r}")
        if len(prompts) > MOST_TEXTS:
            raise PromptError(f"there must be at most {MOST_TEXTS:,} texts at once; got {len(prompts):,}")
        read = {prompt: read_prompt(model, prompt, chat, system) for prompt in dict.fromkeys(prompts)}
        ids = [read[prompt] for prompt in prompts]
        start = self._sampler.start(ids, seed)
        self._lengths = [len(row) for row in ids]
        self._batch: Batch | Speculation = Batch(model, self._sampler, start, size)
        if draft is not None:
            self._batch = Speculation(model, draft, self._sampler, start, size, ahead)
        self._ends = [StopStrings(limits.stop) for _ in prompts]
        self._characters = [Detokeniser() for _ in prompts]
        self._plain: dict[int, Token] = {}
        seeds = start.seed.tolist()
        self.texts = [
            Generation(p, s, str(sampler), chat=chat, system=system) for p, s in zip(prompts, seeds, strict=True)
        ]
        self._recorder = Recorder(save, model, self._sampler, prompts, start, save_top, chat, system) if save else None
        self._going = self._go()

    def __iter__(self) -> Iterator[Piece]:
        return self._going

    def interrupt(self) -> None:
        """Nobody will go on: what was held back, because it might begin a stop string, joins the texts."""
        self._going.close()
        for text, ends in zip(self.texts, self._ends, strict=True):
            text.text += ends.flush()

    def _go(self) -> Generator[Piece, None, None]:
        if self._recorder is None:
            yield from self._draw()
            return
        self._recorder.open()
        try:
            yield from self._draw()
        finally:
            self._recorder.close([text.stop for text in self.texts])

    def _draw(self) -> Generator[Piece, None, None]:
        batch = self._batch
        while batch.admit():
            step, before, failed = batch.draw()
            for row, error in failed.items():
                text = self._ends[row].flush()
                self.texts[row].text += text
                self.texts[row].stop, self.texts[row].error = "error", str(error)
                yield Piece(row, text, None, "error")
            if step is None or before is None:
                continue
            if self._recorder:
                self._recorder.step(batch.rows, step, before)
            pieces = list(self._pieces(batch.rows, step, before))
            yield from pieces
            batch.advance(step, [piece.row for piece in pieces if piece.stop])

    def _pieces(self, rows: Sequence[int], step: Step, before: State) -> Iterator[Piece]:
        """Each row's piece of this step, in the order of the rows' numbers, recorded in its text as it is made."""
        drawn = self._drawn(step, before)
        for row, token in sorted(zip(rows, drawn, strict=True), key=itemgetter(0)):
            text, stop = self._read(row, token.id)
            generation = self.texts[row]
            generation.text += text
            generation.tokens.append(token)
            generation.stop = stop or generation.stop
            yield Piece(row, text, token, stop)

    def _drawn(self, step: Step, before: State) -> list[Token]:
        """The step's tokens, one a row."""
        name = partial(label, self._model.vocabulary)
        ids = step.tokens.tolist()
        if self._details:
            summaries = summarise(self._sampler, step, before, name)
            return [Token(i, name(i), summary) for i, summary in zip(ids, summaries, strict=True)]
        for i in ids:
            if i not in self._plain:
                self._plain[i] = Token(i, name(i))
        return [self._plain[i] for i in ids]

    def _read(self, row: int, token: int) -> tuple[str, str | None]:
        """The text that a token makes safe to show, and why the row ends with it, if it does."""
        vocabulary, ends = self._model.vocabulary, self._ends[row]
        if token in vocabulary.eos:
            return ends.flush(), "eos"
        text = ends.feed(self._characters[row].feed(vocabulary.bytes_of(token)))
        if ends.found is not None:
            return text, "newline" if ends.found == "\n" else "stop_string"
        count = len(self.texts[row].tokens) + 1
        if count >= self._limits.max_new_tokens:
            return text + ends.flush(), "max_new_tokens"
        if self._model.context is not None and self._lengths[row] + count > self._model.context:
            return text + ends.flush(), "context"
        return text, None
