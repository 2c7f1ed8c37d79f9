"""The vocabulary of a byte-level BPE tokenizer, read from a tokenizer.json by the tokenizers library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from logitherm.errors import BackendUnavailable, ModelError


@cache
def alphabet() -> dict[str, int]:
    """The character by which byte-level BPE (GPT-2) writes each byte: printable ones as themselves, others from
    U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


class ByteLevel:
    """Tokens of a byte-level BPE.

    path:  a tokenizer.json.
    start: the id that every prompt begins with, or None.
    eos:   the ids that end a text.
    Raises ModelError if the file cannot be read.
    """

    def __init__(self, path: Path, start: int | None, eos: Sequence[int]) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise BackendUnavailable("this model needs tokenizers: pip install tokenizers") from error
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"cannot read the tokenizer {path}: {error}") from None
        self._tokenizer.encode_special_tokens = True  # a prompt is text, also where it spells a control token
        self._start = [] if start is None else [start]
        self.eos = tuple(eos)
        self.size: int = self._tokenizer.get_vocab_size()
        self._bytes = [self._read(token) for token in range(self.size)]

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, after the start token."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return self._start + ids

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token; none for a control token."""
        return self._bytes[token]

    def _read(self, token: int) -> bytes:
        special = self._tokenizer.get_added_tokens_decoder().get(token)
        if special is not None:
            return b"" if special.special else str(special.content).encode()
        piece: str = self._tokenizer.id_to_token(token) or ""
        try:
            return bytes(alphabet()[c] for c in piece)
        except KeyError:
            raise ModelError(f"the tokenizer is no byte-level BPE: token {token} is written {piece!r}") from None
