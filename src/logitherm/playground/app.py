"""The playground's server: a page, and the questions that it may ask. All answers come from the Python sampler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from logitherm.errors import LogithermError, LogitsError, RecipeError
from logitherm.model import Model
from logitherm.playground import editor, keep, views, writing
from logitherm.playground.asked import Asked, TooLarge
from logitherm.playground.texts import CAP, Gone, Text, Texts
from logitherm.sampler import Sampler
from logitherm.version import __version__

STATIC = Path(str(files("logitherm.playground").joinpath("static")))
MOST_TOKENS = 1000
"""Of one request to write."""

MOST_WRITERS = 32
"""Texts that may be written at once."""

TOP = 24
"""Leading tokens of a step, unless the page asks for more."""

Answer = Callable[[Asked], Any]


class Playground:
    """A model, the texts it wrote, and what may be asked of them.

    cap:    bytes of logits to hold.
    others: whether recipes may name rules of other packages.
    """

    def __init__(self, model: Model, cap: int = CAP, others: bool = False) -> None:
        self._model = model
        self._texts = Texts(cap)
        self._others = others
        self._writers = 0

    def app(self) -> Starlette:
        """The application, without `Guard`."""
        questions: dict[str, Answer] = {
            "recipe": self.recipe,
            "step": self.step,
            "limits": self.limits,
            "compare": self.compare,
            "strip": self.strip,
            "replay": self.replay,
            "text": self.text,
        }
        return Starlette(
            routes=[
                Route("/", _page),
                Route("/api/about", self.about),
                Route("/api/write", self.write, methods=["POST"]),
                Route("/api/save/{kind}/{text}", self.save),
                *(Route(f"/api/{name}", _answer(ask), methods=["POST"]) for name, ask in questions.items()),
                Mount("/static", StaticFiles(directory=STATIC)),
            ]
        )

    async def about(self, request: Request) -> Response:
        """What the page needs to know before anything is asked."""
        model = self._model
        return JSONResponse(
            {
                "version": __version__,
                "model": model.name,
                "about": getattr(model, "about", None),
                "parameters": getattr(model, "parameters", None),
                "context": model.context,
                "vocabulary": model.vocabulary.size,
                "cap": self._texts.cap,
                **editor.offered(),
            }
        )

    async def write(self, request: Request) -> Response:
        """A text, or a branch of one, token by token: lines of JSON as they come."""
        try:
            asked = await Asked.of(request)
            if self._writers >= MOST_WRITERS:
                raise LogithermError(f"{MOST_WRITERS} texts are being written; wait for one of them, or stop it")
            most = asked.whole("max_new_tokens", 0, MOST_TOKENS, 60)
            stop = asked.texts("stop", 8)
            text = await run_in_threadpool(self._begun, asked)
        except LogithermError as error:
            return _refusal(error)
        return StreamingResponse(self._lines(text, most, stop), media_type="application/x-ndjson")

    def _begun(self, asked: Asked) -> Text:
        name = asked.text("text", "")
        recipe = asked.text("recipe", "")
        if not name:
            seed = asked.maybe_whole("seed", 0, 2**64 - 1)
            return writing.begin(self._texts, self._model, asked.text("prompt"), self._sampler(recipe), seed)
        source = self._texts.find(name)
        place = asked.whole("step", 1, 1 << 30, len(source.tokens) + 1) - 1
        token = asked.maybe_whole("token", 0, 1 << 40)
        sampler = self._sampler(recipe) if recipe else None
        if sampler is not None and str(sampler) == source.recipe:
            sampler = None
        return writing.branch(self._texts, self._model, source, place, token, sampler)

    async def _lines(self, text: Text, most: int, stop: list[str]) -> AsyncIterator[bytes]:
        self._writers += 1
        events: Iterator[writing.Event] | None = None
        try:
            yield _line({"text": _told(text)})
            if most:
                events = writing.write(self._texts, self._model, text, most, stop)
                async for event in iterate_in_threadpool(events):
                    yield _line(event)
        except LogithermError as error:
            yield _line({"error": str(error)})
        finally:
            self._writers -= 1

    def recipe(self, asked: Asked) -> Any:
        """A recipe's text, read: its rules with all their parameters."""
        return editor.as_data(self._sampler(asked.text("recipe")))

    def step(self, asked: Asked) -> Any:
        """A step, under the text's recipe or another: the waterfall."""
        text, place = self._place(asked)
        return views.step(self._model, text, place, self._other(asked), asked.whole("top", 1, views.MOST_LISTED, TOP))

    def limits(self, asked: Asked) -> Any:
        """The settings at which tokens of a step enter or leave."""
        text, place = self._place(asked)
        tokens = asked.wholes("tokens", 64, self._model.vocabulary.size)
        return views.limits(self._model, text, place, self._other(asked), tokens)

    def compare(self, asked: Asked) -> Any:
        """Two recipes on the logits of a step."""
        text, place = self._place(asked)
        recipes = asked.texts("recipes", 2)
        if len(recipes) != 2:
            raise LogithermError(f"recipes must be two; got {len(recipes)}")
        named = {label: self._sampler(recipe) for label, recipe in zip("AB", recipes, strict=True)}
        return views.compare(self._model, text, place, named, asked.whole("top", 1, views.MOST_LISTED, TOP))

    def strip(self, asked: Asked) -> Any:
        """A step at several temperatures."""
        text, place = self._place(asked)
        return views.strip(self._model, text, place, asked.numbers("temperatures", 40), asked.whole("top", 1, 64, 16))

    def replay(self, asked: Asked) -> Any:
        """Another recipe over the whole text."""
        text = self._texts.find(asked.text("text"))
        sampler = self._sampler(asked.text("recipe"))
        return {"recipe": str(sampler), "tokens": views.replay(self._model, text, sampler)}

    def text(self, asked: Asked) -> Any:
        """A text that the server holds, as it was told while it was written."""
        text = self._texts.find(asked.text("text"))
        return {"text": _told(text), "stop": text.stop}

    async def save(self, request: Request) -> Response:
        """A text as a trace file, or as a page that opens offline."""
        try:
            text = self._texts.find(request.path_params["text"])
            kind = request.path_params["kind"]
            if kind not in keep.KINDS:
                raise LogithermError(f"a text can be saved as {' or '.join(keep.KINDS)}; got {kind[:20]!r}")
            with tempfile.TemporaryDirectory() as folder:
                path = await run_in_threadpool(keep.KINDS[kind], self._model, text, Path(folder))
                content, name = path.read_bytes(), path.name
        except LogithermError as error:
            return _refusal(error)
        return Response(
            content,
            media_type="application/octet-stream",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    def _sampler(self, recipe: str) -> Sampler:
        return editor.read(recipe, self._others)

    def _other(self, asked: Asked) -> Sampler | None:
        recipe = asked.text("recipe", "")
        return self._sampler(recipe) if recipe else None

    def _place(self, asked: Asked) -> tuple[Text, int]:
        text = self._texts.find(asked.text("text"))
        return text, asked.whole("step", 1, max(1, len(text.tokens))) - 1


def _told(text: Text) -> dict[str, Any]:
    return {
        "id": text.id,
        "prompt": text.prompt,
        "recipe": text.recipe,
        "seed": str(text.seed),
        "parent": text.parent,
        "shared": text.shared,
        "mixed": text.mixed,
        "tokens": text.events,
    }


def _answer(ask: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            asked = await Asked.of(request)
            return JSONResponse(await run_in_threadpool(ask, asked))
        except LogithermError as error:
            return _refusal(error)

    return answer


def _refusal(error: LogithermError) -> Response:
    if isinstance(error, RecipeError | LogitsError):  # an answer about the recipe, and no fault of the page's
        return JSONResponse({"wrong": str(error)})
    status = 413 if isinstance(error, TooLarge) else 410 if isinstance(error, Gone) else 400
    return JSONResponse({"error": str(error)}, status)


def _line(event: writing.Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"


async def _page(request: Request) -> Response:
    return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")
