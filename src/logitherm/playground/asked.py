"""What a request may ask, read and checked before any work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request

from logitherm.errors import LogithermError

LARGEST = 1 << 20
"""Bytes of a request; far above any real one."""


class TooLarge(LogithermError):
    """A request longer than LARGEST."""


class Asked:
    """The fields of a request, read one by one."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    @classmethod
    async def of(cls, request: Request) -> Asked:
        """Read a request. TooLarge, or LogithermError if it is no JSON object."""
        if int(request.headers.get("content-length") or 0) > LARGEST:
            raise TooLarge(f"a request must have at most {LARGEST:,} bytes")
        body = bytearray()
        try:
            async for part in request.stream():
                body += part
                if len(body) > LARGEST:
                    raise TooLarge(f"a request must have at most {LARGEST:,} bytes")
        except ClientDisconnect:
            raise LogithermError("the request ended in the middle") from None  # which nobody will read
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise LogithermError(f"a request must be JSON: {str(error)[:100]}") from None
        if not isinstance(data, Mapping):
            raise LogithermError("a request must be a JSON object")
        return cls(data)

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._data.get(name, default)
        if not isinstance(value, str):
            raise LogithermError(f"{name} must be text; got {_short(value)}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it was not given."""
        value = self._data.get(name, False)
        if not isinstance(value, bool):
            raise LogithermError(f"{name} must be true or false; got {_short(value)}")
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """A list of texts."""
        value = self._data.get(name, [])
        if not isinstance(value, list) or len(value) > most or not all(isinstance(v, str) for v in value):
            raise LogithermError(f"{name} must be a list of at most {most} texts; got {_short(value)}")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in [low, high]."""
        found = self.maybe_whole(name, low, high)
        if found is None:
            found = default
        if found is None:
            raise LogithermError(f"{name} must be a whole number in [{low}, {high}]; got nothing")
        return found

    def maybe_whole(self, name: str, low: int, high: int) -> int | None:
        """The same, or None if it was not given. A text of digits counts: JSON's numbers end at 2⁵³ in a browser."""
        value = self._data.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 25:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise LogithermError(f"{name} must be a whole number in [{low}, {high}]; got {_short(value)}")
        return value

    def numbers(self, name: str, most: int) -> list[float]:
        """A list of finite numbers > 0."""
        value = self._data.get(name)
        ok = isinstance(value, list) and 0 < len(value) <= most
        if not ok or not all(
            isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 1e300 for v in value or ()
        ):
            raise LogithermError(f"{name} must be a list of 1 to {most} numbers > 0; got {_short(value)}")
        return [float(v) for v in value or ()]

    def wholes(self, name: str, most: int, below: int) -> list[int]:
        """A list of whole numbers in [0, below)."""
        value = self._data.get(name)
        ok = isinstance(value, list) and len(value) <= most
        if not ok or not all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < below for v in value or ()):
            raise LogithermError(f"{name} must be a list of at most {most} ids in [0, {below}); got {_short(value)}")
        return list(value or ())


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
