"""Live widgets for notebooks: a recipe's editor and a step's waterfall, which follow each other.

    from logitherm.notebook import RecipeEditor, Waterfall
    editor = RecipeEditor("temperature(0.8) | top_p(0.9)")
    Waterfall("The cat slept on the", editor)

What is drawn is what `logitherm play` draws, from the same modules; the numbers are the kernel's.
Needs anywidget: pip install 'logitherm[notebook]'.
"""

from logitherm.errors import BackendUnavailable

try:
    import anywidget as _anywidget  # noqa: F401
except ImportError as error:
    raise BackendUnavailable("live widgets need anywidget: pip install 'logitherm[notebook]'") from error

from logitherm.notebook.recipe_editor import RecipeEditor
from logitherm.notebook.waterfall import Waterfall

__all__ = ["RecipeEditor", "Waterfall"]
