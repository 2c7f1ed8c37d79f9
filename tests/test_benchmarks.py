"""What the benchmarks stand on: peers that do the same, results that survive, verdicts that tell."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("numba")

from benchmarks import alike, machine, ours
from benchmarks.cases import FIRST, full, quick
from benchmarks.one_step import KERNEL, LLAMA, STEP, THEIRS, TORCH, contenders, like_ours, peers
from benchmarks.page import page
from benchmarks.recipes import ENTROPY, RECIPES, TOP_P, Recipe
from benchmarks.rows import entropy, rows, without_ties
from benchmarks.store import Store
from benchmarks.targets import Target, targets
from benchmarks.turns import Contender, described, hot

SIZE = 2000
FOUND = {name: {"median": 10.0, "mean": 11.0, "p10": 9.0, "p90": 12.0, "calls": 5.0} for name in (STEP, KERNEL, TORCH)}
FOUND |= {
    "np.max": dict.fromkeys(("median", "mean", "p10", "p90", "calls"), 8.0),
    THEIRS: dict.fromkeys(("median", "mean", "p10", "p90", "calls"), 950.0),
}


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("kind", ["peaked", "flat", "noise"])
def test_every_peer_draws_from_what_we_draw_from(recipe, kind):
    row = rows(kind, SIZE, 4)[0]
    for name, peer in peers(recipe, SIZE).items():
        expected = ours.probabilities(like_ours(name, recipe), row)
        alike.check(name, expected, peer.probabilities(row), row, peer.close)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TOP_P, Recipe("top_p(0.94)", p=0.94)),
        (Recipe("top_k(50)", k=50), Recipe("top_k(49)", k=49)),
        (Recipe("temperature(0.8)", t=0.8), Recipe("temperature(0.801)", t=0.801)),
        (ENTROPY, TOP_P),
    ],
)
def test_a_peer_that_does_something_else_is_found_out(one, other):
    row = rows("flat", SIZE, 4)[0]
    with pytest.raises(AssertionError, match="mass"):
        alike.check("it", ours.probabilities(one, row), ours.probabilities(other, row), row, 1e-5)


def test_tokens_that_tie_at_the_cut_may_stay_or_not():
    row = np.log(np.array([0.5, 0.3, 0.1, 0.1], dtype=np.float32))
    all_of_them, one_less = np.array([0.5, 0.3, 0.1, 0.1]), np.array([0.5, 0.3, 0.1, 0.0]) / 0.9
    alike.check("it", all_of_them, one_less, row, 1e-5)


def test_rows_are_what_the_page_says():
    assert entropy(rows("peaked", 50_000, 1)[0]) == pytest.approx(2.0, abs=0.1)
    assert entropy(rows("flat", 50_000, 1)[0], 0.8) == pytest.approx(6.5, abs=0.01)
    assert len(np.unique(rows("bf16", 50_000, 4)[0])) < len(np.unique(without_ties("bf16", 50_000))) / 10


def test_llama_cpp_and_transformers_have_no_rule_for_the_entropy():
    assert like_ours(THEIRS, ENTROPY) is TOP_P
    assert like_ours(LLAMA, ENTROPY) is TOP_P
    assert like_ours(TORCH, ENTROPY) is ENTROPY


def test_contenders_run_and_are_timed_in_turns(monkeypatch):
    monkeypatch.delenv("LOGITHERM_PLAN", raising=False)  # they are about the kernels
    ours.compiled()
    for batch in (1, 3):
        logits = rows("flat", SIZE, 2 * batch).reshape(2, batch, SIZE)
        found = hot(contenders(TOP_P, logits, without_ties("flat", SIZE)), 0.0, least=1)
        assert {STEP, KERNEL, THEIRS, TORCH} <= found.keys()
        assert all(0 < times["p10"] <= times["median"] <= times["p90"] for times in found.values())


def test_what_made_ready_is_not_in_the_rest():
    found = hot({"it": Contender(lambda turn: 1.0, rest="the rest")}, 0.0, least=1)
    assert found["the rest"]["median"] == pytest.approx(found["it"]["median"] - 1e6, abs=100)


def test_a_run_that_was_broken_off_goes_on(tmp_path):
    store = Store(tmp_path / "bench" / "run.jsonl")
    assert store.open(fresh=False) == {}
    store.add(("hot", 5, "peaked"), FOUND, load=0.5)
    with store.path.open("a") as file:
        file.write('{"key": ["half')
    assert store.open(fresh=False) == {("hot", 5, "peaked"): FOUND}
    assert Store(store.path).open(fresh=True) == {}


def test_a_cut_off_line_does_not_spoil_the_next(tmp_path):
    store = Store(tmp_path / "run.jsonl")
    store.open(fresh=False)
    with store.path.open("a") as file:
        file.write('{"key": ["half')
    store.open(fresh=False)
    store.add(("memory", 5), FOUND, load=0.5)
    assert store.read() == {("memory", 5): FOUND}


@pytest.mark.parametrize("why", ["finished", "other code"])
def test_what_is_finished_or_of_other_code_begins_anew(tmp_path, why, monkeypatch):
    store = Store(tmp_path / "run.jsonl")
    store.open(fresh=False)
    store.add(("memory", 5), FOUND, load=0.5)
    if why == "finished":
        store.finish()
    else:
        monkeypatch.setattr(machine, "stamp", lambda: {"sources": "others"})
    assert store.read() == {("memory", 5): FOUND}
    assert store.open(fresh=False) == {}


def test_verdicts():
    assert Target("it", 90, 90.0, 100.0).verdict == "met"
    assert Target("it", 90, 89.9, 100.0).verdict == "met by the kernel only"
    assert Target("it", 90, 80.0, 85.0).verdict == "missed"
    assert Target("it", 4, None, 3.9, most=True).verdict == "met"
    assert Target("it", 4, None, 4.1, most=True).verdict == "missed"
    assert Target("it", 4, None, None).verdict == "not measured"
    assert Target("it", 1.5, 1.496, None).cells()[2:] == ["1.50×", "–", "missed"]


def test_a_target_is_the_worse_of_peaked_and_flat_by_the_best_of_their_threads():
    text = "temperature(0.8)"
    slower = FOUND | {STEP: FOUND[STEP] | {"median": 20.0}, f"{THEIRS}, 2 threads": FOUND[THEIRS] | {"median": 800.0}}
    first = next(targets({("hot", FIRST, 1, "peaked", text): FOUND, ("hot", FIRST, 1, "flat", text): slower}))
    assert (first.step, first.kernel) == (40.0, 80.0)


def test_a_page_of_little_has_no_numbers_that_were_not_measured(tmp_path):
    store = Store(tmp_path / "run.jsonl")
    store.open(fresh=False)
    store.add(("hot", FIRST, 1, "peaked", TOP_P.text), FOUND, load=0.5)
    text = page(store.read(), store)
    assert "not measured" in text
    assert "llama-cpp-python was not installed" in text
    assert "| peaked | `top_p(0.95)` | 10.0 | 10.0 | 950.0 |" in text
    assert "Cold" not in text


def test_every_case_has_a_key_of_its_own_that_survives_json():
    for cases in (list(quick()), list(full())):
        keys = [case.key for case in cases]
        assert len(set(keys)) == len(keys)
        assert [tuple(json.loads(json.dumps(key))) for key in keys] == keys


def test_times_are_described_in_microseconds():
    assert described([1e-6, 2e-6, 3e-6])["median"] == pytest.approx(2.0)
