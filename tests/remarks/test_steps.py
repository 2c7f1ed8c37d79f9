"""What rules did in the steps of real trace files, against counts that are made here from the stored logits."""

import json

import numpy as np
import pytest

import logitherm as lt

PROMPT = "The cat slept on the"
STEPS = 20


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("lint") / "cat.trace"
    lt.generate([PROMPT, "Once upon a time"], "default", seed=3, max_new_tokens=STEPS, save_trace=path)
    return path


def said(found):
    return [(r.code, *(c.index for c in r.rules)) for r in found.remarks if r.kind == "seen"]


def test_the_counts_are_right(file):
    """Against the scores of the file, and a nucleus found by sorting."""
    found = lt.lint(trace=file)
    stored = lt.load_trace(file)
    logits = np.concatenate([stored.logits(0), stored.logits(1)])
    scores = np.concatenate([stored.scores(0), stored.scores(1)])
    assert found.rules == ("temperature(0.8)", "top_p(0.95)")
    assert (found.steps, found.summarised, found.remarks) == (len(logits), 0, ())
    heat, cut = found.acted
    assert (heat.acted, heat.removed, heat.alone) == (found.steps, 0.0, 0)
    left = np.isfinite(scores).sum(axis=1)
    assert cut.removed == pytest.approx((logits.shape[1] - left).mean())
    assert (cut.alone, cut.acted, cut.emptied) == ((left == 1).sum(), found.steps, 0)
    narrow = lt.lint("top_p(0.5)", file).acted[0]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = -np.sort(-p / p.sum(axis=1, keepdims=True), axis=1)
    alone = int((p[:, 0] >= 0.5 * (1 - 1e-6)).sum())
    assert narrow.alone == alone > 0


def test_what_did_not_act_and_what_left_one_token(file):
    steps = lt.lint(trace=file).steps
    found = lt.lint("top_p(1e-6) | top_k(4095)", file)
    assert said(found) == [("did-not-act", 1), ("always-one", 0)]
    assert f"in {steps} of {steps} steps" in found.remarks[-1].what
    assert said(lt.lint("temperature(0.0)", file)) == []  # it is what it says
    assert said(lt.lint("top_k(1)", file)) == []
    assert said(lt.lint("top_k(4096) | top_p(0.9)", file)) == [("did-not-act", 0)]
    assert said(lt.lint("min_new_tokens(1, eos=[0])", file)) == []
    assert [r.code for r in lt.lint("top_k(0) | top_p(0.9)", file).remarks] == ["cannot-act"]  # said once
    hot = lt.lint("temperature([1.0, 2.0]) | top_p(0.9)", file)
    assert hot.acted[0].acted == len(lt.load_trace(file).logits(1))  # the second text has the second number


def test_memories_follow_the_stored_tokens(file):
    """repetition looks at what was drawn; mirostat at how likely it was: both act after the text of the file."""
    stored = lt.load_trace(file)
    sampler = lt.parse("mirostat(0.1)")
    alone = 0
    for text in (0, 1):
        for _, logits, state in stored.steps(text, sampler):
            alone += int(np.isfinite(sampler.apply(logits, state)).sum() == 1)
    assert 0 < alone == lt.lint("mirostat(0.1)", file).acted[0].alone


def test_rows_that_are_left_empty_are_counted_and_end_there(file):
    found = lt.lint("top_k(1) | ban([0]) | bad_words([[1]]) | top_p(0.5)", file)
    assert all(rule.emptied == 0 for rule in found.acted)
    token = int(lt.load_trace(file).logits()[0].argmax())
    found = lt.lint(f"temperature(0.0) | ban([{token}]) | top_p(0.5)", file)
    assert ("empties", 1) in said(found)
    assert found.acted[1].emptied >= 1
    assert found.acted[1].emptied + found.acted[2].alone == found.steps


def test_a_file_of_the_largest_logits_says_so(tmp_path):
    path = tmp_path / "top.trace"
    lt.generate(PROMPT, "top_k(3)", seed=1, max_new_tokens=5, save_trace=path, trace_top=10)
    found = lt.lint(trace=path)
    assert found.summarised == 5
    assert "5 of 5 steps keep the largest logits only" in str(found)


def test_a_trace_without_tokens_makes_no_remark(tmp_path, file):
    path = tmp_path / "broken.trace"
    path.write_text(file.read_text().splitlines(keepends=True)[0])
    found = lt.lint("top_k(5)", path)
    assert (found.steps, found.remarks, found.acted[0].removed) == (0, (), 0.0)
    json.dumps(found.to_dict(), allow_nan=False)
    assert "0 of 0" in str(found)


def test_wrong_files_and_recipes(file, tmp_path):
    with pytest.raises(lt.TraceError, match="cannot read the trace file"):
        lt.lint("top_k(3)", tmp_path / "none.trace")
    with pytest.raises(lt.RecipeError, match=r"TopK\.k must be"):
        lt.lint("top_k(-1)", file)
    with pytest.raises(lt.RecipeError, match="holds no tokenizer"):
        lt.lint("dry(0.8)", file)
