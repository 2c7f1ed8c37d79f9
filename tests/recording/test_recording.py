"""The trace file: what is written can be derived again, and a change anywhere in it is found."""

import base64
import gc
import json
import random

import numpy as np
import pytest

import logitherm as lt
from logitherm import RecipeError, Sampler, TraceError
from logitherm.models.toy import Bytes
from logitherm.recording.form import seal
from logitherm.recording.logits import pack, unpack
from logitherm.recording.replay import recall
from logitherm.recording.verify import verify
from logitherm.rules import Masked
from tests.rows import examples

PROMPT = "The cat slept on the"
TRACES = 100


def babble(ids):
    """Logits of 257 bytes that depend on the last two ids only, wide enough for every rule to have something to do."""
    rng = np.random.default_rng(ids[-1] * 1000 + ids[-2] if len(ids) > 1 else 7)
    return (rng.standard_normal(257) * 3).astype(np.float32)


BABBLE = lt.CallableModel(babble, Bytes(), name="babble", fingerprint="of a formula")


def recorded(tmp_path, recipe="temperature(0.9) | top_p(0.9)", model="toy", **options):
    path = tmp_path / "text.trace"
    settings = {"seed": 5, "max_new_tokens": 8, **options}
    return path, lt.generate(PROMPT, recipe, model=model, save_trace=path, n=2, **settings)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewritten(path, contents, repair):
    """The file with these lines; with digests made right again, or left as they are."""
    if not repair:
        path.write_text("".join(json.dumps(content) + "\n" for content in contents))
        return path
    text, digest = "", ""
    for content in contents:
        line, digest = seal({k: v for k, v in content.items() if k != "digest"}, digest)
        text += line
    path.write_text(text)
    return path


def shaken(packed, size, raise_by):
    """A step's logits with the largest of them raised."""
    row = unpack(packed, size)
    row[int(row.argmax())] += raise_by
    return pack(row)


def listed(entry):
    """How many logits of a step are kept singly."""
    return len(base64.b64decode(entry.logits["ids"]["base64"])) // 4


def whats(path):
    return {finding.what for finding in verify(path).findings}


def test_what_is_written_is_what_was_drawn(tmp_path):
    path, texts = recorded(tmp_path)
    recording = lt.load_trace(path)
    assert recording.head.sampler == lt.parse("temperature(0.9) | top_p(0.9)")
    assert (recording.head.model, recording.head.vocabulary, recording.head.eos) == ("toy", 257, (256,))
    assert [t.seed for t in recording.head.texts] == [5, 6]
    for number, text in enumerate(texts):
        tokens = [entry.token for entry in recording.entries if entry.text == number]
        assert tokens == [token.id for token in text.tokens]
        assert "".join(recording.names[token] for token in tokens).encode().startswith(text.text.encode()[:3])
    assert recording.stops == tuple(text.stop for text in texts)
    assert recording.bent == ()


def test_logits_come_back_bit_for_bit_and_in_float32_where_that_loses_nothing():
    row = np.array([1.5, -np.inf, np.float32(0.1), 3.0])
    assert pack(row)["all"]["type"] == "float32"
    assert np.array_equal(unpack(pack(row), 4), row)
    row[0] = 0.1
    assert pack(row)["all"]["type"] == "float64"
    assert np.array_equal(unpack(pack(row), 4), row)


def test_a_summary_keeps_the_mass_of_the_rest():
    row = np.log(np.array([0.5, 0.04, 0.3, 0.06, 0.1]))
    short = unpack(pack(row, 2), 5)
    assert unpack(pack(row, 1, token=3), 5)[[0, 3]].tolist() == row[[0, 3]].tolist()
    np.testing.assert_allclose(np.exp(short), [0.5, 0.2 / 3, 0.3, 0.2 / 3, 0.2 / 3])
    removed = np.array([1.0, -np.inf, -np.inf])
    assert unpack(pack(removed, 1), 3).tolist() == [1.0, -np.inf, -np.inf]


def random_recipes(count):
    """Recipes of one to four rules with settings at which they act, for one row or any."""
    rng, rules = random.Random(11), [rule for rule in examples() if not rule.per_row() and not isinstance(rule, Masked)]
    return [Sampler(*rng.sample(rules, rng.randint(1, 4))) for _ in range(count)]


