"""Traps of order and of company: what is remarked on, and what is not."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import logitherm as lt
from logitherm.remarks.form import CODES, KINDS
from tests.rows import examples, kept, name


def said(recipe):
    """Codes but for notes, each with the places of its rules."""
    return [(r.code, *(c.index for c in r.rules)) for r in lt.lint(recipe).remarks if r.kind != "note"]


TABLE = [
    # as engines have it, and as presets have it: nothing
    ("temperature(0.8) | top_k(40) | top_p(0.95) | min_p(0.05)", []),  # transformers
    ("temperature(0.8) | min_p(0.05) | top_k(40) | top_p(0.95)", []),  # vLLM
    ("top_n_sigma(1.0) | top_k(40) | typical(0.9) | min_p(0.05) | xtc(0.5) | temperature(1.2)", []),  # llama.cpp
    (
        "bias([[3, 1.0]]) | repetition(1.1) | frequency(0.1) | presence(0.1) | dry(0.8) | top_k(40)",
        [("sign-moved", 1, 0)],
    ),
    ("repetition(1.1) | frequency(0.1) | presence(0.1) | dry(0.8) | top_k(40) | temperature(0.8)", []),
    ("min_p(0.05) | temperature(1.5)", []),
    ("min_p(0.05) | adaptive_p(0.4)", []),
    ("temperature(0.7) | mirostat(3.0)", []),
    ("temperature(1.5) | repetition(1.2)", []),  # dividing moves no sign and no order: the same as the other way round
    # rules on single tokens that come late
    ("top_k(20) | repetition(1.2)", [("edit-after-cut", 1, 0)]),
    ("top_p(0.9) | tfs(0.5) | ban([1])", [("edit-after-cut", 2, 0, 1)]),
    ("temperature(0.0) | ban([1])", [("edit-after-cut", 1, 0)]),
    ("mirostat(3.0) | bias([[1, 2.0]])", [("edit-after-cut", 1, 0), ("not-last", 0, 1)]),
    ("ban([1]) | repetition(1.2) | top_k(20)", []),
    ("top_k(0) | repetition(1.2)", [("cannot-act", 0)]),  # what is off is no cut
    # signs
    ("frequency(0.5) | repetition(1.2)", [("sign-moved", 1, 0)]),
    ("quadratic(0.3) | length_decay(1.1)", [("sign-moved", 1, 0)]),
    ("repetition(1.2) | frequency(0.5)", []),
    # measures of the whole row
    ("top_k(40) | top_n_sigma(1.0)", [("measure-after-cut", 1, 0)]),
    ("top_p(0.9) | min_k(3.0)", [("measure-after-cut", 1, 0)]),
    ("temperature(2.0) | top_n_sigma(1.0)", []),
    # heat before a cut
    ("temperature(1.5) | top_p(0.9)", [("hot-before-cut", 0, 1)]),
    ("temperature(1.5) | top_k(40) | min_p(0.1) | typical(0.9)", [("hot-before-cut", 0, 2, 3)]),
    ("temperature(linear(0.9, 1.4, steps=9)) | top_p(0.9)", []),
    ("temperature(linear(1.2, 1.4, steps=9)) | top_p(0.9)", [("hot-before-cut", 0, 1)]),
    ("xtc(0.5) | min_p(0.05)", [("xtc-before-cut", 0, 1)]),
    # features of the raw row
    ("top_k(40) | edt(1.0, 1.0)", [("raw-after-cut", 1, 0)]),
    ("top_k(40) | edt(1.0, 1.0, of='kept')", []),
    ("top_k(40) | dynatemp(0.5, 1.5)", []),
    ("edt(1.0, 1.0) | top_k(40)", []),
    ("top_k(40) | dynamic_temperature(0.7, running_perplexity=0.01, t_max=2.0)", []),  # no feature of the row
    # feedback
    ("mirostat(3.0) | top_p(0.9)", [("not-last", 0, 1)]),
    ("adaptive_p(0.4) | temperature(0.7) | top_k(3)", [("not-last", 0, 1, 2)]),
    ("top_k(40) | entropy_rate(2.0, 0.1)", [("unseen-by-feedback", 1, 0)]),
    ("entropy_rate(2.0, 0.1) | temperature(0.7)", [("unseen-by-feedback", 0, 1)]),
    ("top_k(40) | entropy_rate(2.0, 0.1, of='final') | temperature(0.7)", []),
    ("repetition(1.1) | entropy_rate(2.0, 0.1)", []),
    ("entropy_rate(2.0, 0.1, of='final') | mirostat(3.0)", [("two-controllers", 0, 1)]),
    # promises
    ("target_entropy(2.0) | temperature(0.7)", [("undone", 0, 1)]),
    ("target_entropy(2.0) | top_p(0.9)", [("undone", 0, 1)]),
    ("entropy_cap(2.0) | top_p(0.9)", []),  # a cut mostly lowers the entropy
    ("entropy_cap(2.0) | temperature(0.7)", [("undone", 0, 1)]),
    ("temperature(0.7) | entropy_cap(2.0)", []),
    ("risk_budget(0.1) | top_k(40)", [("undone", 0, 1)]),
    ("top_p(0.9) | target_entropy(2.0)", []),
    # families
    ("temperature(0.8) | temperature(0.5)", [("temperatures-multiply", 0, 1)]),
    ("temperature(0.8) | top_k(5) | dynatemp(0.5, 1.5)", [("temperatures-multiply", 0, 2)]),
    ("top_p(0.5) | top_p(0.9)", [("same-family", 0, 1)]),
    ("typical(0.9) | top_p(0.9)", [("same-family", 0, 1)]),
    ("top_k(50) | top_p(0.9) | top_k(20)", [("same-family", 0, 2)]),
    ("top_p(0.5) | typical(0.9) | top_p(0.9)", [("same-family", 0, 1, 2)]),
    ("ban([1]) | ban([2])", []),
    # bounds
    ("dynamic_temperature(0.1, entropy=0.8)", [("unbounded", 0)]),
    ("dynamic_temperature(0.1, entropy=0.8, t_max=1.5)", []),
    ("dynamic_temperature(1.5, max_p=-0.4, normalised_entropy=0.2)", []),
    ("dynamic_temperature(1.5, entropy=-0.1)", []),
    # nothing is left
    ("ban([1, 2]) | allow([2, 1])", [("empties", 0, 1)]),
    ("allow([1, 2]) | allow([3])", [("empties", 0, 1)]),
    ("allow([1]) | bias([[1, -inf]])", [("empties", 0, 1)]),
    ("forced_eos(5) | min_new_tokens(5)", [("empties", 0, 1)]),
    ("min_new_tokens(4) | forced_eos(5)", []),
    ("min_new_tokens(9, eos=[1]) | forced_eos(5, eos=[1, 2])", []),
    ("min_new_tokens(9, eos=[1, 2]) | forced_eos(5, eos=[1])", [("empties", 1, 0)]),
]


@pytest.mark.parametrize(("recipe", "expected"), TABLE)
def test_what_is_remarked_on(recipe, expected):
    assert said(recipe) == expected


def test_presets_are_clean():
    for preset in lt.presets().values():
        assert lt.lint(preset.name).remarks == (), preset


@pytest.mark.parametrize("rule", examples(), ids=name)
def test_a_single_rule_that_acts_has_notes_at_most(rule):
    assert {code for code, *_ in said(rule)} <= {"unbounded"}
    assert {r.kind for r in lt.lint(rule).remarks} <= {"note", "advice"}


def test_the_equivalent_min_p_is_the_equivalent():
    """min_p(m) after a temperature t keeps what min_p(m^t) keeps before it."""
    (remark,) = lt.lint("temperature(1.5) | min_p(0.04)").remarks
    assert "min_p(0.008)" in remark.what
    for seed in range(50):
        x = np.random.default_rng(seed).normal(scale=3, size=(1, 200))
        hot = kept(lt.parse("temperature(1.5) | min_p(0.04)"), x)
        assert hot == kept(lt.parse("min_p(0.008)"), x)
        assert hot != kept(lt.parse("min_p(0.04)"), x) or seed
    for recipe in ("temperature(1.5) | edt(1.0, 1.0) | min_p(0.04)", "temperature(1.5) | top_p(0.9)"):
        assert not any("min_p(0.0" in r.what for r in lt.lint(recipe).remarks)


def test_a_min_p_after_a_cool_temperature_is_noted_with_what_it_is():
    (note,) = lt.lint("temperature(0.5) | top_k(40) | min_p(0.04)").remarks
    assert (note.code, note.kind, [c.index for c in note.rules]) == ("cool-before-min-p", "note", [2, 0])
    assert "min_p(0.2)" in note.what
    for recipe in (
        "min_p(0.04) | temperature(0.5)",
        "dynatemp(0.2, 0.5) | min_p(0.04)",
        "temperature(0.5) | top_p(0.9)",
    ):
        assert lt.lint(recipe).remarks == ()
    split = lt.lint("temperature(0.5) | edt(1.0, 1.0) | min_p(0.04)").remarks
    assert "cool-before-min-p" not in {r.code for r in split}


def test_proven_to_leave_nothing_is_an_error_in_fact():
    for recipe in ("ban([1, 2]) | allow([2, 1])", "forced_eos(3, eos=[1]) | min_new_tokens(3, eos=[1])"):
        sampler = lt.parse(recipe)
        state = sampler.start([[0, 0]], seed=1)
        for _ in range(2):
            state = sampler.observe(np.zeros((1, 5)), state, [0]).state
        with pytest.raises(lt.LogitsError, match="every token was removed"):
            sampler.step(np.zeros((1, 5)), state)


def test_defaults_that_act_are_noted():
    notes = {r.rules[0].rule: r.what for r in lt.lint("xtc(0.5) | mirostat(3.0, eta=0.2)").remarks if r.kind == "note"}
    assert set(notes) == {"xtc(0.5)"}
    assert "threshold=0.1" in notes["xtc(0.5)"]
    text = " ".join(r.what for r in lt.lint("dynamic_temperature(0.5, max_p=-0.2)").remarks)
    assert "window" not in text
    running = lt.lint("dynamic_temperature(0.5, running_perplexity=0.1, t_max=2.0)").remarks
    assert [r.code for r in running] == ["default-on"]
    assert "window=16" in running[0].what
    assert lt.lint("xtc(0.5)").clean
    assert not lt.lint("top_k(0) | xtc(0.5)").clean


def test_codes_can_be_left_out_and_wrong_ones_are_refused():
    assert lt.lint("top_k(3) | repetition(1.2)", ignore=["edit-after-cut"]).remarks == ()
    for wrong in (["edit"], "edit-after-cut"):
        with pytest.raises(lt.RecipeError, match="ignore must be a list of codes among cannot-act"):
            lt.lint("top_k(3)", ignore=wrong)


def test_every_code_has_its_row_on_the_page_and_is_seen_in_a_test():
    page = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(CODES)
    here = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in CODES if f'"{code}"' not in here] == []


def test_somebodys_own_rule_is_passed_over():
    from dataclasses import dataclass

    from logitherm import Rule
    from logitherm.rules.base import REGISTRY

    @dataclass(frozen=True)
    class Odd(Rule, name="lint_odd"):
        """Nothing is known of it."""

        examples = ({},)

        def apply(self, logits, at):
            return -logits

    try:
        assert said(lt.Sampler(lt.TopK(3), Odd())) == []
        assert said(lt.Sampler(lt.TopP(0.9), Odd(), lt.Temperature(0.0))) == []  # the last may now be the first
        assert said(lt.Sampler(lt.TopK(3), Odd(), lt.TopK(5))) == [("same-family", 0, 2)]
    finally:
        del REGISTRY["lint_odd"]


def test_a_remark_is_a_plain_record():
    found = lt.lint("top_k(3) | top_k(5)")
    (remark,) = found.remarks
    data = json.loads(json.dumps(found.to_dict()))
    assert {name: data[name] for name in ("version", "recipe", "clean", "rules", "steps", "acted")} == {
        "version": 1,
        "recipe": "top_k(3) | top_k(5)",
        "clean": False,
        "rules": ["top_k(3)", "top_k(5)"],
        "steps": None,
        "acted": [],
    }
    places = [{"index": 1, "rule": "top_k(5)"}, {"index": 0, "rule": "top_k(3)"}]
    said = {"code": "cannot-act", "kind": "proven", "rules": places, "what": remark.what, "advice": remark.advice}
    assert data["remarks"] == [said]
    assert remark.kind in KINDS
    assert hash(remark) == hash(lt.lint("top_k(3) | top_k(5)").remarks[0])
    assert str(found).endswith("1 remark")
