"""The exception family: small, flat, and each also the built-in that a caller would expect.

LogithermError
├── RecipeError(ValueError)          a rule's parameter, a recipe's text, a recipe file
├── LogitsError(ValueError)          NaN, +inf, a wrong shape, or a row with nothing left
├── PromptError(ValueError)          an empty prompt, or one longer than the model's context
├── ModelError(LogithermError)       a model that cannot be found or read
├── TraceError(ValueError)           a trace file that cannot be read or written
├── OutputError(ValueError)          a drawing that cannot be made from this, or a file that cannot be written
├── BackendUnavailable(ImportError)  an optional package is missing; the message gives the command
└── NotExpressible(LogithermError)   an engine cannot carry what the recipe says
"""


class LogithermError(Exception):
    """The base of every error that Logitherm raises on purpose."""


class RecipeError(LogithermError, ValueError):
    """A rule, a recipe's text or a recipe file is wrong."""


class LogitsError(LogithermError, ValueError):
    """Logits that no token can be drawn from.

    what: what is wrong with them.
    row:  the first row of the batch that is wrong, or None if the whole array is.
    """

    def __init__(self, what: str, row: int | None = None) -> None:
        super().__init__(what if row is None else f"row {row}: {what}")
        self.what = what
        self.row = row


class PromptError(LogithermError, ValueError):
    """A prompt that the model cannot start from."""


class ModelError(LogithermError):
    """A model that cannot be found or read."""


class TraceError(LogithermError, ValueError):
    """A trace file that cannot be read or written."""


class OutputError(LogithermError, ValueError):
    """A drawing that cannot be made from what there is, or a file that it cannot be written to."""


class BackendUnavailable(LogithermError, ImportError):
    """An optional package is not installed; the message says how to get it."""


class NotExpressible(LogithermError):
    """An engine cannot carry what the recipe says."""