def test_verify_accepts_traces_of_random_recipes_and_finds_one_change_in_each(tmp_path, record_property):
    """In each trace: one token, one logit, one seed; with the digests left alone, and made right by whoever forges."""
    done = 0
    for place, recipe in enumerate(random_recipes(3 * TRACES)):
        top = None if place % 2 else 16
        path, texts = recorded(tmp_path, recipe, BABBLE, seed=place, trace_top=top)
        if not all(text.tokens for text in texts):
            continue  # this chain leaves nothing to draw from
        assert verify(path).findings == ()
        assert verify(path).tokens == sum(len(text.tokens) for text in texts)
        written = lines(path)
        rng = random.Random(place)
        for repair in (False, True):
            for change, what in (("token", "token"), ("logit", "raw_p"), ("seed", "u")):
                forged = json.loads(json.dumps(written))
                step = forged[rng.randint(1, len(forged) - 2)]
                if change == "token":
                    step["token"] = (step["token"] + 1) % 256
                elif change == "logit":
                    step["logits"] = shaken(step["logits"], 257, 0.01)
                else:
                    forged[0]["texts"][0]["seed"] += 1
                found = whats(rewritten(path, forged, repair))
                wanted = {"digest"} if not repair else {what, "token"} if change == "logit" else {what}
                assert wanted & found, (recipe, change, repair, found)
                assert repair or change != "seed" or "u" in found
        done += 1
        if done == TRACES:
            break
    record_property("traces", done)
    assert done == TRACES


def test_lines_that_are_gone_moved_or_added_are_found(tmp_path):
    path, _ = recorded(tmp_path)
    written = lines(path)
    without = written[:3] + written[4:]
    assert "digest" in whats(rewritten(path, without, repair=False))
    assert {"order", "u"} <= whats(rewritten(path, without, repair=True))
    swapped = [*written[:2], written[3], written[2], *written[4:]]
    assert "digest" in whats(rewritten(path, swapped, repair=False))
    assert "digest" in whats(rewritten(path, [*written[:3], written[2], *written[3:]], repair=False))
    head = json.loads(json.dumps(written))
    head[0]["recipe"] = "temperature(0.5)"
    assert {"digest", "final_p"} <= whats(rewritten(path, head, repair=False))
    end = json.loads(json.dumps(written))
    end[-1]["stops"] = ["eos"]
    assert whats(rewritten(path, end, repair=True)) == {"end"}


