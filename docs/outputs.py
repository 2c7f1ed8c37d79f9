"""Remake the outputs that the pages show: `make figures`.

A block of commands (without a language) that is followed at once by a block of text is a pair: the second is what the
first prints, 80 columns wide. The tests run every command, and hold outputs that need no model to the letter.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parent
PAIR = re.compile(r"^```\n(?P<commands>(?:(?!```).*\n)+)```\n\n```text\n(?P<output>(?:(?!```).*\n)*)```$", re.MULTILINE)


def output(commands: str, folder: Path) -> str:
    """What the lines print on standard output, one after the other, in a shell."""
    found = []
    for line in commands.splitlines():
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "COLUMNS": "80"}
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(f"{line}\n{done.stderr}")
        found.append("\n".join(text.rstrip() for text in done.stdout.splitlines()))
    return "\n\n".join(found) + "\n"


def remade(page: str, folder: Path) -> str:
    """The page with every shown output made anew."""

    def again(pair: re.Match[str]) -> str:
        commands = pair["commands"]
        return f"```\n{commands}```\n\n```text\n{output(commands, folder)}```"

    return PAIR.sub(again, page)


def main() -> None:
    """Remake the outputs in every page of the documentation."""
    with TemporaryDirectory() as folder:
        for path in sorted(DOCS.rglob("*.md")):
            old = path.read_text("utf-8")
            if (new := remade(old, Path(folder))) != old:
                path.write_text(new, "utf-8")
                print(f"{path.name} remade")


if __name__ == "__main__":
    main()
