"""Speculative decoding: the distribution of the recipe, by exact enumeration; the same tokens where they must be."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

import logitherm as lt
from logitherm import CallableModel, ModelError, PromptError, RecipeError, load_model, parse
from logitherm.arrays import softmax
from logitherm.draw import draw
from logitherm.generation.speculative import choose
from logitherm.rng import uniform
from logitherm.rules import Grammar
from logitherm.state import State

TEXTS, LONG = 6_000, 3
FALSE_ALARM = 1e-6
"""Of each chi-square test; cells with fewer than ten expected texts are pooled."""

RECIPES = [
    "temperature(1.0)",
    "temperature(0.7) | top_p(0.8)",
    "repetition(1.4) | frequency(0.5) | temperature(0.9) | top_p(0.95)",
    "mirostat(1.2, eta=0.5)",
    "temperature(1.5) | min_p(0.2) | no_repeat_ngram(2)",
]


class Four:
    size = 4
    eos = ()

    def encode(self, text):
        return ["abcd".index(c) for c in text]

    def bytes_of(self, token):
        return b"abcd"[token : token + 1]


FOUR = Four()


def tables(seed, scale=1.5):
    """A model whose logits depend on the last two tokens."""
    rows = np.random.default_rng(seed).normal(scale=scale, size=(5, 5, 4))
    return CallableModel(lambda ids: rows[([4, *ids])[-2], ids[-1]], FOUR, name=f"tables {seed}")


TARGET, DRAFT = tables(1), tables(2)


def joint(model, recipe, prompt):
    """The exact probability of each text of LONG tokens, by running the recipe on all of them."""
    sampler, cells = parse(recipe), {}
    for text in itertools.product(range(4), repeat=LONG):
        state, p = sampler.start([prompt], seed=0), 1.0
        for place, token in enumerate(text):
            logits = model.prefill([[*prompt, *text[:place]]])[0]
            p *= float(softmax(sampler.apply(logits, state))[0, token])
            if not p:
                break
            state = sampler.observe(logits, state, [token]).state
        cells[text] = p
    return cells


def p_value(counts, cells, total):
    assert not [text for text in counts if not cells[text]]
    expected = {text: p * total for text, p in cells.items() if p}
    large = [text for text in expected if expected[text] >= 10]
    seen = [counts.get(text, 0) for text in large] + [sum(n for text, n in counts.items() if text not in large)]
    wanted = [expected[text] for text in large] + [sum(e for text, e in expected.items() if text not in large)]
    pairs = [(s, w) for s, w in zip(seen, wanted, strict=True) if w > 0]
    return stats.chisquare(*zip(*pairs, strict=True), sum_check=False).pvalue


@pytest.mark.parametrize(("recipe", "ahead"), [*((recipe, 3) for recipe in RECIPES), (RECIPES[2], 1)])
def test_whole_texts_have_the_distribution_of_the_model_and_the_recipe(recipe, ahead):
    texts = lt.generate(
        "ab", recipe, n=TEXTS, model=TARGET, draft=DRAFT, ahead=ahead, max_new_tokens=LONG, seed=7, batch_size=1000
    )
    counts = {}
    for text in texts:
        ids = tuple(token.id for token in text.tokens)
        counts[ids] = counts.get(ids, 0) + 1
    assert p_value(counts, joint(TARGET, recipe, [0, 1]), TEXTS) > FALSE_ALARM
    assert p_value(counts, joint(TARGET, "temperature(1.25)", [0, 1]), TEXTS) < FALSE_ALARM  # it can tell


def test_a_proposal_is_taken_with_probability_one_minus_tv():
    rows, rng = 20_000, np.random.default_rng(3)
    state = State.start([[]] * rows, seed=1)
    for _ in range(3):
        p, q = rng.dirichlet(np.ones(6), size=2)
        with np.errstate(divide="ignore"):
            final = np.broadcast_to(np.log(np.where(p > 0.05, p, 0)), (rows, 6))  # what a cut leaves
        p = softmax(final[:1])[0]
        proposed = draw(np.broadcast_to(np.log(q), (rows, 6)), uniform(state.seed, state.position))
        tokens, taken = choose(final, state, [(int(x), q) for x in proposed])
        rate = 1 - np.abs(p - q).sum() / 2
        assert abs(np.mean(taken) - rate) < 5 * np.sqrt(rate * (1 - rate) / rows)  # a false alarm in 1.7 million
        counts = np.bincount(tokens, minlength=6)
        assert stats.chisquare(counts[p > 0], p[p > 0] * rows).pvalue > FALSE_ALARM
        assert not counts[p == 0].any()


def test_by_hand():
    """p = [.5, .5] against q = [.8, .2]: a proposed 0 is taken where the coin is below .625, else it becomes 1."""
    final, q = np.log([[0.5, 0.5]] * 64), np.array([0.8, 0.2])
    state = State.start([[]] * 64, seed=0)
    tokens, taken = choose(final, state, [(0, q)] * 64)
    assert tokens.tolist() == [int(not t) for t in taken]
    assert 20 < sum(taken) < 60
    tokens, taken = choose(final, state, [(1, q)] * 64)
    assert tokens.tolist() == [1] * 64
    assert all(taken)
    tokens, taken = choose(final, state, [None] * 64)
    assert not any(taken)
    assert tokens.tolist() == draw(final, uniform(state.seed, state.position)).tolist()


@pytest.mark.parametrize(
    "recipe",
    [
        "temperature(0.8) | top_p(0.95)",
        "repetition(1.2) | xtc(0.5, threshold=0.05) | temperature(1.2)",
        "mirostat(3.0)",
        "entropy_rate(2.0, eta=0.2)",
    ],
)
def test_a_model_that_drafts_for_itself_gives_its_own_tokens(recipe):
    model = load_model("toy")
    ask = {"model": model, "seed": 5, "max_new_tokens": 30, "stop": ["fish", "\n"]}
    prompts = ["The cat", "Where is the", "The mouse ran up"] * 3
    plain = lt.generate(prompts, recipe, **ask)
    for size in (1, 4, 16):
        texts = lt.generate(prompts, recipe, draft=model, ahead=3, batch_size=size, **ask)
        assert [(t.text, t.stop, [x.id for x in t.tokens]) for t in texts] == [
            (t.text, t.stop, [x.id for x in t.tokens]) for t in plain
        ]


def last_token(model):
    """A bad draft: the same model, which has forgotten all but the last token."""
    return CallableModel(lambda ids: np.asarray(model.prefill([ids[-1:]])[0][0]), model.vocabulary, name="last")


def test_rows_do_not_see_each_other():
    prompts, ask = ["ab", "c", "dabcab", "aa"], {"model": TARGET, "draft": DRAFT, "max_new_tokens": 9}
    together = lt.generate(prompts, "temperature(0.9)", seed=3, batch_size=3, **ask)
    for place, prompt in enumerate(prompts):
        assert lt.generate(prompt, "temperature(0.9)", seed=3 + place, **ask).text == together[place].text


@pytest.mark.parametrize(("room", "drafts"), [(12, 12), (12, 7), (9, 40), (None, 6)])
def test_a_full_context_ends_a_text_and_a_full_draft_ends_the_proposals(room, drafts):
    model = load_model("toy")

    def strict(context):
        def logits(ids):
            assert len(ids) <= (context or len(ids))
            return model.prefill([ids])[0][0]

        return CallableModel(logits, model.vocabulary, context=context)

    target, draft = strict(room), strict(drafts)
    prompts, ask = ["Th", "The m", "T"], {"seed": 2, "model": target, "max_new_tokens": 25}
    plain = lt.generate(prompts, "temperature(0.7)", **ask)
    texts = lt.generate(prompts, "temperature(0.7)", draft=draft, **ask)
    assert [(t.text, t.stop) for t in texts] == [(t.text, t.stop) for t in plain]
    assert room is None or {t.stop for t in texts} == {"context"}


def test_a_row_that_fails_leaves_alone_and_a_draft_that_fails_proposes_nothing():
    def broken(after):
        return CallableModel(
            lambda ids: np.full(4, np.nan) if ids[0] == 3 and len(ids) > after else TARGET.prefill([ids])[0][0], FOUR
        )

    ask = {"seed": 1, "max_new_tokens": 8}
    plain = lt.generate(["ab", "da", "c"], "temperature(1.0)", model=TARGET, **ask)
    for after in (1, 4):
        texts = lt.generate(["ab", "da", "c"], "temperature(1.0)", model=broken(after), draft=TARGET, **ask)
        assert [t.stop for t in texts] == ["max_new_tokens", "error", "max_new_tokens"]
        assert texts[1].error == "row 1: NaN in the logits, first at token 0"
        assert len(texts[1].tokens) == after - 1
        assert [t.text for t in texts] == [plain[0].text, plain[1].text[: after - 1], plain[2].text]
        texts = lt.generate(["ab", "da", "c"], "temperature(1.0)", model=TARGET, draft=broken(after), **ask)
        assert [(t.text, t.error) for t in texts] == [(t.text, None) for t in plain]
    none = CallableModel(lambda ids: np.full(4, np.nan), FOUR)
    texts = lt.generate(["ab", "a"], "temperature(1.0)", model=none, draft=TARGET, **ask)
    assert [t.stop for t in texts] == ["error"] * 2


def test_a_grammar_holds():
    """Both models see what may come next; the proposals of a fork move no row's own place."""
    model = load_model()
    recipe = Grammar('{"type": "array", "items": {"type": "boolean"}, "maxItems": 4}') | parse("temperature(1.2)")
    texts = lt.generate("The king said", recipe, n=6, model=model, draft=last_token(model), seed=2, max_new_tokens=150)
    assert [text.stop for text in texts] == ["eos"] * 6
    read = [json.loads(text.text) for text in texts]
    assert all(isinstance(x, bool) for found in read for x in found)


