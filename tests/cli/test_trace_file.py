"""--save-trace, verify and replay as people meet them: real processes and real files."""

import json
import subprocess

import logitherm as lt
from tests.cli.test_cli import COMMAND, TEXT, in_terminal, ok, run


def saved(path, *options):
    ok("generate", TEXT, "--seed", "4", "--max-new-tokens", "12", "--save-trace", str(path), *options)
    return str(path)


def test_a_saved_trace_verifies_and_a_changed_one_does_not(tmp_path):
    file = saved(tmp_path / "text.trace", "-n", "2")
    right = ok("verify", file)
    assert "✓ all 24 tokens of 2 texts follow from their logits and seeds" in right.stdout
    assert json.loads(ok("verify", file, "--json").stdout)["right"] is True
    lines = (tmp_path / "text.trace").read_text().splitlines(keepends=True)
    lines[7] = lines[7].replace('"u": 0.', '"u": 0.1')
    (tmp_path / "text.trace").write_text("".join(lines))
    wrong = run("verify", file)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "✗ line 8 was changed" in wrong.stdout
    assert ", token 4 (line 8): u is 0.1" in wrong.stdout
    assert {f["what"] for f in json.loads(run("verify", file, "--json").stdout)["findings"]} == {"digest", "u"}


def test_replay_shows_another_recipe_on_the_same_text(tmp_path):
    file = saved(tmp_path / "text.trace", "-r", "temperature(1.0)")
    shown = ok("replay", file, "-r", "temperature(0.5) | top_k(2)").stdout
    assert "now       temperature(0.5) | top_k(2)" in shown
    assert "impossible" in shown
    data = json.loads(ok("replay", file, "-r", "temperature(0.5) | top_k(2)", "--json").stdout)
    assert (data["version"], len(data["tokens"])) == (1, 12)
    drawn = [token["drawn"] != token["id"] for token in data["tokens"]]
    assert data["parts_at"] == drawn.index(True)
    step = json.loads(ok("replay", file, "--step", "3", "--json").stdout)
    assert step == json.loads(
        ok("explain", TEXT, "-r", "temperature(1.0)", "--seed", "4", "--step", "3", "--json").stdout
    )
    other = json.loads(ok("replay", file, "--step", "3", "--top-k", "2", "--json").stdout)
    assert other["recipe"] == "top_k(2)"


def test_replay_fits_a_small_terminal(tmp_path):
    file = saved(tmp_path / "text.trace")
    shown, code = in_terminal(["replay", file, "-r", "top_k(2)"], width=44)
    assert code == 0
    plain = [line for line in shown.replace("\r", "").split("\n") if "\x1b" not in line]
    assert max(map(len, plain)) <= 44


def test_ctrl_c_leaves_a_file_that_verifies(tmp_path):
    path = tmp_path / "text.trace"
    options = ["--max-new-tokens", "400", "--seed", "1", "--save-trace", str(path)]

    def interrupt(pid):
        import os
        import signal

        os.kill(pid, signal.SIGINT)

    begun = lt.generate(TEXT, seed=1, max_new_tokens=5).text.encode()
    _, code = in_terminal(["generate", TEXT, *options], until=begun, act=interrupt)
    assert code == 130
    assert json.loads(ok("verify", str(path), "--json").stdout)["right"] is True


def test_wrong_files_and_options_are_one_clear_line(tmp_path):
    for args, message in [
        (["verify", "nowhere.trace"], "error: cannot read the trace file nowhere.trace: No such file or directory"),
        (["verify", str(tmp_path)], "error: cannot read the trace file"),
        (["generate", TEXT, "--save-trace", "no/such/x"], "error: cannot write the trace file no/such/x: there is no"),
        (["generate", TEXT, "--trace-top", "5"], "error: --trace-top needs --save-trace"),
        (["replay", __file__, "-r", "greedy"], "not a JSON object with a digest"),
    ]:
        result = run(*args)
        assert (result.returncode, result.stderr.count("\n"), "Traceback" in result.stderr) == (2, 1, False)
        assert message in result.stderr


def test_a_full_disk_ends_in_one_line(tmp_path):
    command = [*COMMAND, "generate", TEXT, "--save-trace", "/dev/full"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
    assert "No space left on device" in result.stderr
