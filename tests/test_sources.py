"""docs/sources.md speaks of every row that the five sources ask for, and shows a command for each."""

import json
import re
from pathlib import Path

import pytest

import logitherm as lt

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "sources.md").read_text()
ASKED = ROOT.parent / "shared" / "sources.md"
ROWS = {
    "S0": ["one next word", "word after word", "scores and logits out", "the future it names"],
    "S1": ["logits → probabilities", "temperature", "top-k and top-p"],
    "S2": ["the pipeline", "optimisation 1", "optimisation 2", "speed"],
    "S3": [
        "maximum probability",
        "entropy",
        "perplexity",
        "quantile (median)",
        "combined",
        "a generation loop with it",
        "uses",
        "challenges it names",
        "futures it names",
    ],
    "S4": ["sweep", "use-case presets", "no_repeat_ngram_size", "all parameters together"],
}


def sections():
    """The rows of the page by source: heading, then what stands below it."""
    found = {}
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        parts = re.split(r"^### (.*)$", chapter, flags=re.MULTILINE)
        found[chapter[:2]] = dict(zip((h.lower() for h in parts[1::2]), parts[2::2], strict=True))
    return found


@pytest.mark.parametrize("source", ROWS)
def test_every_row_has_its_command(source):
    rows = [row.replace("→", "to") for row in ROWS[source]]
    assert list(sections()[source]) == rows
    for row in rows:
        assert re.search(r"^```\nlogitherm ", sections()[source][row], re.MULTILINE), row


def test_no_shown_output_is_missing():
    assert "```text\n```" not in PAGE
    assert "Traceback" not in PAGE


def test_the_rows_are_those_of_the_sources():
    if not ASKED.is_file():
        pytest.skip("needs ../shared/sources.md, which a clone of the project alone does not have")
    asked = {}
    for chapter in re.split(r"^## ", ASKED.read_text(), flags=re.MULTILINE)[1:]:
        if chapter.startswith("S"):
            cells = re.findall(r"^\| ([^|]+?) \|", chapter, re.MULTILINE)
            asked[chapter[:2]] = [c.lower() for c in cells if c not in ("asks for", "strategy", "---") and c[0] != "-"]
    assert {source: [row.lower() for row in rows] for source, rows in ROWS.items()} == asked


def test_the_tutorials_table_of_gpt2_is_that_of_its_stored_logits(gpt2, monkeypatch):
    names = ASKED.parent / "data" / "gpt2_tokenizer" / "vocab.json"
    tokens = [token.replace("Ġ", " ") for token in json.loads(names.read_text())]  # in the order of their ids
    monkeypatch.setenv("COLUMNS", "80")
    found = lt.compare(vary="temperature=0.1,0.5,1,5,10,100", logits=gpt2[2], tokens=tokens, seed=3, top=8)
    page = (ROOT / "docs" / "tutorials" / "s0-temperature.md").read_text()
    assert f"```text\n{found}\n```" in page
