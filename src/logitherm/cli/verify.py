"""`logitherm verify`: whether the tokens of a trace file follow from its logits, recipe and seeds."""

from __future__ import annotations

import json

import typer

from logitherm.cli import options, output
from logitherm.cli.errors import WRONG, friendly
from logitherm.recording import verify as verifying
from logitherm.show.table import printable

SHOWN = 20
"""How many findings are printed; --json has them all."""


@friendly
def verify(
    file: options.TraceFileArgument,
    html: output.HtmlOption = None,
    figure: output.FigureOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Derive every token of a trace file again, and say where, if anywhere, the file is not what it says.

    Exit code 0 if everything follows from the stored logits, recipe and seeds, 1 if something does not.
    """
    output.check(html, figure)
    found = verifying.verify(file)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        weights = f", {found.fingerprint[:16]}…" if found.fingerprint else ""
        print(f"model:  {printable(found.model + weights, breaks=False)}\nrecipe: {found.recipe}")
        for finding in found.findings[:SHOWN]:
            print(f"✗ {printable(finding.message, breaks=False)}")
        if len(found.findings) > SHOWN:
            print(f"… and {len(found.findings) - SHOWN} more")
        if not found.finished:
            print("the file breaks off before its end")
        if found.right:
            print(f"✓ all {found.tokens} tokens of {_texts(found.texts)} follow from their logits and seeds")
    output.write(html, found.to_html, figure, found.plot)
    if not found.right:
        raise typer.Exit(WRONG)


def _texts(count: int) -> str:
    return "1 text" if count == 1 else f"{count} texts"