def test_a_file_that_breaks_off_is_right_as_far_as_it_goes(tmp_path):
    path, _ = recorded(tmp_path)
    whole = path.read_bytes()
    for end in (whole.rindex(b'{"stops"'), len(whole) // 2):
        path.write_bytes(whole[:end])
        found = verify(path)
        assert (found.right, found.finished) == (True, False)
        assert 0 < found.tokens <= 16


def test_an_interrupted_run_leaves_a_whole_file(tmp_path):
    path = tmp_path / "text.trace"
    run = lt.start([PROMPT], "temperature(0.9)", model="toy", seed=1, save_trace=path)
    for _ in range(3):
        next(iter(run))
    assert verify(path).tokens == 3  # on disk before the next is drawn
    run.interrupt()
    assert lt.load_trace(path).stops == ("interrupted",)


def test_fewer_logits_are_kept_only_where_they_give_the_same_token(tmp_path):
    path, _ = recorded(tmp_path, "temperature(0.7) | top_k(5)", BABBLE, trace_top=10)
    assert {len(unpack(e.logits, 257)) for e in lt.load_trace(path).entries} == {257}
    assert {listed(entry) for entry in lt.load_trace(path).entries} <= {10, 11}
    small = path.stat().st_size
    flat, _ = recorded(tmp_path, "temperature(8.0)", BABBLE, trace_top=1)
    assert max(listed(entry) for entry in lt.load_trace(flat).entries) > 2  # one would have drawn another token
    assert verify(flat).right
    remembering = "dynamic_temperature(0.5, running_perplexity=0.05) | top_k(3)"
    path, _ = recorded(tmp_path, remembering, BABBLE, trace_top=10)
    assert all("all" in entry.logits for entry in lt.load_trace(path).entries)
    assert path.stat().st_size > small


def test_per_row_parameters_and_bound_rules_survive(tmp_path):
    path, _ = recorded(tmp_path, "min_new_tokens(3) | temperature([0.5, 2.0])")
    assert "eos=[256]" in lt.load_trace(path).head.recipe
    assert verify(path).right


def test_a_prompt_of_any_characters_survives(tmp_path):
    path = tmp_path / "text.trace"
    prompt = 'naïve “☔”\n\t\u2028\u202e{"digest": 1}'
    lt.generate(prompt, "temperature(1.0)", model="toy", seed=1, max_new_tokens=4, save_trace=path)
    assert lt.load_trace(path).head.texts[0].prompt == prompt
    assert verify(path).right


def test_replay_tells_what_another_recipe_would_have_done(tmp_path):
    path, texts = recorded(tmp_path, "temperature(1.0)", BABBLE, max_new_tokens=20)
    same = lt.replay(path, "temperature(1.0)")
    assert {token.fate for token in same.tokens} == {"same"}
    assert same.parts_at is None
    looking_back, _ = recorded(tmp_path, "frequency(2.0) | no_repeat_ngram(1)", max_new_tokens=20)
    assert {token.fate for token in lt.replay(looking_back, "frequency(2.0) | no_repeat_ngram(1)").tokens} == {"same"}
    path, texts = recorded(tmp_path, "temperature(1.0)", BABBLE, max_new_tokens=20)
    other = lt.replay(path, "temperature(0.5) | top_k(3)", text=1)
    assert [token.id for token in other.tokens] == [token.id for token in texts[1].tokens]
    assert {token.fate for token in other.tokens} == {"impossible", "less likely", "likelier"}
    sampler, ids = lt.parse("temperature(0.5) | top_k(3)"), list(PROMPT.encode())
    for token in other.tokens:  # each derived here from the model's own logits
        logits = babble(ids)[None]
        state = sampler.start([[0]], seed=6)
        for _ in range(token.position):
            state = sampler.observe(logits, state, [0]).state
        step = sampler.step(logits, state)
        assert token.drawn == step.tokens[0]
        kept = np.isfinite(step.final[0])
        p = np.where(kept, np.exp(step.final[0] - step.final[0].max()), 0)
        assert token.p == pytest.approx(p[token.id] / p.sum(), abs=1e-12)
        assert (token.fate == "impossible") == (not kept[token.id])
        ids.append(token.id)
    assert other.parts_at == next(t.position for t in other.tokens if t.drawn != t.id)


def test_logits_and_scores_of_each_step_come_with_the_text(tmp_path):
    """S0's output_logits and output_scores."""
    path, texts = recorded(tmp_path, "temperature(0.5) | top_k(3)", BABBLE)
    kept, ids = lt.load_trace(path), list(PROMPT.encode())
    assert kept.logits(1).shape == kept.scores(1).shape == (8, 257)
    for token, raw, scores in zip(texts[1].tokens, kept.logits(1), kept.scores(1), strict=True):
        assert np.array_equal(raw, babble(ids).astype(np.float64))
        best = np.argsort(-raw)[:3]
        assert sorted(np.flatnonzero(np.isfinite(scores))) == sorted(best)
        assert np.array_equal(scores[best], raw[best] / 0.5)
        ids.append(token.id)


def test_replay_says_where_nothing_is_left_and_what_is_near(tmp_path):
    path, _ = recorded(tmp_path, "top_k(4)", BABBLE, trace_top=8)
    empty = lt.replay(path, f"ban({list(range(257))})")
    assert {token.fate for token in empty.tokens} == {"impossible"}
    assert "nothing is left" in str(empty)
    near = lt.replay(path, "temperature(2.0)")
    assert not any(token.exact for token in near.tokens)
    assert "only the largest logits are stored" in str(near)
    assert "one of the smaller" in str(near)
    assert any(token.drawn is None and token.kept == 257 for token in near.tokens)


def test_a_stored_step_explains_itself_without_the_model(tmp_path):
    path, texts = recorded(tmp_path, "temperature(0.9) | top_p(0.9)", "toy")
    stored = recall(path, 4, text=1)
    fresh = lt.explain(PROMPT, "temperature(0.9) | top_p(0.9)", model="toy", seed=6, step=4)
    assert stored.to_dict() == fresh.to_dict()
    assert stored.draw.id == texts[1].tokens[3].id
    assert recall(path, 4, 1, lt.parse("top_k(1)")).recipe == "top_k(1)"


def test_wrong_files_and_places_are_refused(tmp_path):
    path, _ = recorded(tmp_path)
    for step in (0, 9):
        with pytest.raises(TraceError, match=rf"step must be in \[1, 8\]; got {step}"):
            recall(path, step)
    with pytest.raises(TraceError, match=r"text must be a whole number in \[0, 1\]; got 2"):
        lt.replay(path, "greedy", text=2)
    with pytest.raises(TraceError, match="there is no folder"):
        lt.generate("a", model="toy", save_trace=tmp_path / "no" / "file")
    with pytest.raises(TraceError, match="it is a folder"):
        lt.generate("a", model="toy", save_trace=tmp_path)
    with pytest.raises(RecipeError, match="trace_top needs save_trace"):
        lt.generate("a", model="toy", trace_top=3)
    with pytest.raises(RecipeError, match="trace_top must be a whole number >= 1; got 0"):
        lt.generate("a", model="toy", save_trace=path, trace_top=0)
    with pytest.raises(TraceError, match="cannot read the trace file"):
        verify(tmp_path / "none")


PROMPT_OF = {"prompt": "a", "ids": [97], "seed": 1, "row": 0, "chat": False, "system": None}
SUMMARY = pack(np.arange(257.0), 5)


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, {"logitherm_trace": 2}, "no trace file of format 1"),
        (0, {"recipe": "nonsense(1)"}, "line 1, the head: unknown rule"),
        (0, {"vocabulary": -1}, "line 1, the head: a whole number >= 0 is needed; got -1"),
        (0, {"texts": 3}, "line 1, the head"),
        (0, {"vocabulary": 10**12}, "line 1, the head: a vocabulary has at most 16,777,216 tokens"),
        (0, {"vocabulary": 2**63}, "line 1, the head: a vocabulary has at most"),
        (0, {"texts": [PROMPT_OF | {"ids": [2**40]}] * 2}, "line 1, the head: a vocabulary has at most"),
        (0, {"texts": [PROMPT_OF | {"seed": 2**64}] * 2}, r"line 1, the head: seed must be in \[0, 2"),
        (0, {"texts": [PROMPT_OF | {"row": 2**70}] * 2}, "line 1, the head: "),
        (
            0,
            {"recipe": "temperature([1.0])"},
            "the head: Temperature.t must have a value for each of the 2",
        ),
        (0, {"recipe": "ban([99999])"}, "line 2: "),
        (0, {"recipe": "min_new_tokens(3)"}, "line 2: MinNewTokens.eos must say"),
        (-1, {"stops": None}, "the last line: stops must be a list of words; got None"),
        (-1, {"stops": "ab"}, "the last line: stops must be a list of words"),
        (1, {"u": 10**400}, "line 2: "),
        (1, {"text": 2}, "line 2: there is no such text or token"),
        (
            1,
            {"logits": SUMMARY | {"rest": {"count": 1, "logsumexp": 10**400}}},
            "line 2: logits' rest must have a count",
        ),
        (1, {"logits": SUMMARY | {"rest": {"count": 999, "logsumexp": 0.0}}}, "line 2: logits' rest must have a count"),
        (1, {"logits": SUMMARY | {"rest": {"count": 3, "logsumexp": None}}}, "line 2: logits' rest must have a count"),
        (1, {"token": 300}, "line 2: there is no such text or token"),
        (1, {"u": "x"}, "line 2: a number is needed; got 'x'"),
        (1, {"names": []}, "line 2: "),
        (1, {"logits": {}}, "line 2: logits must have either all, or ids, largest and rest"),
        (1, {"logits": {"all": {"type": "float32", "base64": "AAAA"}}}, "line 2: logits must be "),
        (1, {"logits": {"all": {"type": "float16", "base64": "AAAA"}}}, "line 2: logits must be base64"),
        (1, {"logits": pack(np.full(257, np.inf))}, "line 2: logits must be numbers, one at least finite"),
        (1, {"logits": pack(np.zeros(300), 290)}, r"line 2: logits' ids must be fewer than 257"),
    ],
)
def test_files_that_cannot_be_understood_are_refused(tmp_path, line, change, message):
    path, _ = recorded(tmp_path)
    forged = lines(path)
    forged[line] |= change
    with pytest.raises(TraceError, match=message):
        verify(rewritten(path, forged, repair=True))


