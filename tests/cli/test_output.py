"""The files that commands write beside their output."""

import json
import subprocess
import sys

import pytest

LOGITS = ["explain", "--logits=1,2,0", "--tokens=a,b,<script>", "--seed", "7", "-r", "top_k(2)"]
TEXT = ["generate", "The cat", "--model", "toy", "--seed", "7", "--max-new-tokens", "5"]


def run(folder, *args):
    command = [sys.executable, "-m", "logitherm", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)


@pytest.mark.parametrize(
    ("ending", "begins"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")]
)
def test_explain_writes_a_page_and_a_figure(tmp_path, ending, begins):
    plain = run(tmp_path, *LOGITS)
    (tmp_path / "a.html").write_text("old")
    done = run(tmp_path, *LOGITS, "--html", "a.html", "--figure", f"b{ending}")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert done.stderr == f"wrote a.html\nwrote b{ending}\n"
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert "“&lt;script&gt;" not in done.stdout
    assert "<bdi>&lt;script&gt;</bdi>" in (tmp_path / "a.html").read_text()
    assert (tmp_path / f"b{ending}").read_bytes().startswith(begins)


def test_files_go_together_with_json(tmp_path):
    done = run(tmp_path, *LOGITS, "--json", "--html", "a.html")
    assert json.loads(done.stdout)["version"] == 1
    done = run(tmp_path, *TEXT, "--json", "-n", "2", "--html", "b.html")
    assert len(done.stdout.splitlines()) == 2
    assert (tmp_path / "b.html").read_text().count('class="logitherm"') == 2


def test_what_reads_a_trace_file_writes_them_too(tmp_path):
    run(tmp_path, *TEXT, "--save-trace", "a.trace")
    for command in (["replay", "a.trace", "-r", "top_k(1)"], ["verify", "a.trace"], ["lint", "--trace", "a.trace"]):
        plain, done = run(tmp_path, *command), run(tmp_path, *command, "--html", "a.html", "--figure", "a.svg")
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
        assert done.stderr == "wrote a.html\nwrote a.svg\n"
        assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
        assert (tmp_path / "a.svg").read_text().startswith("<?xml")
        (tmp_path / "a.html").unlink()
    refused = run(tmp_path, "lint", "top_k(5)", "--figure", "b.svg")
    assert (refused.returncode, "needs the steps of a trace file" in refused.stderr) == (2, True)


def test_generate_writes_a_page_and_a_figure(tmp_path):
    done = run(tmp_path, *TEXT, "--html", "a.html", "--figure", "b.svg")
    assert (done.returncode, done.stdout) == (0, run(tmp_path, *TEXT).stdout)
    assert (tmp_path / "a.html").read_text().count('scope="row"') == 5  # details, though nobody asked for them
    assert "entropy, nats" in (tmp_path / "b.svg").read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--figure", "a.jpg"], "--figure must end in .svg or .png or .pdf; got a.jpg"),
        (["--figure", "a"], "--figure must end in .svg or .png or .pdf; got a"),
        (["--html", "a.svg"], "--html must end in .html or .htm; got a.svg"),
        (["--html", "nowhere/a.html"], "--html: cannot write nowhere/a.html: there is no folder nowhere"),
        (["--html", "folder.html"], "--html: cannot write folder.html: it is a folder"),
    ],
)
@pytest.mark.parametrize("command", [LOGITS, TEXT], ids=["explain", "generate"])
def test_files_that_cannot_be_written_are_refused_before_any_work(tmp_path, command, args, message):
    (tmp_path / "folder.html").mkdir()
    done = run(tmp_path, *command, *args)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


def test_a_figure_is_of_one_text(tmp_path):
    done = run(tmp_path, *TEXT, "-n", "2", "--figure", "a.svg")
    assert (done.returncode, done.stderr) == (2, "error: --figure is for one text; leave out -n\n")
