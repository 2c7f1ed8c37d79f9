"""compare as people meet it: real processes, a real terminal, Ctrl-C."""

import json
import os
import signal

import logitherm as lt
from tests.cli.test_cli import TEXT, in_terminal, ok, run

NAMES = ["--logits=1.2,2.0,3.5,3.0,1.8,1.0", "--tokens=wonderful,cloudy,nice,hot,gloomy,delicious"]


def test_compare_is_the_librarys_comparison():
    command = ["compare", TEXT, "-r", "default", "-r", "top_k(5)", "--seed", "2", "-n", "2", "--max-new-tokens", "9"]
    data = json.loads(ok(*command, "--json").stdout)
    told = lt.compare(TEXT, ["default", "top_k(5)"], seed=2, n=2, max_new_tokens=9)
    assert data == json.loads(json.dumps(told.to_dict()))
    shown = ok(*command)
    assert shown.stderr == ""
    assert "means of 2 texts" in shown.stdout


def test_a_varied_parameter_on_bare_logits():
    shown = ok("compare", *NAMES, "--vary", "top_p=0.1,0.5,0.9").stdout
    assert "“wonderful”" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith("“nice”")]
    assert rows == [["“nice”", ".4556", "1", ".6225", ".4969"]]


def test_texts_are_shown_side_by_side_or_below_each_other():
    command = ["compare", TEXT, "-r", "greedy", "-r", "creative", "--seed", "1", "--max-new-tokens", "12"]
    beside, _ = in_terminal(command, width=120)
    assert "recipe 1" in beside
    assert any("recipe 1" in line and "recipe 2" in line for line in beside.split("\n"))
    below, _ = in_terminal(command, width=50)
    assert not any("recipe 1" in line and "recipe 2" in line for line in below.split("\n"))


def test_ctrl_c_shows_what_is_finished():
    command = ["compare", TEXT, "--vary", "top_p=0.1,0.5,0.9", "-n", "40", "--max-new-tokens", "120", "--seed", "1"]
    seen, code = in_terminal(command, width=100, until=b"/120", act=lambda pid: os.kill(pid, signal.SIGINT), seconds=60)
    assert code == 130
    assert "Traceback" not in seen
    assert "top_p" in seen  # the distributions are there in any case


def test_wrong_input_is_one_clear_line():
    for args, message in [
        (["compare", TEXT, "-r", "greedy"], "error: compare needs two recipes that differ, or vary; got 1"),
        (["compare", TEXT, "--vary", "topp=1,2"], "error: unknown rule 'topp'; did you mean 'top_p'?"),
        (["compare", TEXT, *NAMES, "--vary", "top_k=1,2"], "error: give either a prompt or --logits, not both"),
        (["compare", TEXT, "--tokens", "a,b", "--vary", "top_k=1,2"], "error: --tokens needs --logits"),
        (["compare", TEXT, "-n", "-1", "--vary", "top_k=1,2"], "error: -n must be a whole number in [0, "),
    ]:
        result = run(*args)
        assert (result.returncode, result.stderr.count("\n"), "Traceback" in result.stderr) == (2, 1, False)
        assert message in result.stderr


def test_a_comparison_writes_a_page_and_a_figure(tmp_path):
    files = [tmp_path / "both.html", tmp_path / "both.svg"]
    command = ["compare", TEXT, "--vary", "top_p=0.3,0.9", "--seed", "1", "-n", "7", "--max-new-tokens", "5"]
    done = ok(*command, "--html", str(files[0]), "--figure", str(files[1]))
    assert f"wrote {files[0]}" in done.stderr
    page, figure = (file.read_text() for file in files)
    assert "top_p 0.3" in page
    assert "The first 5 of 7 texts of each." in page
    assert "<script" not in page
    assert "top_p 0.9" in figure
    refused = run(*command, "--html", "page.txt")
    assert (refused.returncode, refused.stdout) == (2, "")
