"""The `logitherm` command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from logitherm.cli import compare, doctor, explain, generate, lint, models, play, recipes, replay, verify
from logitherm.version import __version__

app = typer.Typer(
    help="See, control and verify how a language model picks its next token.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    generate.generate,
    explain.explain,
    compare.compare,
    verify.verify,
    replay.replay,
    lint.lint,
    play.play,
    recipes.recipes,
    models.models,
    doctor.doctor,
)
for command in COMMANDS:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"logitherm {__version__}")
        raise typer.Exit


@app.callback()
def _logitherm(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """See, control and verify how a language model picks its next token."""


def main() -> None:
    """Run the command line."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever called
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 shows \u2026 instead of failing
    app()


if __name__ == "__main__":
    main()
