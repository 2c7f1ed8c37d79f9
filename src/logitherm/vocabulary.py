"""What generation must know about a model's tokens: how text becomes ids, and which bytes an id stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Vocabulary(Protocol):
    """The tokens of a model."""

    @property
    def size(self) -> int:
        """How many tokens there are; logits have this width."""

    @property
    def eos(self) -> Sequence[int]:
        """The ids that end a text; empty if the model never ends by itself."""

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, with the start token that the model was trained with, if any."""

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token adds to the text: perhaps a part of a character only; none for a control token."""


@runtime_checkable
class ChatVocabulary(Vocabulary, Protocol):
    """The tokens of a model that was trained to answer."""

    def chat(self, prompt: str, system: str | None) -> list[int]:
        """The ids of a conversation in which the user said this, after a system message if there is one, and in which
        the model's answer comes next. Raises PromptError if the model's chat template cannot carry it.
        """


def label(vocabulary: Vocabulary, token: int) -> str:
    r"""A token's text as a person can read it: parts of characters as \xNN, tokens without text by their id."""
    return vocabulary.bytes_of(token).decode("utf-8", "backslashreplace") or f"<{token}>"
