"""Every tutorial notebook runs in an empty folder, shows what this library gives, asserts its document's numbers."""

import ast
import copy
import re

import nbformat
import pytest
from docs.notebooks import NOTEBOOKS, executed
from nbclient.exceptions import CellExecutionError

from tests.test_docs import alike
from tests.test_golden import GOLDEN, STRATEGIES

LARGEST = 400 * 1024
LONGEST = 30
"""Lines of a cell."""

NUMBERS = {source: [p for of, _, _, row in GOLDEN if of == source for p in row] for source in ("S0", "S1", "S3")}
NUMBERS["S3"] += [t for name, _, row in STRATEGIES[:4] for t in row] + [8.76]
NUMBERS["S2"] = [0.5, 0.45, 0.05, 0.9, 1, 2]  # top_p(0.9) of three masses keeps two tokens; the document's mask one
NUMBERS["S4"] = [0.1, 0.3, 0.5, 0.7, 0.9]  # the sweep
"""The numbers of each document that its notebook asserts."""


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """What a cell shows: the kinds of its outputs, and their text."""
    kinds = [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]
    return kinds, [output.get("text") or output.data.get("text/plain", "") for output in cell.outputs]


def differ(committed, fresh):
    """The cells whose outputs are not alike; cells that measure time may show anything of the same kind."""
    found = []
    for old, new in zip(code(committed), code(fresh), strict=True):
        (old_kinds, old_texts), (new_kinds, new_texts) = shown(old), shown(new)
        timing = "timing" in old.metadata.get("tags", ())
        if old_kinds != new_kinds or not (timing or all(map(alike, new_texts, old_texts))):
            found.append(old.id)
    return found


def asserted(notebook):
    """The numbers in cells that assert something."""
    trees = [ast.parse(cell.source) for cell in code(notebook) if "assert" in cell.source]
    return {n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant)}


def test_there_is_one_for_each_document():
    assert [path.name[:3] for path in NOTEBOOKS] == ["s0-", "s1-", "s2-", "s3-", "s4-"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_showed(path, monkeypatch):
    monkeypatch.setenv("LOGITHERM_PLAN", "plain")  # nothing to compile
    committed, fresh = read(path), executed(path)
    assert [cell.source for cell in fresh.cells] == [cell.source for cell in committed.cells]
    assert fresh.metadata == committed.metadata
    assert differ(committed, fresh) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asserts_its_documents_numbers(path):
    missing = set(NUMBERS[path.name[:2].upper()]) - asserted(read(path))
    assert missing == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_lesson(path):
    notebook = read(path)
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "## What to conclude" in words
    assert words.count("**Exercise.**") == 1
    assert path.stat().st_size <= LARGEST
    assert max(len(cell.source.splitlines()) for cell in code(notebook)) <= LONGEST
    assert sum(len(cell.outputs) > 0 for cell in code(notebook)) >= 8
    for target in re.findall(r"\]\((?!http)([^)#]+)", words):
        assert (path.parent / target).exists(), target


def test_what_is_wrong_in_a_notebook_is_seen(tmp_path):
    path = tmp_path / "wrong.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("print(1.5)", "assert 2 + 2 == 5")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with pytest.raises(CellExecutionError, match="2 \\+ 2 == 5"):
        executed(path)
    nbformat.write(nbformat.v4.new_notebook(cells=cells[:1]), path)
    fresh = executed(path)
    stale = copy.deepcopy(fresh)
    assert differ(stale, fresh) == []
    stale.cells[0].outputs[0].text = "1.6\n"
    assert differ(stale, fresh) == [stale.cells[0].id]
    stale.cells[0].outputs = []
    assert differ(stale, fresh) == [stale.cells[0].id]
