"""Rules that change few tokens, in the cut kernel, against the plain rules: the same kept sets and the same tokens."""

import math

import numpy as np
import pytest

from logitherm import LogitsError, RecipeError, parse
from logitherm.kernels.codes import ASK, FINE
from logitherm.kernels.compiling import KERNELS
from logitherm.plan import VARIABLE
from tests.kernels.test_cut import BOUNDARY, EDGES, kernel, rows

RECIPES = [
    "repetition(1.3)",
    "repetition(0.8) | temperature(0.7)",
    "frequency(0.37) | presence(0.61) | top_p(0.9)",
    "repetition(1.1) | frequency(0.2) | temperature(0.8) | top_k(40) | top_p(0.95)",
    "repetition(1.17) | min_p(0.05)",
    "no_repeat_ngram(1) | top_p(0.95)",
    "no_repeat_ngram(2) | repetition(1.2) | top_k(9)",
    "no_repeat_ngram(3)",
    "bias([[0, 1.37], [3, -2.2], [0, 0.13]]) | top_p(0.8)",
    "ban([1, 4]) | temperature(1.3)",
    "bias([[2, 5.3]]) | repetition(1.3) | bias([[2, -1.1]]) | top_k(5)",
    "min_new_tokens(30, eos=[0, 5]) | presence(-0.4) | temperature(0.0)",
    "min_new_tokens(3, eos=[0, 5]) | repetition(1.9) | min_p(0.3) | top_p(0.6)",
]


def history(row, rng, length=60):
    """A prompt and some drawn tokens, likely ones among them, runs that come again, and an id beyond the row."""
    likely = np.argsort(-row)[: min(12, len(row))]
    past = np.concatenate([rng.integers(0, len(row), length), rng.choice(likely, length), [len(row) + 7]])
    rng.shuffle(past)
    return np.concatenate([past, past[:20], past[:1]]).astype(np.int64)


@pytest.mark.parametrize("size", [7, 100, 1000, 6021, 50257])
def test_kept_sets_are_equal_and_tokens_too(size, record_property):
    rng = np.random.default_rng(size)
    draws, asked = 0, 0
    for name, row in rows(size, rng).items():
        past = history(row, rng)
        begun = len(past) - 25
        for recipe in RECIPES:
            sampler = parse(recipe)
            state = sampler.start([past[:begun]], seed=1)
            for token in past[begun:]:
                state = state.push(np.array([token]))
            try:
                final = sampler.apply(row[None], state)[0]
            except LogitsError:  # every token is gone
                assert kernel(recipe, row, 0.5, past=past, begun=begun)[0] != FINE
                continue
            kept = np.isfinite(final)
            weights = np.where(kept, np.exp(final - final.max()), 0.0)
            running = np.cumsum(weights)
            for u in [*rng.random(3), *EDGES]:
                outcome, token, log_p, count, _, _, _ = kernel(recipe, row, u, past=past, begun=begun)
                draws += 1
                if outcome == ASK:
                    asked += 1
                    continue
                where = (name, recipe, u)
                assert outcome == FINE, where
                assert count in (kept.sum(), -1), where
                assert kept[token], where
                true = int(((running > u * running[-1]) & (weights > 0)).argmax())
                if token != true:
                    assert np.abs(running / running[-1] - u).min() < BOUNDARY, where
                if weights[token]:
                    assert log_p == pytest.approx(math.log(weights[token] / running[-1]), abs=2e-6), where
    record_property(f"draws of {size} tokens", f"{draws}, {asked} left to the plain rules")
    assert asked < 0.15 * draws


def test_random_draws_under_penalties_are_those_of_float64(gpt2, record_property):
    """What rounding does to a penalised logit is put right: 60,000 draws, none differs."""
    rng = np.random.default_rng(6)
    wrong, draws, asked = 0, 0, 0
    for recipe in ("repetition(1.3) | temperature(0.9)", "frequency(0.37) | top_p(0.95)"):
        sampler = parse(recipe)
        for line in gpt2:
            row = np.ascontiguousarray(line, dtype=np.float32)
            past = history(row, rng, 300)
            final = sampler.apply(row[None], sampler.start([[]], seed=1).push(past[:1]))[0]
            state = sampler.start([past[:100]], seed=1)
            for token in past[100:]:
                state = state.push(np.array([token]))
            final = sampler.apply(row[None], state)[0]
            weights = np.where(np.isfinite(final), np.exp(final - final.max()), 0.0)
            running = np.cumsum(weights)
            us = rng.random(10_000)
            true = np.searchsorted(running, us * running[-1], side="right")
            for u, expected in zip(us, true, strict=True):
                outcome, token = kernel(recipe, row, u, past=past, begun=100)[:2]
                asked += outcome == ASK
                wrong += outcome == FINE and token != expected and np.abs(running / running[-1] - u).min() >= BOUNDARY
                draws += 1
    record_property("draws", f"{draws}, wrong {wrong}, left to the plain rules {asked}")
    assert wrong == 0
    assert asked < 0.01 * draws


