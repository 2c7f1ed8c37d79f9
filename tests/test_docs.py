"""Every example in the README and in docs/ runs."""

import re
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from docs.outputs import PAIR, output

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    found = [(page, code) for page in PAGES for kind, code in BLOCK.findall(page.read_text()) if kind == language]
    return [pytest.param(code, id=f"{page.relative_to(ROOT)}:{i}") for i, (page, code) in enumerate(found)]


SHOWN = [(page, pair) for page in PAGES for pair in PAIR.finditer(page.read_text())]
COMMANDS = [
    pytest.param(line, id=line[:70])
    for line in dict.fromkeys(
        line
        for page in PAGES
        for kind, code in BLOCK.findall(PAIR.sub("", page.read_text()))
        if not kind
        for line in code.splitlines()
        if "logitherm " in line and not line.startswith("git")
    )
]
"""Those whose output is not shown; the others run in test_shown_outputs."""

SAME_EVERYWHERE = "--logits=", "logitherm recipes", 'logitherm lint "'
"""In commands whose output no model's last digits can change."""

NUMBER = re.compile(r"\d*\.?\d+(?:e-?\d+)?")
ALIKE = 0.8
"""How alike a model's output must be where its last digits made another draw, so that even the words differ: most of
its characters, in their order. Where the words are the same, the numbers are too, to 2 % or .002."""


def alike(found, shown):
    """Whether a model's output is what is shown, but for what its last digits may change."""
    if NUMBER.sub("#", found).split() == NUMBER.sub("#", shown).split():
        numbers = ([float(n) for n in NUMBER.findall(text)] for text in (found, shown))
        return next(numbers) == pytest.approx(next(numbers), rel=0.02, abs=0.002)
    return SequenceMatcher(None, found, shown, autojunk=False).ratio() >= ALIKE


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples(code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line, tmp_path):
    assert output(line, tmp_path).strip()


@pytest.mark.parametrize(
    ("commands", "shown"), [pytest.param(p["commands"], p["output"], id=p["commands"].strip()[:70]) for _, p in SHOWN]
)
def test_shown_outputs(commands, shown, tmp_path):
    found = output(commands, tmp_path)
    if all(any(mark in line for mark in SAME_EVERYWHERE) for line in commands.splitlines()):
        assert found == shown
    else:
        assert alike(found, shown), found


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"(?:\]\(|srcset=\"|src=\")(?!http)([^)#\"]+)[)\"]", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_pages_are_long_enough_to_hold_examples():
    assert len(COMMANDS) >= 8
    assert len(blocks("python")) >= 7
