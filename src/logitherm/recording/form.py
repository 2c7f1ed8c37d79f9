"""The form of a trace file: JSON Lines, a head first, then a line for each drawn token, then an end.

Every line carries a digest of itself and of the line before, so that a change anywhere is noticed, and noticed where.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from logitherm.errors import RecipeError, TraceError
from logitherm.recipe import parse
from logitherm.recording.logits import unpack
from logitherm.sampler import Sampler
from logitherm.state import State

FORMAT = 1


@dataclass(frozen=True)
class Prompt:
    """Where a text began: its prompt, the prompt's ids, its seed, and its row, which per-row parameters follow."""

    prompt: str
    ids: tuple[int, ...]
    seed: int
    row: int


@dataclass(frozen=True)
class Head:
    """What holds for the whole file.

    recipe:      bound to the model, so that it needs no vocabulary.
    model:       its name; fingerprint: what tells its weights apart, or None.
    vocabulary:  how many tokens it has; eos: the ids that end a text.
    top:         how many of the largest logits each step keeps at least, or None for all.
    """

    logitherm: str
    recipe: str
    model: str
    fingerprint: str | None
    vocabulary: int
    eos: tuple[int, ...]
    top: int | None
    texts: tuple[Prompt, ...]

    @cached_property
    def sampler(self) -> Sampler:
        """The chain that drew the tokens."""
        return parse(self.recipe)


@dataclass(frozen=True)
class Entry:
    """One drawn token.

    text:     which of the texts, from 0; position: how many tokens it had drawn before.
    token:    the id; u: the number that drew it.
    raw_p, final_p: its probability before any rule and after all of them.
    logits:   as `recording.logits` packs them.
    names:    texts of tokens that no earlier line names, this step's leading ones among them.
    line:     its line in the file.
    """

    text: int
    position: int
    token: int
    u: float
    raw_p: float
    final_p: float
    logits: Mapping[str, Any]
    names: Mapping[str, str]
    line: int = 0


@dataclass(frozen=True)
class Recording:
    """A trace file, read.

    stops: why each text ended, or None if the file breaks off before its end.
    bent:  the lines, head and end among them, whose digest is wrong.
    """

    head: Head
    entries: tuple[Entry, ...]
    stops: tuple[str, ...] | None
    bent: tuple[int, ...]

    def steps(self, text: int = 0, sampler: Sampler | None = None) -> Iterator[tuple[Entry, np.ndarray, State]]:
        """Each token of a text, its logits (1, vocabulary) and the state before it, under its own sampler or another.

        Whatever the sampler would draw, the text goes on with the stored token. TraceError if there is no such text.
        """
        if not 0 <= text < len(self.head.texts):
            raise TraceError(f"text must be in [0, {len(self.head.texts) - 1}]; got {text}")
        chain, prompt = sampler or self.head.sampler, self.head.texts[text]
        state = chain.start([prompt.ids], [prompt.seed], [prompt.row])
        for entry in self.entries:
            if entry.text == text:
                logits = _row(entry, self.head)
                yield entry, logits, state
                state = chain.observe(logits, state, [entry.token]).state

    def logits(self, text: int = 0) -> np.ndarray:
        """(tokens, vocabulary) float64: the model's own logits at each token of a text."""
        return np.concatenate([np.zeros((0, self.head.vocabulary)), *(row for _, row, _ in self.steps(text))])

    def scores(self, text: int = 0) -> np.ndarray:
        """(tokens, vocabulary) float64: the logits after all rules, -inf where removed."""
        after = (self.head.sampler.apply(row, state) for _, row, state in self.steps(text))
        return np.concatenate([np.zeros((0, self.head.vocabulary)), *after])

    @cached_property
    def names(self) -> dict[int, str]:
        """The texts of the tokens that the file names."""
        return {int(token): name for entry in self.entries for token, name in entry.names.items()}


