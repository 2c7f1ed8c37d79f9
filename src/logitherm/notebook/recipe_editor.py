"""The recipe's editor in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from logitherm.api import Recipe, find
from logitherm.notebook.live import Live
from logitherm.notebook.modules import joined
from logitherm.playground import editor
from logitherm.sampler import Sampler
from logitherm.show.html import Html, drawing, tag


class RecipeEditor(Live):
    """A recipe to edit: rules to add, drag, switch off and remove, sliders, presets, its text, the linter's remarks.

    recipe: a recipe's text, a preset's name, a rule or a Sampler, as in `generate`; None is the preset "default".

    Read `editor.sampler`, or `editor.recipe` for the text; set `editor.recipe` and the page follows. Other widgets and
    `editor.observe(function, "recipe")` hear of every change.
    Raises RecipeError for a recipe that cannot be read, also when `recipe` is set.
    """

    _esm = joined("recipe_editor")
    recipe = traitlets.Unicode().tag(sync=True)
    _offered = traitlets.Dict().tag(sync=True)

    def __init__(self, recipe: Recipe = None) -> None:
        super().__init__(recipe=str(find(recipe)), _offered=editor.offered())

    @property
    def sampler(self) -> Sampler:
        """The recipe as it stands."""
        return find(self.recipe)

    @traitlets.validate("recipe")
    def _canonical(self, proposal: Any) -> str:
        return str(find(proposal["value"]))

    def _answer(self, data: Mapping[str, Any]) -> Any:
        """A text, read; or taken as the recipe."""
        sampler = editor.read(data["recipe"], others=True)
        if data.get("take"):
            self.recipe = str(sampler)
            return str(sampler)
        return editor.as_data(sampler)

    def _still(self) -> Html:
        return drawing(tag("code", self.recipe))