def test_ends_that_are_not_what_they_say_are_found(tmp_path):
    ending = "bias([[256, 60.0]]) | min_new_tokens(2) | top_k(1)"
    path, _ = recorded(tmp_path, ending)
    assert lt.load_trace(path).stops == ("eos", "eos")
    forged = lines(path)
    forged[-1]["stops"] = ["eos", "max_new_tokens"]
    assert whats(rewritten(path, forged, repair=True)) == {"end"}
    path, _ = recorded(tmp_path, "temperature(1.0)")
    forged = lines(path)
    forged[0]["eos"] = [forged[1]["token"]]
    assert "order" in whats(rewritten(path, forged, repair=True))  # the text goes on after its end


def test_a_run_that_never_began_leaves_nothing_open(tmp_path, recwarn):
    path = tmp_path / "text.trace"
    run = lt.start([PROMPT], "greedy", model="toy", save_trace=path)
    run.interrupt()
    del run
    gc.collect()
    assert not path.exists()
    assert not recwarn.list


def test_models_of_other_peoples_making_can_be_recorded(tmp_path):
    class Ends(Bytes):
        eos = np.array([256])

    class Bare:
        """What a model was before there were fingerprints."""

        name, context, vocabulary = "bare", None, Ends()

        def __init__(self):
            inner = lt.CallableModel(babble, self.vocabulary)
            self.prefill, self.step = inner.prefill, inner.step

    path, _ = recorded(tmp_path, "top_k(3)", Bare())
    assert verify(path).right
    assert lt.load_trace(path).head.fingerprint is None


