"""The command line as people meet it: real processes, real pipes, a real pseudo-terminal, real signals."""

import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import logitherm as lt

COMMAND = [sys.executable, "-m", "logitherm"]
TEXT = "The cat slept on the"


def run(*args, stdin="", env=None):
    environment = {**os.environ, "COLUMNS": "100", **(env or {})}
    return subprocess.run([*COMMAND, *args], input=stdin, capture_output=True, text=True, env=environment, timeout=60)


def ok(*args, **kwargs):
    result = run(*args, **kwargs)
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    return result


def mind_ctrl_c():
    """In a child: what a shell's background job or a CI runner may have switched off, and a terminal has not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def in_terminal(args, width=60, until=None, act=None, seconds=30):
    """Run in a pseudo-terminal of that width; once `until` is on the screen, act(pid). Returns output and exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
        mind_ctrl_c()
        # An explicit environment: readline, which pytest loads, may have put COLUMNS where os.environ cannot see it.
        clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | {"TERM": "xterm-256color"}
        os.execve(sys.executable, [*COMMAND, *args], clean)
    seen, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                chunk = os.read(fd, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        if until and act and until in seen:
            act(pid)
            until = None
    _, status = os.waitpid(pid, 0)
    return seen.decode(), os.waitstatus_to_exitcode(status)


# -- generate --------------------------------------------------------------------------------------------------------


def test_generate_writes_the_text_alone_to_standard_output():
    result = ok("generate", TEXT, "--seed", "4", "--max-new-tokens", "20")
    assert result.stdout == lt.generate(TEXT, seed=4, max_new_tokens=20).text + "\n"
    assert "recipe: temperature(0.8) | top_p(0.95)  (default; no generation_config is applied)" in result.stderr
    assert "seed: 4" in result.stderr
    assert ok("generate", TEXT, "--seed", "4", "--max-new-tokens", "20", "-q").stderr == ""


def test_a_fresh_seed_is_printed_and_makes_the_text_again():
    first = ok("generate", TEXT, "--max-new-tokens", "12")
    seed = re.search(r"seed: (\d+)", first.stderr).group(1)
    assert ok("generate", TEXT, "--max-new-tokens", "12", "--seed", seed).stdout == first.stdout
    assert seed not in ok("generate", TEXT, "--max-new-tokens", "1").stderr


def test_generate_json_is_the_contract():
    result = ok("generate", TEXT, "-r", "temperature(0.7) | top_k(3)", "--max-new-tokens", "5", "--seed", "9", "--json")
    data = json.loads(result.stdout)
    assert set(data) == {"version", "prompt", "text", "stop", "seed", "chat", "system", "recipe", "tokens"}
    assert (data["version"], data["prompt"], data["seed"], data["stop"]) == (1, TEXT, 9, "max_new_tokens")
    assert data["recipe"] == "temperature(0.7) | top_k(3)"
    assert "".join(t["text"] for t in data["tokens"]) == data["text"]
    for token in data["tokens"]:
        assert set(token) == {
            "id", "text", "raw_p", "final_p", "temperature", "raw_entropy", "final_entropy", "kept", "leading",
        }  # fmt: skip
        assert (token["temperature"], token["kept"]) == (0.7, 3)
    assert result.stderr == ""


def test_samples_count_their_seeds_on():
    result = ok("generate", TEXT, "-n", "3", "--seed", "5", "--max-new-tokens", "8", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["seed"] for line in lines] == [5, 6, 7]
    printed = ok("generate", TEXT, "-n", "3", "--seed", "5", "--max-new-tokens", "8")
    assert [line for line in printed.stderr.splitlines() if "seed" in line] == ["seed: 5", "seed: 6", "seed: 7"]
    plain = printed.stdout
    assert plain == "\n\n".join(line["text"] for line in lines) + "\n"


def test_flags_build_a_chain_in_a_named_order_and_print_it():
    flags = ["--temperature", "0.8", "--top-k", "20", "--top-p", "0.9", "--min-p", "0.05", "--max-new-tokens", "1"]
    assert "temperature(0.8) | top_k(20) | top_p(0.9) | min_p(0.05)  (in the order of transformers)" in (
        ok("generate", TEXT, *flags).stderr
    )
    assert "top_k(20) | top_p(0.9) | min_p(0.05) | temperature(0.8)  (in the order of llama.cpp)" in (
        ok("generate", TEXT, *flags, "--order", "llama.cpp").stderr
    )


def test_prompts_from_arguments_files_and_standard_input(tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_text(TEXT + "\n")
    options = ["--seed", "1", "--max-new-tokens", "3", "--json"]
    expected = ok("generate", TEXT, *options).stdout
    for content in (b"\xef\xbb\xbf" + TEXT.encode(), TEXT.encode() + b"\r\n"):
        file.write_bytes(content)
        assert ok("generate", "--file", str(file), *options).stdout == expected
    assert ok("generate", "--file", str(file), *options).stdout == expected
    assert ok("generate", *options, stdin=TEXT + "\n").stdout == expected
    assert ok("generate", "-", *options, stdin=TEXT).stdout == expected


def test_show_steps_prints_the_growing_sentence():
    result = ok("generate", TEXT, "--show-steps", "--temperature", "0.5", "--seed", "2", "--max-new-tokens", "4")
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["step", "final", "p", "T", "raw", "nats", "kept", "text"]
    sentences = [line.partition(TEXT)[2] for line in lines]
    assert len(lines) == 4
    assert all(after.startswith(before) for before, after in itertools.pairwise(sentences))
    assert sentences[-1] == lt.generate(TEXT, "temperature(0.5)", seed=2, max_new_tokens=4).text


def test_show_steps_in_a_terminal_fits_into_lines():
    shown, code = in_terminal(["generate", TEXT, "--show-steps", "--seed", "2", "--max-new-tokens", "12"], width=80)
    assert code == 0
    steps = [line.rstrip() for line in shown.splitlines() if line[:4].strip().isdigit()]
    assert len(steps) == 12
    assert max(map(len, steps)) <= 80
    assert "…" in steps[-1]


def test_stop_strings_from_the_shell():
    greedy = ok("generate", "The c", "-r", "greedy", "-m", "toy", "--json", "--stop", r"\n", "--stop", "slept")
    assert (json.loads(greedy.stdout)["text"], json.loads(greedy.stdout)["stop"]) == ("at ", "stop_string")
    newline = ok("generate", "the dog dreamt", "--seed", "3", "-m", "toy", "--json", "--stop", r"\n")
    assert json.loads(newline.stdout)["stop"] == "newline"


def test_a_pipe_gets_text_as_it_comes():
    arguments = ["generate", TEXT, "-q", "--seed", "1", "--max-new-tokens", "450"]
    arrivals = []
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE) as process:
        while chunk := os.read(process.stdout.fileno(), 65536):
            arrivals.append(chunk)
    assert process.returncode == 0
    assert len(arrivals) > 5


def test_a_closed_pipe_ends_in_one_line():
    process = subprocess.Popen(
        [*COMMAND, "generate", TEXT, "-r", "neutral", "--max-new-tokens", "400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.read(5)
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert complaint.splitlines()[2:] == ["error: the output was closed before everything was written"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_keeps_what_was_written_and_exits_130(options):
    arguments = ["generate", TEXT, "-n", "500", "--max-new-tokens", "400", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": mind_ctrl_c}
    with subprocess.Popen([*COMMAND, *arguments], **pipes) as process:
        first = "" if options else process.stdout.read(1)
        time.sleep(3.0 if options else 0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    if options:
        texts = [json.loads(line) for line in out.splitlines()]
        assert "interrupted" in [t["stop"] for t in texts]
        assert all(t["tokens"] for t in texts)
    else:
        assert len(first + out) > 10
        assert out.endswith("\n")


def test_ctrl_c_in_a_terminal():
    def interrupt(pid):
        os.kill(pid, signal.SIGINT)

    seen, code = in_terminal(
        ["generate", TEXT, "-r", "neutral", "--max-new-tokens", "480"], until=b"seed: ", act=interrupt
    )
    assert code == 130
    assert "Traceback" not in seen


# -- explain ---------------------------------------------------------------------------------------------------------


def test_explain_logits_is_the_contract():
    result = ok(
        "explain", "--logits=1.2,2.0,3.5,3.0,1.8,1.0", "--tokens=wonderful,cloudy,nice,hot,gloomy,delicious",
        "-r", "top_k(3) | top_p(0.8)", "--top", "2", "--seed", "7", "--json",
    )  # fmt: skip
    data = json.loads(result.stdout)
    assert set(data) >= {"version", "recipe", "stages", "critical", "draw"}
    assert [s["stage"] for s in data["stages"]] == ["raw", "after top_k(3)", "after top_p(0.8)"]
    assert [t["text"] for t in data["stages"][0]["tokens"]] == ["nice", "hot"]
    assert data["draw"]["text"] == "hot"
    library = lt.explain(
        recipe="top_k(3) | top_p(0.8)",
        logits=[1.2, 2.0, 3.5, 3.0, 1.8, 1.0],
        tokens=["wonderful", "cloudy", "nice", "hot", "gloomy", "delicious"],
        top=2,
        seed=7,
    )
    assert data == json.loads(json.dumps(library.to_dict()))
    assert data["critical"]


def test_explain_reads_numpy_files(tmp_path):
    file = tmp_path / "row.npy"
    np.save(file, np.array([[1.0, -np.inf, 3.0]], dtype=np.float32))
    data = json.loads(ok("explain", "--logits", str(file), "-r", "top_k(1)", "--json").stdout)
    assert [s["kept"] for s in data["stages"]] == [2, 1]
    assert data["stages"][0]["tokens"][2] == {"id": 1, "text": None, "logit": None, "p": 0.0}


def test_explain_tells_why_generate_drew_each_token():
    options = ["-r", "temperature(0.9) | top_p(0.9)", "--seed", "11"]
    text = json.loads(ok("generate", TEXT, *options, "--max-new-tokens", "4", "--json").stdout)
    for step in (1, 2, 4):
        trace = json.loads(ok("explain", TEXT, *options, "--step", str(step), "--json").stdout)
        token = text["tokens"][step - 1]
        assert (trace["draw"]["id"], trace["draw"]["text"]) == (token["id"], token["text"])
        assert trace["draw"]["p"] == pytest.approx(token["final_p"], rel=1e-12)
        assert trace["stages"][0]["entropy"] == pytest.approx(token["raw_entropy"], rel=1e-12)
        assert (trace["stages"][-1]["kept"], trace["position"]) == (token["kept"], step - 1)


@pytest.mark.parametrize("width", [40, 80, 140])
def test_explain_in_a_terminal(width):
    seen, code = in_terminal(["explain", TEXT, "--seed", "1", "-r", "top_k(50) | top_p(0.9)"], width=width)
    assert code == 0
    assert "\x1b[" in seen  # colours
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert max(len(line.rstrip("\r")) for line in plain.split("\n")) <= width
    assert "lands in" in plain


def test_no_color_and_pipes_have_no_escapes():
    assert "\x1b" not in ok("explain", TEXT).stdout
    os.environ["NO_COLOR"] = "1"
    try:
        seen, _ = in_terminal(["explain", TEXT, "--seed", "1"])
    finally:
        del os.environ["NO_COLOR"]
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", seen)


# -- the other commands ----------------------------------------------------------------------------------------------


def test_version_help_and_completion():
    assert ok("--version").stdout == f"logitherm {lt.__version__}\n"
    for command in ("generate", "explain", "recipes", "models", "doctor"):
        assert command in ok("--help").stdout
        assert "Usage" in ok(command, "--help").stdout
    script = ok("--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}).stdout
    assert "logitherm" in script or "main" in script
    words = {"_LOGITHERM_COMPLETE": "complete_bash", "COMP_WORDS": "logitherm generate -r gr", "COMP_CWORD": "3"}
    installed = [
        sys.executable,
        "-c",
        "import sys; sys.argv = ['logitherm']; from logitherm.cli.main import main; main()",
    ]
    done = subprocess.run(installed, capture_output=True, text=True, env={**os.environ, **words})
    assert done.stdout.split() == ["greedy"]


def test_recipes_lists_rules_and_presets():
    text = ok("recipes").stdout
    data = json.loads(ok("recipes", "--json").stdout)
    assert {rule["name"] for rule in data["rules"]} == set(lt.REGISTRY)
    assert {preset["name"] for preset in data["presets"]} == set(lt.presets())
    for rule in data["rules"]:
        assert rule["name"] in text
        assert rule["source"]
        assert all(p["unit"] or p["allowed"] for p in rule["parameters"])
    assert "Keep the smallest set" in ok("recipes", "top_p").stdout
    assert "temperature(0.0)" in ok("recipes", "greedy").stdout


def test_models_and_doctor():
    assert "nutshell (default)" in ok("models").stdout
    assert [m["name"] for m in json.loads(ok("models", "--json").stdout)["models"]] == ["nutshell", "toy"]
    facts = json.loads(ok("doctor", "--json").stdout)
    assert facts["logitherm"] == lt.__version__
    assert facts["checks"] == {"sampling": "right", "nutshell": "right"}
    assert "plain" in ok("doctor").stdout


def test_doctors_known_draws_by_an_oracle():
    """The tokens that doctor expects, from integers and plain floats: nothing of ours but Philox, tested elsewhere."""
    from logitherm.cli.doctor import KNOWN_DRAWS
    from logitherm.rng import philox

    w = [np.exp(x / 1.5) for x in (1.0, 2.0, 3.0, 4.0)]
    kept = [x if sum(w[i + 1 :]) / sum(w) < 0.95 * (1 - 1e-6) else 0.0 for i, x in enumerate(w)]
    seed, drawn = 2**53 + 1, []
    for position in range(12):
        a, b, _, _ = philox((position, 0, 0, 0), (seed & 0xFFFFFFFF, seed >> 32))
        u = ((b << 32 | a) >> 11) / 2**53
        mass = np.cumsum(kept)
        drawn.append(int(np.searchsorted(mass, u * mass[-1], side="right")))
    assert drawn == KNOWN_DRAWS


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["generate", ""], 2, "the prompt is empty"),
        (["generate"], 2, "the prompt is empty"),
        (["generate", "word " * 2000], 2, "tokens; nutshell holds 512"),
        (["generate", TEXT, "-r", "temprature(1)"], 2, "did you mean 'temperature'?"),
        (["generate", TEXT, "-r", "temperature(-1)"], 2, "Temperature.t must be"),
        (["generate", TEXT, "-r", "|".join(["top_k(1)"] * 3000)], 2, "1 to 64 rules; got 3000"),
        (["generate", TEXT, "-r", "nowhere.toml"], 2, "cannot read the recipe file nowhere.toml"),
        (["generate", TEXT, "-r", "greedi"], 2, "did you mean 'greedy'?"),
        (["generate", TEXT, "--temperature", "-1"], 2, "Temperature.t must be a finite number >= 0"),
        (["generate", TEXT, "--top-p", "0"], 2, "TopP.p must be in (0, 1]; got 0.0"),
        (["generate", TEXT, "--top-p", "1.5"], 2, "TopP.p must be in (0, 1]; got 1.5"),
        (["generate", TEXT, "--top-k", "many"], 2, "--top-k"),
        (["generate", TEXT, "-r", "greedy", "--top-k", "3"], 2, "give either --recipe or --top-k, not both"),
        (["generate", TEXT, "--order", "vllm"], 2, "--order needs one of"),
        (["generate", TEXT, "--top-k", "3", "--order", "hf"], 2, "order must be one of"),
        (["generate", TEXT, "--max-new-tokens", "0"], 2, "max_new_tokens must be a whole number >= 1; got 0"),
        (["generate", TEXT, "-n", "0"], 2, "-n must be a whole number in [1, 1000000]; got 0"),
        (["generate", TEXT, "--seed", "-5"], 2, "seed must be in [0, 2**64 - 1]; got -5"),
        (["generate", TEXT, "--stop", ""], 2, "stop must be a list of non-empty strings"),
        (["generate", TEXT, "--show-steps", "--json"], 2, "--show-steps is for one text"),
        (["generate", TEXT, "--file", "x"], 2, "not both"),
        (["generate", "--file", "nowhere.txt"], 2, "cannot read the prompt file nowhere.txt: No such file"),
        (["generate", TEXT, "--model", "gpt2"], 1, "there is no model 'gpt2'"),
        (["generate", TEXT, "--model", "."], 1, "has no model.onnx"),
        (["explain", "--logits=1,nan"], 2, "NaN in the logits, first at token 1"),
        (["explain", "--logits=1,inf"], 2, "+inf in the logits, first at token 1"),
        (["explain", "--logits=-inf,-inf"], 2, "every token was removed in the logits"),
        (["explain", "--logits=1,two"], 2, "logits must be numbers with commas between them"),
        (["explain", "--logits="], 2, "logits must be numbers with commas between them"),
        (["explain", "--logits=nowhere.npy"], 2, "cannot read the logits file nowhere.npy: No such file"),
        (["explain", "--logits=1,2", "--tokens=a"], 2, "tokens must name each of the 2 logits; got 1"),
        (["explain", "--tokens=a", TEXT], 2, "--tokens needs --logits"),
        (["explain", TEXT, "--logits=1,2"], 2, "give either a prompt or --logits"),
        (["explain", TEXT, "--step", "0"], 2, "step must be a whole number >= 1; got 0"),
        (["explain", TEXT, "--top", "-1"], 2, "top must be a whole number >= 0; got -1"),
        (["explain", TEXT, "-m", "toy", "--seed", "3", "--step", "9000"], 2, "step must be at most"),
        (["recipes", "topp"], 2, "there is no rule or preset 'topp'"),
        (["frobnicate"], 2, "frobnicate"),
        (["generate", TEXT, "--frobnicate"], 2, "frobnicate"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_input_is_one_clear_line(args, code, message):
    result = run(*args)
    assert result.returncode == code, result.stderr
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if result.stderr.startswith("error: "):
        assert len(result.stderr.splitlines()) == 1


def test_a_recipe_file_with_a_typo_names_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('logitherm = 1\n[[rules]]\nrule = "top_p"\nq = 0.9\n')
    result = run("generate", TEXT, "-r", str(file))
    assert result.returncode == 2
    assert result.stderr == f"error: {file}: top_p has no parameter 'q'; it takes p\n"


def test_streams_that_are_closed_or_full():
    for tail in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        shell = f"{sys.executable} -m logitherm generate {tail}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2, tail
        assert "Traceback" not in done.stderr
    full = subprocess.run(["bash", "-c", " ".join(COMMAND) + " generate x > /dev/full"], capture_output=True, text=True)
    assert full.returncode == 1
    assert full.stderr.splitlines()[2:] == ["error: No space left on device"]


def test_a_prompt_that_is_no_text():
    done = subprocess.run([*COMMAND, "generate", b"\xff\xfe"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the prompt must be valid Unicode text" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 no zip", b"\x93NUMPY\x01\x00", np.array(["a"]), np.array([1j]), np.zeros(2, "datetime64[s]")],
    ids=["empty", "zip", "cut", "text", "complex", "dates"],
)
def test_numpy_files_that_hold_no_logits(tmp_path, content):
    file = tmp_path / "row.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)
    result = run("explain", "--logits", str(file))
    assert (result.returncode, result.stdout) == (2, "")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_text_is_no_markup():
    prompt = ":smile: [bold]x[/bold] "
    assert ok("generate", prompt, "--echo", "--max-new-tokens", "1").stdout.startswith(prompt)
    shown, _ = in_terminal(["generate", prompt, "--max-new-tokens", "1"], width=120)
    assert ":smile: [bold]x[/bold]" in shown
    assert "t_max=[inf, 2.0])" in ok("explain", TEXT, "-r", "dynamic_temperature(1.0, t_max=[inf, 2.0])").stdout


def test_bytes_that_are_not_text_on_standard_input():
    result = subprocess.run([*COMMAND, "generate"], input=b"\xff\xfe", capture_output=True)
    assert result.returncode == 2
    assert b"standard input must be UTF-8 text" in result.stderr


def test_a_missing_package_gives_the_install_command():
    code = """
import sys
sys.modules["onnxruntime"] = None
sys.argv = ["logitherm", "generate", "The cat"]
from logitherm.__main__ import main
main()
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "error: this model needs ONNX Runtime: pip install onnxruntime" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_terminal_without_utf_8_still_works():
    result = ok("explain", TEXT, "--seed", "1", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"})
    assert "lands in" in result.stdout
