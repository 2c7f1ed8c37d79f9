"""Masks from outside: a matcher checkable by hand, and two grammar engines that make Nutshell write valid JSON."""

import json
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import logitherm as lt
from logitherm import BackendUnavailable, LogitsError, RecipeError, Sampler, State, load_model, parse
from logitherm.rules import Grammar, Masked, TopK
from tests.rows import DIGITS, Digits, logs

ENGINES = "llguidance", "xgrammar"
over_engines = pytest.mark.parametrize("engine", ENGINES)
SCHEMA = """{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "old": {"type": "boolean"}},
"required": ["name", "old"], "additionalProperties": false}"""


def valid(text):
    found = json.loads(text)
    return set(found) == {"name", "old"} and isinstance(found["name"], str) and isinstance(found["old"], bool)


def allowed(rule, *tokens, width=4):
    """The ids that a rule leaves after these tokens."""
    sampler = Sampler(rule)
    state = sampler.start([[0]], seed=1)
    for token in tokens:
        state = sampler.observe(np.zeros((1, width)), state, [token]).state
    return np.flatnonzero(np.isfinite(sampler.apply(np.zeros((1, width)), state))[0]).tolist()


@over_engines
def test_a_regular_expression_token_by_token(engine):
    rule = Grammar("1+2", kind="regex", engine=engine).bind(DIGITS)  # the tokens 1, 2, a and the end
    assert allowed(rule) == [0]
    assert allowed(rule, 0) == [0, 1]
    assert allowed(rule, 0, 0, 1) == [3]
    assert allowed(rule, 0, 1, 3) == [3]  # after the end, the end
    either = Grammar("a?1*", kind="regex", engine=engine).bind(DIGITS)
    assert allowed(either) == [0, 2, 3]
    assert allowed(either, 2) == [0, 3]


@over_engines
def test_ids_beyond_the_vocabulary_are_removed(engine):
    rule = Grammar("[12]+", kind="regex", engine=engine).bind(DIGITS)
    assert allowed(rule, 0, width=40) == [0, 1, 3]
    assert allowed(rule, 0, width=2) == [0, 1]


@over_engines
def test_all_ends_and_none(engine):
    class Ends(Digits):
        eos = (3, 2)

    class Endless(Digits):
        eos = ()

    rule = Grammar("12?", kind="regex", engine=engine)
    assert allowed(rule.bind(Ends()), 0) == [1, 2, 3]
    assert allowed(rule.bind(Endless()), 0) == [1]
    with pytest.raises(LogitsError, match=r"row 0: every token was removed after .* can come next"):
        allowed(rule.bind(Endless()), 0, 1)


@over_engines
def test_what_does_not_fit_is_named(engine):
    sampler = Sampler(Grammar("1+2", kind="regex", engine=engine).bind(DIGITS))
    state = sampler.start([[], []], seed=1)
    state = sampler.observe(np.zeros((2, 4)), state, [0, 2]).state  # an 'a', which nothing allows
    with pytest.raises(LogitsError, match=r"row 1: every token .* token 2 \('a'\) came, which it does not") as caught:
        sampler.apply(np.zeros((2, 4)), state)
    assert caught.value.row == 1
    state = sampler.observe(np.zeros((2, 4)), state, [1, 0]).state
    with pytest.raises(LogitsError, match=r"row 1: .* token 2 \('a'\) came"):
        sampler.step(np.zeros((2, 4)), state)
    assert sampler.step(np.zeros((1, 4)), state.take([0])).tokens.tolist() == [3]
    state = sampler.observe(np.zeros((2, 6)), sampler.start([[], []], seed=1), [4, 5]).state  # no ids of the vocabulary
    for row, token in enumerate((4, 5)):
        with pytest.raises(LogitsError, match=rf"token {token} .* came, which it does not allow"):
            sampler.apply(np.zeros((1, 6)), state.take([row]))
    cut = Sampler(TopK(1), sampler)
    with pytest.raises(LogitsError, match=r"row 0: every token was removed after .grammar\('1\+2', kind='regex'"):
        cut.step(logs(0.1, 0.2, 0.6, 0.1), cut.start([[]], seed=1))


