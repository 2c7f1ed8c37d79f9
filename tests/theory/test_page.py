"""docs/theory.md and these tests speak of each other: no claim without its test, and no test without its claim."""

import ast
import re
from pathlib import Path

from tests.theory.invariances import words

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "theory.md").read_text()
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))


def declared(folder):
    files = folder.rglob("test_*.py")
    trees = [node for path in files for node in ast.parse(path.read_text()).body]
    return {node.name for node in trees if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_named_on_the_page_is_there():
    assert len(NAMED) > 50
    assert NAMED - declared(TESTS) == set()


def test_every_test_of_the_theory_is_named_on_the_page():
    assert declared(TESTS / "theory") - NAMED == set()


def test_the_page_shows_the_table():
    assert words() in PAGE
