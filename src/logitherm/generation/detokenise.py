"""Bytes to text as they come, never splitting a character."""

from __future__ import annotations

import codecs


class Detokeniser:
    """Collects the bytes of tokens and gives out whole characters.

    Bytes that can never become a character give U+FFFD, as the Unicode standard recommends. Bytes of a character
    that is not finished are held back; what is still unfinished when the text ends never appears.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The characters that these bytes complete."""
        return self._decoder.decode(data)
