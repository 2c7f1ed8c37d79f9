"""Every example in the README and in docs/ runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    found = [(page, code) for page in PAGES for kind, code in BLOCK.findall(page.read_text()) if kind == language]
    return [pytest.param(code, id=f"{page.relative_to(ROOT)}:{i}") for i, (page, code) in enumerate(found)]


COMMANDS = [
    pytest.param(line, id=line[:70])
    for page in PAGES
    for kind, code in BLOCK.findall(page.read_text())
    if not kind
    for line in code.splitlines()
    if "logitherm " in line and not line.startswith("git")
]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples(code, capsys):
    exec(compile(code, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line, tmp_path):
    said, _, command = line.rpartition(" | logitherm ") if line.startswith("echo") else ("", "", line)
    words = shlex.split(command.removeprefix("logitherm "))
    text = shlex.split(said)[1] if said else ""
    done = subprocess.run(
        [sys.executable, "-m", "logitherm", *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"(?:\]\(|srcset=\"|src=\")(?!http)([^)#\"]+)[)\"]", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_pages_are_long_enough_to_hold_examples():
    assert len(COMMANDS) >= 8
    assert len(blocks("python")) >= 7