def test_an_edited_token_beside_another_is_left_to_the_plain_rules():
    """Rounding could have changed their order."""
    row = np.zeros(300, np.float32)
    row[5], row[9] = 3.0, 2.9
    row[7] = np.float64(row[9]) / 1.3  # to where repetition(1.3) brings token 9, rounded
    assert row[7] != np.float64(row[9]) / 1.3
    past = np.array([9], dtype=np.int64)
    assert kernel("repetition(1.3) | top_k(2)", row, 0.5, past=past)[0] == ASK
    assert kernel("repetition(1.3) | top_k(1)", row, 0.5, past=past)[:2] == (FINE, 5)


@pytest.fixture
def compiled(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    KERNELS.load()
    assert KERNELS.standing == "compiled"


@pytest.mark.usefixtures("compiled")
def test_a_whole_text_is_the_same_with_and_without_kernels(monkeypatch):
    """The history that penalties read grows inside the kernel's own call."""
    rng = np.random.default_rng(1)
    logits = (rng.normal(size=(60, 3, 400)) * 2).astype(np.float32)
    for recipe in [*RECIPES, "repetition([1.1, 1.0, 2.0]) | no_repeat_ngram([0, 2, 3])"]:
        texts = []
        for plain in (False, True):
            if plain:
                monkeypatch.setenv(VARIABLE, "plain")
            sampler = parse(recipe)
            assert (sampler.plan().kernel is None) == plain
            state = sampler.start([[1, 2], [3], [4, 4, 4]], seed=3)
            for line in logits:
                state = sampler.step(line, state).state
            texts.append([tokens.tolist() for tokens in state.tokens])
            monkeypatch.delenv(VARIABLE, raising=False)
        assert texts[0] == texts[1], recipe


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    "recent",
    ["repetition(1.9, window=2)", "repetition(1.9, scope='output')", "repetition(1.9, window=4, slope=2.0)",
     "frequency(0.9, scope='all')", "presence(0.9, window=1, decay=5)"],
)  # fmt: skip
def test_a_penalty_that_forgets_is_left_to_the_plain_rules(recent, monkeypatch):
    logits = np.random.default_rng(2).normal(size=(20, 2, 40)).astype(np.float32)

    def drawn(recipe):
        sampler = parse(recipe)
        state = sampler.start([[1, 2, 3], [4, 4]], seed=3)
        for line in logits:
            state = sampler.step(line, state).state
        return sampler.plan().kernel, [tokens.tolist() for tokens in state.tokens]

    kernel, text = drawn(recent + " | top_p(0.9)")
    plain = recent.split(",")[0] + ") | top_p(0.9)"
    assert kernel is None
    assert drawn(plain)[0] == "cut"
    assert text != drawn(plain)[1]
    monkeypatch.setenv(VARIABLE, "plain")
    assert drawn(recent + " | top_p(0.9)") == (None, text)


@pytest.mark.usefixtures("compiled")
def test_what_the_kernel_leaves_is_said_as_ever():
    row = np.zeros((1, 300), np.float32)
    for recipe, error, match in (
        ("ban([300])", RecipeError, r"Ban.ids must be ids in \[0, 300\)"),
        ("ban(" + str(list(range(300))) + ")", LogitsError, "every token was removed after"),
        ("min_new_tokens(2)", RecipeError, "which ids end a text"),
    ):
        sampler = parse(recipe)
        with pytest.raises(error, match=match):
            sampler.step(row, sampler.start([[]], seed=1))


def test_the_row_is_left_as_it_is():
    row = np.random.default_rng(0).normal(size=500).astype(np.float32)
    before = row.copy()
    kernel("repetition(1.5) | top_p(0.9)", row, 0.5, past=np.arange(100))
    assert np.array_equal(row, before)
