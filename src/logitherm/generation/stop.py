"""Stop strings, also where they begin in one token and end in another."""

from __future__ import annotations

from collections.abc import Sequence

from logitherm.errors import RecipeError


class StopStrings:
    """Passes text through until one of the strings appears in it; text that may be the beginning of one is held back.

    strings: what ends a text; it is not part of the text. The one that ends first counts, the longest of those.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        if isinstance(strings, str) or not all(isinstance(s, str) and s for s in strings):
            raise RecipeError(f"stop must be a list of non-empty strings; got {strings!r}")
        self._strings = sorted(strings, key=len, reverse=True)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """The text that is safe to show now. Once a string is found, `found` says which and nothing more comes."""
        if not self._strings:
            return text
        if self.found is not None:
            return ""
        self._held += text
        ends = [(self._held.find(s) + len(s), s) for s in self._strings if s in self._held]
        if ends:
            end, self.found = min(ends, key=lambda e: e[0])
            safe, self._held = self._held[: end - len(self.found)], ""
            return safe
        held = max((n for s in self._strings for n in range(1, len(s)) if self._held.endswith(s[:n])), default=0)
        safe, self._held = self._held[: len(self._held) - held], self._held[len(self._held) - held :]
        return safe

    def flush(self) -> str:
        """What was held back, when the text ends for another reason."""
        held, self._held = self._held, ""
        return held