def test_a_kept_probability_is_within_a_thousandth_of_the_true_one(tmp_path):
    whole, _ = recorded(tmp_path, "temperature(3.0)", BABBLE, max_new_tokens=20)
    true = [entry.final_p for entry in lt.load_trace(whole).entries]
    short, _ = recorded(tmp_path, "temperature(3.0)", BABBLE, max_new_tokens=20, trace_top=4)
    kept = lt.load_trace(short)
    assert [entry.final_p for entry in kept.entries] == pytest.approx(true, rel=1e-3)
    assert max(map(listed, kept.entries)) > 16  # which takes more than four logits


def test_a_summary_counts_the_tokens_that_can_come(tmp_path):
    holed = lt.CallableModel(lambda ids: np.where(np.arange(257) < 200, babble(ids), -np.inf), Bytes())
    path, _ = recorded(tmp_path, "top_k(4)", holed, trace_top=5)
    assert (np.isfinite(lt.load_trace(path).logits()).sum(axis=1) == 200).all()
    assert lt.recall(path, 1).stages[0].kept == 200


def test_rules_that_need_the_ends_are_bound_in_a_replay(tmp_path):
    path, _ = recorded(tmp_path, "bias([[256, 60.0]]) | min_new_tokens(3) | top_k(1)")
    assert lt.replay(path, "min_new_tokens(9) | temperature(1.0)").tokens[3].fate == "impossible"
    assert "eos=[256]" in lt.replay(path, "min_new_tokens(9)").other


def test_garbage_is_refused(tmp_path):
    path = tmp_path / "text.trace"
    twice = b'{"logitherm_trace": 1, "a": 1, "a": 2, "digest": ""}\n'
    for data in (
        twice,
        b"",
        b"\xff\xfe\n",
        b"hello\n",
        b"[1]\n",
        b'{"a": 1}\n',
        b'{"digest": []}\n',
        b"[" * 99999 + b"\n",
    ):
        path.write_bytes(data)
        with pytest.raises(TraceError):
            verify(path)
