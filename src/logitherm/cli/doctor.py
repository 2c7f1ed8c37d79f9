"""`logitherm doctor`: what is installed, what runs, and whether it is right."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import typer
from rich.console import Console

from logitherm import api
from logitherm.cli import options
from logitherm.cli.errors import complain, friendly
from logitherm.kernels.compiling import WORTHWHILE
from logitherm.models.onnx import NUTSHELL
from logitherm.recipe import parse
from logitherm.show.table import Column, table
from logitherm.version import __version__

KNOWN_DRAWS = [3, 3, 3, 3, 2, 3, 3, 2, 2, 2, 1, 2]
"""The first tokens from logits 1, 2, 3, 4 under temperature(1.5) | top_p(0.95) with seed 2⁵³ + 1; tests derive them
anew."""

PACKAGES = "numpy", "numba", "onnxruntime", "tokenizers", "typer", "rich", "torch", "transformers"


@friendly
def doctor(as_json: options.JsonOption = False) -> None:
    """Say which versions are installed, which code runs, where files are, and whether a known answer comes out."""
    facts = {
        "logitherm": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **{name: _version(name) for name in PACKAGES},
        "plan": f"kernels for rows of {WORTHWHILE:,} tokens and more, compiled when first needed; else plain rules",
        "models": str(NUTSHELL.parent),
        "caches": "none of its own; a Hugging Face name may download into transformers' cache",
    }
    checks = {"sampling": _check_sampling(), "nutshell": _check_nutshell()}
    if as_json:
        print(json.dumps({"version": 1, **facts, "checks": checks}))
    else:
        rows = [[k, v] for k, v in facts.items()] + [[f"check: {k}", v] for k, v in checks.items()]
        console = Console(highlight=False)
        console.print(table([Column("what"), Column("is", fit="wrap")], rows, console.width))
    if bad := [f"{k}: {v}" for k, v in checks.items() if v != "right"]:
        complain("; ".join(bad))
        raise typer.Exit(1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _check_sampling() -> str:
    """Draw from four logits with a seed whose token is known: Philox, the rules and the draw in one."""
    sampler = parse("temperature(1.5) | top_p(0.95)")
    state = sampler.start([[]], seed=2**53 + 1)
    drawn = []
    for _ in range(12):
        step = sampler.step(np.array([[1.0, 2.0, 3.0, 4.0]]), state)
        drawn.append(int(step.tokens[0]))
        state = step.state
    return "right" if drawn == KNOWN_DRAWS else f"drew {drawn} where {KNOWN_DRAWS} is right"


def _check_nutshell() -> str:
    """Run the model that ships, once."""
    try:
        text = api.generate("Once upon a", "greedy", max_new_tokens=1).text
    except Exception as error:  # whatever is broken is what doctor is for
        return f"does not run: {error!r}"
    return "right" if text == " time" else f"goes on from 'Once upon a' with {text!r} where ' time' is right"
