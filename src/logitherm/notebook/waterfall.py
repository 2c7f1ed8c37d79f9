"""The waterfall of a step in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import traitlets

from logitherm.api import Recipe, find
from logitherm.arrays import float64
from logitherm.errors import LogithermError, RecipeError
from logitherm.look import begin
from logitherm.model import Model
from logitherm.notebook.live import Live
from logitherm.notebook.modules import joined
from logitherm.notebook.recipe_editor import RecipeEditor
from logitherm.playground import views
from logitherm.sampler import Sampler
from logitherm.show.html import Html
from logitherm.show.html_trace import trace_html
from logitherm.state import State, fresh_seed
from logitherm.trace import Trace, trace


class Waterfall(Live):
    """Why this token, live: a row a token, a column a stage, and the draw. Hover a token for the settings at which it
    enters or leaves.

    prompt: look at the token that follows this text; or give `logits` instead, without any model.
    recipe: as in `generate`; or a RecipeEditor, whose changes it follows. Set `waterfall.recipe` for another.
    logits, tokens, model, chat, system: as in `explain`.
    seed:   of the draw; None is fresh. Read `waterfall.seed`.
    top:    how many leading tokens to list, from 1 to 512; usual 24.

    The model is asked once; another recipe is computed on the same logits.
    Raises PromptError, RecipeError, LogitsError.
    """

    _esm = joined("waterfall")
    recipe = traitlets.Unicode().tag(sync=True)
    _told = traitlets.Dict().tag(sync=True)
    _wrong = traitlets.Unicode().tag(sync=True)
    _link: Any = None

    def __init__(
        self,
        prompt: str | None = None,
        recipe: Recipe | RecipeEditor = None,
        *,
        logits: Any = None,
        tokens: Sequence[str] | None = None,
        model: Model | str | Path | None = None,
        seed: int | None = None,
        top: int = 24,
        chat: bool = False,
        system: str | None = None,
    ) -> None:
        if not 1 <= top <= views.MOST_LISTED:
            raise RecipeError(f"top must be in [1, {views.MOST_LISTED}]; got {top}")
        followed = recipe if isinstance(recipe, RecipeEditor) else None
        sampler = find(recipe) if followed is None else followed.sampler
        seen = begin("Waterfall", prompt, logits, tokens, model, chat, system)
        self._seen = replace(seen, logits=float64(seen.logits), cache=None)  # whatever becomes of the caller's
        self._top = top
        self.seed = fresh_seed() if seed is None else seed
        self._drawn = sampler
        super().__init__(recipe=str(sampler), _told=self._draw(sampler))
        self.observe(self._redraw, "recipe")
        if followed is not None:
            self._link = traitlets.dlink((followed, "recipe"), (self, "recipe"))

    @property
    def sampler(self) -> Sampler:
        """The recipe as it stands."""
        return find(self.recipe)

    @property
    def trace(self) -> Trace:
        """What is drawn, as `explain` gives it."""
        return trace(*self._step(self.sampler), self._top, self._seen.name)[0]

    @traitlets.validate("recipe")
    def _canonical(self, proposal: Any) -> str:
        return str(find(proposal["value"]))

    def _step(self, sampler: Sampler) -> tuple[Sampler, Any, State]:
        bound = self._seen.bind(sampler)
        return bound, self._seen.logits, bound.start([self._seen.ids], self.seed)

    def _draw(self, sampler: Sampler) -> dict[str, Any]:
        return views.waterfall(*self._step(sampler), self._top, self._name)

    def _redraw(self, _: Any) -> None:
        try:
            told, wrong = self._draw(self.sampler), ""
            self._drawn = self.sampler
        except LogithermError as error:  # a recipe that leaves no token: the last drawing stays, and the page says why
            told, wrong = self._told, str(error)
        with self.hold_sync():
            self._told, self._wrong = told, wrong

    def _name(self, token: int) -> str:
        text = self._seen.name(token)
        return f"#{token}" if text is None else text

    def _answer(self, data: Mapping[str, Any]) -> Any:
        """The settings at which a token enters or leaves."""
        return views.crossings(*self._step(self._drawn), [int(data["token"])], self._name)

    def _still(self) -> Html:
        drawn = trace(*self._step(self._drawn), self._top, self._seen.name, limits=False)[0]
        return trace_html(drawn.to_dict())

    def close(self) -> None:
        """End it; it follows its editor no longer."""
        if self._link is not None:
            self._link.unlink()
            self._link = None  # it is closed again when it is forgotten
        super().close()