def test_details_and_pieces():
    text = lt.generate("ab", "temperature(0.8)", model=TARGET, draft=DRAFT, seed=4, max_new_tokens=6, details=True)
    state, sampler, ids = None, parse("temperature(0.8)"), [0, 1]
    state = sampler.start([ids], seed=4)
    for token in text.tokens:
        step = sampler.observe(TARGET.prefill([ids])[0], state, [token.id])
        assert token.summary.final_p == pytest.approx(np.exp(step.final_logprobs[0]))
        state, ids = step.state, [*ids, token.id]
    pieces = list(lt.stream("ab", "temperature(0.8)", model=TARGET, draft=DRAFT, seed=4, max_new_tokens=6))
    assert "".join(map(str, pieces)) == text.text
    assert pieces[-1].stop == "max_new_tokens"


def test_what_cannot_be(tmp_path):
    with pytest.raises(ModelError, match="nutshell and toy must have the same tokens"):
        lt.generate("a", draft="toy")
    short = CallableModel(lambda ids: np.zeros(4), FOUR, name="short", context=2)
    with pytest.raises(PromptError, match="the prompt has 3 tokens; short, the draft, holds 2"):
        lt.generate("abc", model=TARGET, draft=short)
    with pytest.raises(RecipeError, match="save_trace needs ordinary draws"):
        lt.generate("ab", model=TARGET, draft=DRAFT, save_trace=tmp_path / "a.trace")
    for ahead in (0, 1.5, True):
        with pytest.raises(RecipeError, match="ahead must be a whole number >= 1"):
            lt.generate("ab", model=TARGET, draft=DRAFT, ahead=ahead)
