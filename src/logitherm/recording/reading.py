"""Reading a trace file: what was changed in it is noted, what cannot be understood is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logitherm.errors import TraceError
from logitherm.recipe import parse
from logitherm.recording.form import FORMAT, Entry, Head, Prompt, Recording, begin, digest_of

MOST_TOKENS = 2**24
"""The largest vocabulary that is believed: a file must not make its reader allocate whatever it says."""


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
    return Recording(head, entries, _stops(lines[-1][0]["stops"]) if ended else None, bent)


def _stops(told: Any) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(stop, str) for stop in told):
        raise TraceError(f"the last line: stops must be a list of words; got {told!r}")
    return tuple(told)


def _lines(path: Path) -> list[tuple[dict[str, Any], bool]]:
    """Each line's content and whether its digest is right; a last line that was not written to its end is left out."""
    found: list[tuple[dict[str, Any], bool]] = []
    before = ""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, text in enumerate(file, 1):
                if not text.endswith("\n"):
                    break
                content, before, intact = _line(text, before, f"{path}, line {number}")
                found.append((content, intact))
    except UnicodeDecodeError:
        raise TraceError(f"{path} is no trace file: it is not UTF-8 text") from None
    except OSError as error:
        raise TraceError(f"cannot read the trace file {path}: {error.strerror or error}") from None
    return found


def _line(text: str, before: str, where: str) -> tuple[dict[str, Any], str, bool]:
    """A line's content, its stated digest, and whether that is right."""
    try:
        content = json.loads(text, object_pairs_hook=_once)
        stated = content.pop("digest")
        return content, str(stated), stated == digest_of(content, before)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise TraceError(f"{where}: not a JSON object with a digest") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: JSON would take the last, and a digest of that hides the first."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _head(content: Mapping[str, Any]) -> Head:
    try:
        texts = tuple(
            Prompt(
                str(t["prompt"]),
                tuple(map(_whole, t["ids"])),
                _whole(t["seed"]),
                _whole(t["row"]),
                t["chat"] is True,
                None if t["system"] is None else str(t["system"]),
            )
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
        parse(head.recipe)
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise TraceError(f"line 1, the head: {what}") from None
    if head.vocabulary > MOST_TOKENS or any(i >= head.vocabulary for text in texts for i in text.ids):
        raise TraceError(f"line 1, the head: a vocabulary has at most {MOST_TOKENS:,} tokens, with ids below its size")
    for text in texts:
        begin(head.sampler, text)
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
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise TraceError(f"line {number}: {what}") from None
    if entry.text >= len(head.texts) or entry.token >= head.vocabulary:
        raise TraceError(f"line {number}: there is no such text or token")
    return entry


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TraceError(f"a whole number >= 0 is needed; got {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TraceError(f"a number is needed; got {value!r}")
    return float(value)
