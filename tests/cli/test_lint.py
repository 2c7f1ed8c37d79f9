"""`logitherm lint` and `logitherm recipes --json` as people meet them: real processes and real files."""

import json
import re

import pytest

import logitherm as lt
from tests.cli.test_cli import TEXT, in_terminal, ok, run


def test_a_clean_recipe_ends_with_0_and_remarks_with_1():
    assert ok("lint").stdout.endswith("nothing to remark\n")  # the preset default
    assert ok("lint", "code").stdout.startswith(" 1  temperature(0.2)\n 2  top_p(0.95)\n")
    assert ok("lint", "mirostat(3.0)").stdout.endswith("nothing to remark, 1 note\n")
    for args in (["top_k(20) | top_k(50)"], ["-r", "top_k(20) | top_k(50)"]):
        found = run("lint", *args)
        assert (found.returncode, found.stderr) == (1, "")
        assert "cannot-act (proven)  2 top_k(50)\n    with 1 top_k(20)\n" in found.stdout
        assert found.stdout.endswith("\n1 remark\n")
    flat = run("lint", "--temperature", "1.5", "--top-p", "0.9", "--top-k", "0")
    assert (flat.returncode, flat.stdout.count("hot-before-cut"), flat.stdout.count("cannot-act")) == (1, 1, 1)
    assert ok("lint", "--temperature", "1.5", "--top-p", "0.9", "--order", "llama.cpp").stderr == ""


def test_recipe_files_and_json(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('logitherm = 1\nrecipe = "top_p(0.9) | ban([3])"\n')
    found = run("lint", str(file), "--json")
    data = json.loads(found.stdout)
    assert (found.returncode, data["clean"], [r["code"] for r in data["remarks"]]) == (1, False, ["edit-after-cut"])
    quiet = json.loads(ok("lint", str(file), "--json", "--ignore", "edit-after-cut").stdout)
    assert (quiet["clean"], quiet["remarks"]) == (True, [])


def test_a_trace_file_of_its_own_recipe_and_another(tmp_path):
    file = str(tmp_path / "cat.trace")
    ok("generate", TEXT, "--seed", "4", "--max-new-tokens", "8", "--save-trace", file, "-r", "dry(0.8) | top_p(0.9)")
    own = run("lint", "--trace", file)
    assert re.search(r"^2  top_p\(0\.9\) +8 of 8 ", own.stdout, re.MULTILINE)
    assert (own.returncode, own.stdout.count("did-not-act (seen)  1 dry(")) == (1, 1)  # no repeat in eight tokens
    data = json.loads(run("lint", "top_k(4095) | top_k(4096)", "--trace", file, "--json").stdout)
    assert [r["code"] for r in data["remarks"]] == ["cannot-act"]
    assert [(a["acted"], a["removed"]) for a in data["acted"]] == [(8, 1.0), (0, 0.0)]


def test_it_fits_a_small_terminal(tmp_path):
    file = str(tmp_path / "cat.trace")
    ok("generate", TEXT, "--seed", "4", "--max-new-tokens", "8", "--save-trace", file)
    shown, code = in_terminal(["lint", "top_k(20) | repetition(1.2) | xtc(0.5, protect=[])", "--trace", file], width=44)
    assert code == 1
    plain = [line for line in shown.replace("\r", "").split("\n") if "\x1b" not in line]
    assert max(map(len, plain)) <= 44


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["topk(3)"], "unknown rule 'topk'; did you mean 'top_k'?"),
        (["top_k(3)", "-r", "top_k(3)"], "give the recipe either as an argument or as --recipe, not both"),
        (["top_k(3)", "--top-k", "3"], "give either --recipe or --top-k, not both"),
        (["nowhere.toml"], "cannot read the recipe file nowhere.toml: No such file or directory"),
        (["default", "--trace", "nowhere"], "cannot read the trace file nowhere: No such file or directory"),
        (["--trace", __file__], "not a JSON object with a digest"),
        (["default", "--ignore", "all"], "ignore must be a list of codes among cannot-act"),
        ([""], "the recipe is empty"),
    ],
)
def test_wrong_input_is_one_clear_line(args, message):
    found = run("lint", *args)
    assert (found.returncode, found.stdout, "Traceback" in found.stderr) == (2, "", False)
    assert found.stderr.count("\n") == 1
    assert message in found.stderr


# -- recipes --json ----------------------------------------------------------------------------------------------------

WORDS = "yes", "some", "no"


def test_recipes_json_tells_all_of_every_rule():
    rules = {rule["name"]: rule for rule in json.loads(ok("recipes", "--json").stdout)["rules"]}
    assert set(rules) == set(lt.REGISTRY)
    for name, rule in rules.items():
        kind = lt.REGISTRY[name]
        assert set(rule) == {"name", "summary", "parameters", "neutral", "source", "kernel", "about"}
        assert len(rule["source"]) > 20, name
        assert "Example:" not in rule["source"], name
        assert set(rule["kernel"]) == {"first", "after_cut", "after_edit", "apply"}
        assert set(rule["kernel"].values()) <= set(WORDS)
        for parameter in rule["parameters"]:
            assert set(parameter) == {"name", "unit", "allowed", "default", "required", "neutral"}
            assert parameter["allowed"], (name, parameter)
            assert parameter["unit"] or " | " in parameter["allowed"], (name, parameter)
        given = {p["name"]: p["neutral"] for p in rule["parameters"] if p["neutral"] is not None}
        assert given == (rule["neutral"] or {}), name
        assert (rule["neutral"] is None) == (kind.neutral is None)
    assert rules["mirostat"]["neutral"] == {"tau": "inf"}
    assert "1dcde41d" in rules["quadratic"]["source"]  # which stands on its second line
    assert rules["top_p"]["parameters"][0] == {
        "name": "p",
        "unit": "probability mass",
        "allowed": "in (0, 1]",
        "default": None,
        "required": True,
        "neutral": 1.0,
    }


def test_what_kernels_cover_is_what_the_plan_does(monkeypatch):
    """Every rule, against the plans of chains with its examples."""
    monkeypatch.delenv("LOGITHERM_PLAN", raising=False)
    before = {"first": [], "after_cut": [lt.TopK(3)], "after_edit": [lt.parse("frequency(0.5)")], "apply": []}
    for rule in json.loads(ok("recipes", "--json").stdout)["rules"]:
        kind = lt.REGISTRY[rule["name"]]
        for place, found in rule["kernel"].items():
            verb = "apply" if place == "apply" else "step"
            chains = [lt.Sampler(*before[place], kind(**parameters)) for parameters in kind.examples]
            asked = [chain.plan(verb).kernel is not None for chain in chains]
            assert found == ("yes" if all(asked) else "some" if any(asked) else "no"), (rule["name"], place)