@over_engines
def test_a_fork_goes_on_by_itself(engine):
    """States taken, joined, pickled and used again after a step: each row keeps its own place."""
    sampler = Sampler(Grammar("1(2|a1)*", kind="regex", engine=engine).bind(DIGITS))
    kept = lambda state: np.isfinite(sampler.apply(np.zeros((len(state), 4)), state)).astype(int).tolist()
    forward = lambda state, *tokens: sampler.observe(np.zeros((len(state), 4)), state, tokens).state
    one = forward(sampler.start([[]], seed=1), 0)
    two = one.take([0, 0], seed=[5, 6])
    apart = forward(two, 1, 2)
    assert kept(apart) == [[0, 1, 1, 1], [1, 0, 0, 0]]
    assert kept(one) == [[0, 1, 1, 1]]  # the old state stays true
    assert kept(forward(apart, 1, 0)) == [[0, 1, 1, 1], [0, 1, 1, 1]]
    assert kept(State.join(apart.take([1]), one)) == [[1, 0, 0, 0], [0, 1, 1, 1]]
    again = replace(apart, memory=pickle.loads(pickle.dumps(apart.memory)))
    assert kept(again) == kept(apart)


def test_numpy_and_torch():
    sampler = Sampler(Grammar("1+2", kind="regex").bind(DIGITS))
    state = sampler.start([[]], seed=1)
    assert torch.isfinite(sampler.apply(torch.zeros(1, 4), state)).tolist() == [[True, False, False, False]]


@over_engines
def test_nutshell_writes_valid_json(engine):
    recipe = Grammar(SCHEMA, engine=engine) | parse("temperature(0.9) | top_p(0.95)")
    texts = lt.generate(["Once upon a time", "The king said"] * 4, recipe, seed=1, max_new_tokens=200, batch_size=3)
    assert [text.stop for text in texts] == ["eos"] * 8
    assert all(valid(text.text) for text in texts)
    assert len({text.text for text in texts}) == 8
    alone = lt.generate("The king said", recipe, seed=4, max_new_tokens=200)
    assert alone.text == texts[3].text


def test_a_text_may_end_only_where_it_is_one():
    recipe = Grammar(SCHEMA) | parse("bias([[0, 100.0]])")  # the end, as likely as can be
    text = lt.generate("Once upon a time", recipe, seed=1, max_new_tokens=200)
    assert text.stop == "eos"
    assert valid(text.text)


def test_forked_in_the_middle_both_texts_are_valid_and_differ():
    model = load_model()
    sampler = (Grammar(SCHEMA) | parse("temperature(0.9)")).bind(model.vocabulary)
    ids = model.vocabulary.encode("Once upon a time")
    state = sampler.start([ids], seed=3)
    logits, cache = model.prefill([ids])
    for _ in range(12):
        step = sampler.step(logits, state)
        state = step.state
        logits, cache = model.step(step.tokens.tolist(), cache)
    stem = state.history.row(0)[len(ids) :].tolist()
    forks, logits, cache = state.take([0, 0], seed=[7, 8]), logits[[0, 0]], cache.take([0, 0])
    texts = [list(stem), list(stem)]
    for _ in range(120):
        step = sampler.step(logits, forks)
        forks = step.state
        for text, token in zip(texts, step.tokens.tolist(), strict=True):
            text.append(token)
        logits, cache = model.step(step.tokens.tolist(), cache)
    written = [b"".join(map(model.vocabulary.bytes_of, text)).decode() for text in texts]
    assert written[0] != written[1]
    assert all(map(valid, written))
    assert all(text[-1] in model.vocabulary.eos for text in texts)


