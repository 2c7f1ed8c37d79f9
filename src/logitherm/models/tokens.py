"""The tokens of a Hugging Face model: its own tokenizer and chat template, and which bytes each id stands for.

A tokenizer says how it turns tokens back into text: its decoder. Two kinds say it byte by byte, and are read exactly:
byte-level BPE (GPT-2, Llama 3, Qwen) and SentencePiece's, which write a space as ▁ and other bytes as <0xNN> (Llama 2,
Mistral, Gemma). Of any other (WordPiece, say) an id stands for what it adds to the text after a letter.

SentencePiece leaves out the first space of a whole text. Here every token follows a prompt, so a leading space always
counts; only the answer to a chat may therefore begin with one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from logitherm.errors import BackendUnavailable, PromptError
from logitherm.models.byte_level import alphabet

SPACE = "▁"
BYTE = {f"<0x{b:02X}>": bytes([b]) for b in range(256)}
ANCHOR = "a"
"""What a token of an unknown kind is decoded after: a decoder may drop or add a space at the beginning of a text."""


class Tokens:
    """The vocabulary of a Hugging Face model.

    tokenizer: a tokenizer of transformers.
    size:      the width of the logits; ids that the tokenizer does not know have no bytes.
    eos:       the ids that end a text.
    """

    def __init__(self, tokenizer: Any, size: int, eos: Sequence[int]) -> None:
        self.size = size
        self.eos = tuple(eos)
        self._tokenizer = tokenizer
        self._added = dict(tokenizer.added_tokens_decoder)
        self._known: dict[int, bytes] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, with the special tokens that the tokenizer's config adds; what spells a control token
        is text.
        """
        return self._ids(text, add_special_tokens=True, split_special_tokens=True)

    def chat(self, prompt: str, system: str | None = None) -> list[int]:
        """The ids of a conversation in which the user said this and the model is to answer, after a system message.

        Raises PromptError if the model has no chat template, if the template refuses the messages, and if one of them
        spells a control token: a template cannot tell it from its own.
        """
        said = [] if system is None else [{"role": "system", "content": system}]
        said.append({"role": "user", "content": prompt})
        if not self._tokenizer.chat_template:
            raise PromptError("this model has no chat template; leave out chat")
        for control in (str(added.content) for added in self._added.values() if added.special):
            if any(control in message["content"] for message in said):
                raise PromptError(f"in a chat, a message must not spell the control token {control!r}")
        return self._ids(self._rendered(said), add_special_tokens=False, split_special_tokens=False)

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token; none for control tokens and for ids beyond the tokenizer's."""
        if token not in self._known:
            self._known[token] = self._bytes(token)
        return self._known[token]

    def _ids(self, text: str, **how: bool) -> list[int]:
        return [int(token) for token in self._tokenizer(text, verbose=False, **how)["input_ids"]]

    def _rendered(self, said: list[dict[str, str]]) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        except ImportError as error:
            raise BackendUnavailable("chat templates need jinja2: pip install jinja2") from error
        except Exception as error:  # a template is a program of the model's makers, and raises what it likes
            raise PromptError(f"the model's chat template refuses this: {error}") from None
        return text

    def _bytes(self, token: int) -> bytes:
        if token in self._added:
            added = self._added[token]
            return b"" if added.special else str(added.content).encode()
        piece = self._tokenizer.convert_ids_to_tokens(token) if token < len(self._tokenizer) else None
        if piece is None:
            return b""
        return self._read(piece) if self._read else self._decoded(token)

    @cached_property
    def _read(self) -> Callable[[str], bytes] | None:
        """How a token's written form becomes its bytes, if the decoder says so."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.decoder.__getstate__()) if backend and backend.decoder else {}
        parts = decoder.get("decoders", [decoder])
        kinds = {part.get("type") for part in parts}
        if "ByteLevel" in kinds:
            return _byte_level
        if "ByteFallback" in kinds:
            return _byte_fallback
        spaces = "Metaspace" in kinds or any(part.get("pattern") == {"String": SPACE} for part in parts)
        return _spaces if spaces else None

    @cached_property
    def _anchor(self) -> tuple[list[int], str]:
        ids = self._ids(ANCHOR, add_special_tokens=False)[-1:]
        return ids, self._text(ids)

    def _decoded(self, token: int) -> bytes:
        ids, before = self._anchor
        text = self._text([*ids, token])
        return (text[len(before) :] if text.startswith(before) else self._text([token])).encode()

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _byte_level(piece: str) -> bytes:
    try:
        return bytes(alphabet()[character] for character in piece)
    except KeyError:  # tokens that were added outside the alphabet are text, for the tokenizers library too
        return piece.encode()


def _byte_fallback(piece: str) -> bytes:
    return BYTE.get(piece) or _spaces(piece)


def _spaces(piece: str) -> bytes:
    return piece.replace(SPACE, " ").encode()
