"""Logitherm: see, control and verify how a language model picks its next token.

    import logitherm as lt
    lt.generate("The cat slept on the", "temperature(0.7) | top_p(0.9)")
    lt.explain("The cat slept on the", "temperature(0.7) | top_p(0.9)")

Importing this loads NumPy and the rules only; models, tables and the loop are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from logitherm.errors import (
    BackendUnavailable,
    LogithermError,
    LogitsError,
    ModelError,
    NotExpressible,
    OutputError,
    PromptError,
    RecipeError,
    TraceError,
)
from logitherm.kernels.compiling import set_num_threads
from logitherm.presets import presets
from logitherm.recipe import (
    from_json,
    from_params,
    from_toml,
    load_recipe,
    parse,
    to_json,
    to_toml,
)
from logitherm.rng import uniform
from logitherm.rules import (
    REGISTRY,
    Cutoff,
    DynamicTemperature,
    MinP,
    Rule,
    Temperature,
    Tempering,
    TopK,
    TopP,
)
from logitherm.sampler import Sampler
from logitherm.state import At, State, Step
from logitherm.version import __version__

if TYPE_CHECKING:
    from logitherm.api import generate, start, stream
    from logitherm.comparison import Comparison
    from logitherm.look import compare, explain, recall, replay
    from logitherm.models import load_model
    from logitherm.models.callable import CallableModel
    from logitherm.models.guidance import Contrasted, Guided
    from logitherm.recording.reading import load_trace
    from logitherm.recording.verify import verify
    from logitherm.remarks.lint import lint
    from logitherm.trace import Trace

LAZY = {
    "CallableModel": "logitherm.models.callable",
    "Comparison": "logitherm.comparison",
    "Contrasted": "logitherm.models.guidance",
    "Guided": "logitherm.models.guidance",
    "Trace": "logitherm.trace",
    "compare": "logitherm.look",
    "explain": "logitherm.look",
    "generate": "logitherm.api",
    "lint": "logitherm.remarks.lint",
    "load_model": "logitherm.models",
    "load_trace": "logitherm.recording.reading",
    "recall": "logitherm.look",
    "replay": "logitherm.look",
    "start": "logitherm.api",
    "stream": "logitherm.api",
    "verify": "logitherm.recording.verify",
}
"""Public names whose modules are imported at first use, and those modules."""


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'logitherm' has no attribute {name!r}")
    return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "REGISTRY",
    "At",
    "BackendUnavailable",
    "CallableModel",
    "Comparison",
    "Contrasted",
    "Cutoff",
    "DynamicTemperature",
    "Guided",
    "LogithermError",
    "LogitsError",
    "MinP",
    "ModelError",
    "NotExpressible",
    "OutputError",
    "PromptError",
    "RecipeError",
    "Rule",
    "Sampler",
    "State",
    "Step",
    "Temperature",
    "Tempering",
    "TopK",
    "TopP",
    "Trace",
    "TraceError",
    "__version__",
    "compare",
    "explain",
    "from_json",
    "from_params",
    "from_toml",
    "generate",
    "lint",
    "load_model",
    "load_recipe",
    "load_trace",
    "parse",
    "presets",
    "recall",
    "replay",
    "set_num_threads",
    "start",
    "stream",
    "to_json",
    "to_toml",
    "uniform",
    "verify",
]