def test_a_text_is_resumed_through_observe():
    model = load_model()
    sampler = (Grammar(SCHEMA) | parse("temperature(0.9)")).bind(model.vocabulary)
    whole = lt.generate("Once upon a time", sampler, seed=9, max_new_tokens=200)
    drawn = [token.id for token in whole.tokens]
    ids = model.vocabulary.encode("Once upon a time")
    logits, cache = model.prefill([ids])
    state = sampler.start([ids], seed=9)
    for place, token in enumerate(drawn):
        step = sampler.observe(logits, state, [token]) if place < 10 else sampler.step(logits, state)
        assert step.tokens.tolist() == [token]
        state = step.state
        logits, cache = model.step([token], cache)


def test_explain_shows_what_the_grammar_removed():
    trace = lt.explain("Once upon a time", Grammar(SCHEMA) | parse("temperature(0.9)"), seed=1)
    raw, masked, _ = trace.stages
    assert masked.kept == raw.kept - masked.removed
    assert masked.kept < 20
    opening = load_model().vocabulary.bytes_of(trace.draw.id)
    assert opening.lstrip().startswith(b"{") or not opening.strip()


def test_bind_once_and_the_value_is_the_same():
    rule = Grammar("1+2", kind="regex")
    bound = rule.bind(DIGITS)
    assert bound == rule
    assert str(bound) == "grammar('1+2', kind='regex')"
    assert bound.bind(DIGITS) is bound
    assert parse(str(Grammar('{"const": "a\'b|c"}'))) == Sampler(Grammar('{"const": "a\'b|c"}'))
    assert parse(str(Grammar("inf", kind="regex"))) == Sampler(Grammar("inf", kind="regex"))


def test_errors(monkeypatch, tmp_path):
    with pytest.raises(RecipeError, match="needs a model's vocabulary"):
        Sampler(Grammar("1", kind="regex")).start([[]])
    with pytest.raises(RecipeError, match=r"Grammar\.kind must be one of 'json_schema', 'regex' for xgrammar"):
        Grammar("start: /a/", kind="lark", engine="xgrammar")
    with pytest.raises(RecipeError, match=r"Grammar\.text must be a JSON schema, an object; got '\[\]'"):
        Grammar("[]")
    for engine in ENGINES:
        with pytest.raises(RecipeError, match=rf"Grammar\.text must be a regex that {engine} can read; it says: "):
            Sampler(Grammar("(", kind="regex", engine=engine).bind(DIGITS)).start([[]])
        with pytest.raises(RecipeError, match=rf"Grammar\.text must be a json_schema that {engine} can read; it says"):
            lt.generate("a", Grammar('{"type": "colour"}', engine=engine), max_new_tokens=1)
    with pytest.raises(RecipeError, match=r"a trace file cannot carry grammar\("):
        lt.generate("a", Grammar(SCHEMA), save_trace=tmp_path / "a.trace", max_new_tokens=1)
    for module, words in (("llguidance", r"logitherm\[grammar\]"), ("xgrammar", "pip install xgrammar")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(BackendUnavailable, match=words):
            Sampler(Grammar("1", kind="regex", engine=module).bind(DIGITS)).start([[]])


def test_a_rule_of_ones_own_needs_a_matcher_alone():
    class Even:
        """Texts of an even number of tokens, none of them the second."""

        def __init__(self, count=0):
            self.count = count

        def allowed(self):
            return np.array([True, False, True, False])

        def ends(self):
            return self.count % 2 == 0

        def after(self, token):
            return Even(self.count + 1)

    class Pairs(Masked, name=""):
        name = "pairs"

        def start(self, vocabulary):
            return Even()

    pairs = Pairs().bind(DIGITS)
    assert allowed(pairs) == [0, 2, 3]
    assert allowed(pairs, 2) == [0, 2]
    assert allowed(pairs, 2, 0) == [0, 2, 3]
    assert allowed(pairs, 2, 0, 3) == [3]
