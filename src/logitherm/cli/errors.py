"""How a command ends when something is wrong: one clear line, and an exit code that scripts can rely on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from logitherm.errors import LogithermError, LogitsError, OutputError, PromptError, RecipeError, TraceError
from logitherm.show.table import printable

WRONG, USAGE, INTERRUPTED = 1, 2, 130
P = ParamSpec("P")


def complain(message: object) -> None:
    """One line on standard error."""
    print(f"error: {printable(str(message))}", file=sys.stderr)  # it may quote a file's or a model's text


def friendly(command: Callable[P, None]) -> Callable[P, None]:
    """A command that exits with 2 for wrong input, 1 for what else goes wrong, 130 for Ctrl-C, never a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (RecipeError, PromptError, LogitsError, TraceError, OutputError) as error:
            complain(error)
            raise typer.Exit(USAGE) from None
        except LogithermError as error:
            complain(error)
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again while it exits
            complain("the output was closed before everything was written")
            raise typer.Exit(WRONG) from None
        except OSError as error:  # a full disk, say
            complain(error.strerror or error)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(WRONG) from None

    return run
