"""Writing a trace file while texts are being drawn: each token is on disk before the next one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from logitherm.arrays import numpy
from logitherm.errors import RecipeError, TraceError
from logitherm.model import Model
from logitherm.paths import unwritable
from logitherm.recording.form import Entry, Head, Prompt, entry_line, head_line, seal
from logitherm.recording.logits import pack, unpack
from logitherm.rng import uniform
from logitherm.rules import Masked
from logitherm.sampler import Sampler
from logitherm.state import State, Step
from logitherm.version import __version__
from logitherm.vocabulary import label

NAMED = 50
"""Of how many leading tokens each step keeps the texts, so that other recipes can be shown on it."""

CLOSE = 1e-3
"""By what part of itself the drawn token's probability may be off where a summary stands for the smaller logits."""


def writable(path: Path) -> None:
    """TraceError if no file can be written there; nothing is written yet."""
    if why := unwritable(path):
        raise TraceError(f"cannot write the trace file {path}: {why}")


class Recorder:
    """A trace file in the making.

    path:    the file; one that is there is replaced by `open`.
    sampler: bound to the model.
    start:   the state before the first token, one row a text.
    top:     keep so many of the largest logits of a step and a summary of the rest, or more where these would not give
             the same token, with its probability to within a thousandth of itself. None keeps all, and so does a recipe
             with memory, whose small errors would add up.
    """

    def __init__(
        self,
        path: Path,
        model: Model,
        sampler: Sampler,
        prompts: Sequence[str],
        start: State,
        top: int | None = None,
        chat: bool = False,
        system: str | None = None,
    ) -> None:
        outside = [str(rule) for rule in sampler.rules if isinstance(rule, Masked)]
        if outside:
            raise RecipeError(
                f"a trace file cannot carry {outside[0]}: it needs the model's tokens; leave save_trace out"
            )
        self._path = path
        self._model = model
        self._sampler = sampler
        self._top = top if all(memory is None for memory in start.memory) else None
        self._named: set[int] = set()
        rows = zip(prompts, start.tokens, start.seed.tolist(), start.row.tolist(), strict=True)
        texts = tuple(Prompt(prompt, tuple(ids.tolist()), seed, row, chat, system) for prompt, ids, seed, row in rows)
        eos, size = tuple(int(token) for token in model.vocabulary.eos), int(model.vocabulary.size)
        fingerprint = getattr(model, "fingerprint", None)  # a model that somebody wrote may not have one
        self._head = Head(__version__, str(sampler), model.name, fingerprint, size, eos, self._top, texts)
        self._digest = ""

    def open(self) -> None:
        """Begin the file. TraceError if it cannot be written."""
        try:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise self._failed(error) from None
        self._write(head_line(self._head))

    def step(self, texts: Sequence[int], step: Step, before: State) -> None:
        """The tokens of one step, one for each of the texts that it was taken for."""
        raw_p, final_p = np.exp(step.raw_logprobs).tolist(), np.exp(step.final_logprobs).tolist()
        u = uniform(before.seed, before.position).tolist()
        position = before.position.tolist()
        raw = numpy(step.raw)
        for place, (text, token) in enumerate(zip(texts, step.tokens.tolist(), strict=True)):
            logits, p = self._kept(raw[place], before.take([place]), token, final_p[place])
            names = self._names(raw[place], token)
            self._write(entry_line(Entry(text, position[place], token, u[place], raw_p[place], p, logits, names)))

    def close(self, stops: Sequence[str]) -> None:
        """The texts are at their end, or are left as they are."""
        try:
            self._write({"stops": list(stops)})
        finally:
            self._file.close()

    def _kept(self, row: np.ndarray, before: State, token: int, p: float) -> tuple[dict[str, object], float]:
        """The logits to keep, from `top` upwards in doublings until they give the same token, and what p they give."""
        top = self._top
        while top is not None and top < len(row):
            kept = pack(row, top, token)
            step = self._sampler.step(unpack(kept, len(row))[None], before)
            found = float(np.exp(step.final_logprobs[0]))
            if int(step.tokens[0]) == token and abs(found - p) <= CLOSE * p:
                return kept, found
            top *= 2
        return pack(row), p

    def _names(self, row: np.ndarray, token: int) -> dict[str, str]:
        leading = np.argpartition(-row, NAMED)[:NAMED].tolist() if len(row) > NAMED else range(len(row))
        new = {token, *leading} - self._named
        self._named |= new
        return {str(i): label(self._model.vocabulary, i) for i in sorted(new)}

    def _write(self, content: dict[str, object]) -> None:
        line, digest = seal(content, self._digest)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None
        self._digest = digest

    def _failed(self, error: OSError) -> TraceError:
        return TraceError(f"cannot write the trace file {self._path}: {error.strerror or error}")
