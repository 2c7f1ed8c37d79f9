"""Every example runs, is short enough to read, and does what it says."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
LONGEST = 40


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_something(path):
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) <= LONGEST


def test_the_lstm_reads_every_token_once():
    """Step by step with the carried state, its logits are those of the whole sequence; S3's loop would differ."""
    lstm = runpy.run_path(str(EXAMPLES[[path.stem for path in EXAMPLES].index("lstm")]))
    ids = lstm["text"][:60]
    with torch.no_grad():
        whole, _ = lstm["read"](ids)
    logits, cache = lstm["model"].prefill([ids[:10], ids[:5]])
    torch.testing.assert_close(logits, whole[[9, 4]], rtol=0, atol=1e-4)
    cache = cache.take([0])
    for place in range(10, 60):
        logits, cache = lstm["model"].step([ids[place]], cache)
        torch.testing.assert_close(logits[0], whole[place], rtol=0, atol=1e-4)
    assert lstm["loss"] < 1.0
