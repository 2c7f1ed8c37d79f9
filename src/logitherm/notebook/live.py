"""What both widgets share: questions from their page, each with one answer, and a drawing for where nothing is live."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import anywidget

from logitherm.errors import LogithermError
from logitherm.show.html import Html, embedded


class Live(anywidget.AnyWidget):
    """A widget whose page asks: `{id, data}` gets `{id, answer}`, or `{id, wrong}` with what was not liked."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._asked)

    def _asked(self, _: Any, question: dict[str, Any], __: Any) -> None:
        try:
            told = {"answer": self._answer(question["data"])}
        except BaseException as error:  # the page waits for an answer, whatever happened
            self.send({"id": question["id"], "wrong": str(error) if isinstance(error, LogithermError) else repr(error)})
            if not isinstance(error, LogithermError):
                raise
        else:
            self.send({"id": question["id"], **told})

    @abstractmethod
    def _answer(self, data: Mapping[str, Any]) -> Any:
        """The answer to a question; LogithermError is told to who asked."""

    @abstractmethod
    def _still(self) -> Html:
        """The widget as it stands, without a kernel behind it: what a saved notebook shows."""

    def _repr_mimebundle_(self, **asked: Any) -> Any:
        found = super()._repr_mimebundle_(**asked)
        if found is not None:
            found[0]["text/html"] = embedded(self._still())
        return found