def seal(content: Mapping[str, Any], before: str) -> tuple[str, str]:
    """A line of the file and its digest, which the next line continues."""
    digest = _digest(content, before)
    return json.dumps({**content, "digest": digest}, ensure_ascii=False, allow_nan=False) + "\n", digest


def _digest(content: Mapping[str, Any], before: str) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b((before + text).encode(errors="backslashreplace"), digest_size=16).hexdigest()


def head_line(head: Head) -> dict[str, Any]:
    """The head as plain data."""
    return {"logitherm_trace": FORMAT, **asdict(head)}


def entry_line(entry: Entry) -> dict[str, Any]:
    """A drawn token as plain data."""
    return {name: value for name, value in vars(entry).items() if name != "line"}


def load_trace(path: str | Path) -> Recording:
    """A trace file, read: `generate(save_trace=…)` makes one.

    What was changed in it is noted, not refused. Raises TraceError if it cannot be understood at all.
    """
    lines = _lines(Path(path))
    if not lines or lines[0][0].get("logitherm_trace") != FORMAT:
        raise TraceError(
            f"{path} is no trace file of format {FORMAT}; `logitherm generate --save-trace FILE` makes one"
        )
    bent = tuple(number for number, (_, intact) in enumerate(lines, 1) if not intact)
    head = _head(lines[0][0])
    ended = "stops" in lines[-1][0]
    entries = tuple(
        _entry(content, head, number) for number, (content, _) in enumerate(lines[1 : -1 if ended else None], 2)
    )
    stops = tuple(map(str, lines[-1][0]["stops"])) if ended else None
    return Recording(head, entries, stops, bent)


def _lines(path: Path) -> list[tuple[dict[str, Any], bool]]:
    """Each line's content and whether its digest is right; a last line that was not written to its end is left out."""
    try:
        written = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError:
        raise TraceError(f"{path} is no trace file: it is not UTF-8 text") from None
    except OSError as error:
        raise TraceError(f"cannot read the trace file {path}: {error.strerror or error}") from None
    found, before = [], ""
    for number, text in enumerate(written[:-1], 1):
        try:
            content = json.loads(text)
            stated = content.pop("digest")
            intact = stated == _digest(content, before)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise TraceError(f"{path}, line {number}: not a JSON object with a digest") from None
        found.append((content, intact))
        before = str(stated)
    return found


def _head(content: Mapping[str, Any]) -> Head:
    try:
        texts = tuple(
            Prompt(str(t["prompt"]), tuple(map(_whole, t["ids"])), _whole(t["seed"]), _whole(t["row"]))
            for t in content["texts"]
        )
        head = Head(
            logitherm=str(content["logitherm"]),
            recipe=str(content["recipe"]),
            model=str(content["model"]),
            fingerprint=None if content["fingerprint"] is None else str(content["fingerprint"]),
            vocabulary=_whole(content["vocabulary"]),
            eos=tuple(map(_whole, content["eos"])),
            top=None if content["top"] is None else _whole(content["top"]),
            texts=texts,
        )
        assert head.sampler
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise TraceError(f"line 1, the head: {what}") from None
    return head


def _entry(content: Mapping[str, Any], head: Head, number: int) -> Entry:
    try:
        entry = Entry(
            text=_whole(content["text"]),
            position=_whole(content["position"]),
            token=_whole(content["token"]),
            u=_number(content["u"]),
            raw_p=_number(content["raw_p"]),
            final_p=_number(content["final_p"]),
            logits=content["logits"],
            names={str(_whole(int(token))): str(name) for token, name in content["names"].items()},
            line=number,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise TraceError(f"line {number}: {what}") from None
    if entry.text >= len(head.texts) or entry.token >= head.vocabulary:
        raise TraceError(f"line {number}: there is no such text or token")
    return entry


def _row(entry: Entry, head: Head) -> np.ndarray:
    try:
        return unpack(entry.logits, head.vocabulary)[None]
    except TraceError as error:
        raise TraceError(f"line {entry.line}: {error}") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RecipeError(f"a whole number >= 0 is needed; got {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"a number is needed; got {value!r}")
    return float(value)
