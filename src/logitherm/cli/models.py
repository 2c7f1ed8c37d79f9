"""`logitherm models`: what can be run here."""

from __future__ import annotations

import json

from rich.console import Console

from logitherm.cli import options
from logitherm.cli.errors import friendly
from logitherm.models import DEFAULT, KNOWN
from logitherm.show.table import Column, table


@friendly
def models(as_json: options.JsonOption = False) -> None:
    """List the models that ship with Logitherm."""
    if as_json:
        listed = [{**known._asdict(), "default": known.name == DEFAULT} for known in KNOWN]
        print(json.dumps({"version": 1, "models": listed}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    rows = [[k.name + (" (default)" if k.name == DEFAULT else ""), k.about] for k in KNOWN]
    console.print(table([Column("model"), Column("about", fit="wrap")], rows, console.width))
    console.print(
        "\nAlso any folder made by training/export.py or in the Hugging Face layout, and any Hugging Face name: "
        "--model FOLDER|NAME.",
        style="dim",
    )
