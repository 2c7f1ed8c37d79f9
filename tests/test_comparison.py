"""Recipes side by side: by hand on four tokens, by an oracle on many, and as texts."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logitherm as lt
from logitherm import LogitsError, PromptError, RecipeError
from logitherm.generation.measures import distinct, interval, measure, quantile, repetition
from logitherm.models.toy import Bytes
from logitherm.vary import varied
from tests.rows import batches, logs, probabilities

PROMPT = "The cat slept on the"
FOUR = logs(0.4, 0.3, 0.2, 0.1)[0]


def test_kept_sets_and_distances_by_hand():
    found = lt.compare(recipes=["neutral", "top_k(2)"], logits=FOUR, tokens=list("abcd"), seed=1)
    first, second = found.recipes
    assert (first.label, first.kept, second.label, second.kept) == ("neutral", 4, "top_k(2)", 2)
    assert (first.temperature, second.temperature) == (1.0, None)
    none, d = found.differences
    assert none is None
    assert (d.only_first, d.only_this) == (2, 0)
    assert [c.text for c in d.only_first_leading] == ["c", "d"]
    assert d.only_this_leading == ()
    assert d.kl == pytest.approx(math.log(1 / 0.7))  # all of p is 1/.7 of what it was
    assert d.kl_back is None  # infinite: top_k removes what neutral keeps
    assert d.tv == pytest.approx(0.3)
    assert [token.text for token in found.tokens] == list("abcd")
    assert found.tokens[0].final_p == pytest.approx((0.4, 0.4 / 0.7))
    assert found.tokens[3].final_p[1] is None
    back = lt.compare(recipes=["top_k(2)", "neutral"], logits=FOUR, seed=1).differences[1]
    assert (back.only_first, back.only_this, back.kl, back.kl_back) == (0, 2, None, d.kl)


@given(batches(rows=st.just(1), size=st.integers(2, 30)))
def test_distances_are_those_of_the_definition(logits):
    found = lt.compare(recipes=["temperature(0.7)", "temperature(1.9)"], logits=logits[0], seed=1)
    p, q = (probabilities(logits[0].astype(float) / t) for t in (0.7, 1.9))
    alive = np.isfinite(logits[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(q > 0, q * np.log(q / p), 0)[alive].sum()
    if (p[alive] > 0).all():
        assert found.differences[1].kl == pytest.approx(kl, abs=1e-9, rel=1e-6)
    assert found.differences[1].tv == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-12)


def test_a_recipe_and_itself_in_other_words_do_not_differ():
    d = lt.compare(recipes=["greedy", "top_k(1)"], logits=FOUR, seed=1).differences[1]
    assert (d.only_first, d.only_this, d.kl, d.kl_back, d.tv) == (0, 0, 0.0, 0.0, 0.0)


def test_texts_have_the_same_seeds_and_part_where_they_part():
    found = lt.compare(PROMPT, ["default", "temperature(0.4)"], seed=8, n=3, max_new_tokens=15)
    for under, recipe in zip(found.recipes, ("default", "temperature(0.4)"), strict=True):
        texts = lt.generate(PROMPT, recipe, seed=8, n=3, max_new_tokens=15, details=True)
        assert [t["text"] for t in under.texts] == [t.text for t in texts]
        assert [t["seed"] for t in under.texts] == [8, 9, 10]
        assert under.measures == measure(texts)
        assert under.drawn.id == texts[0].tokens[0].id
    a, b = ([token["id"] for token in under.texts[0]["tokens"]] for under in found.recipes)
    place = found.differences[1].parts_at
    assert a[:place] == b[:place]
    assert a[place] != b[place]
    same = lt.compare(PROMPT, ["greedy", "top_k(1)"], seed=8, n=1, max_new_tokens=5)
    assert same.differences[1].parts_at is None


def test_the_models_end_is_a_token_at_which_texts_may_part():
    ending = "bias([[256, 60.0]]) | top_k(1)"
    found = lt.compare(PROMPT, [f"min_new_tokens(4) | {ending}", f"min_new_tokens(2) | {ending}"], model="toy", n=1)
    long, short = (under.texts[0]["tokens"] for under in found.recipes)
    assert (len(long), len(short), found.differences[1].parts_at) == (5, 3, 2)
    assert short[2]["id"] == 256


def test_presets_are_named_and_what_varies_is_labelled():
    found = lt.compare(PROMPT, vary="top_p=0.1,0.9", seed=1)
    assert (found.varied, [under.label for under in found.recipes]) == ("top_p", ["0.1", "0.9"])
    assert [under.recipe for under in found.recipes] == ["top_p(0.1)", "top_p(0.9)"]
    assert found.recipes[0].about == lt.presets()["very_conservative"].about
    assert lt.compare(recipes=["default", "top_k(3)"], logits=FOUR).recipes[1].about is None


def test_a_comparison_of_many_recipes_fits_every_width():
    found = lt.compare(PROMPT, vary="temperature=0.1,0.5,1,2,5,10,100", seed=1, n=2, max_new_tokens=12)
    from rich.console import Console

    for width in (44, 60, 80, 100, 160):
        console = Console(width=width, highlight=False, no_color=True)
        with console.capture() as captured:
            console.print(found)
        shown = captured.get()
        assert max(map(len, shown.split("\n"))) <= width
        assert shown.count("token ") >= 1
        assert all(f" {label}" in shown for label in ("0.1", "100"))


def test_the_json_form_is_plain_and_finite():
    found = lt.compare(PROMPT, ["top_k(2)", "neutral"], seed=1, n=2, max_new_tokens=5)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["version"] == 1
    assert data["differences"][0] is None
    assert data["differences"][1]["kl"] is None
    assert set(data["recipes"][0]["measures"]) == {"repetition", "distinct_1", "distinct_2", "entropy", "length"}
    assert data["raw"]["kept"] == 4096


def test_rules_that_look_back_or_remember_start_afresh():
    found = lt.compare(PROMPT, ["repetition(1.3)", "dynamic_temperature(0.5, running_perplexity=0.1)"], seed=1)
    assert found.recipes[1].temperature == pytest.approx(
        lt.explain(PROMPT, found.recipes[1].recipe).stages[1].temperature
    )


def test_a_drawn_token_outside_the_leading_ones_is_listed():
    found = lt.compare(recipes=["neutral", "temperature(50.0)"], logits=np.log(np.arange(1, 301)), seed=4, top=2)
    assert {under.drawn.id for under in found.recipes} <= {token.id for token in found.tokens}
    assert len(found.tokens) in (3, 4)
    for place, under in enumerate(found.recipes):
        (token,) = (t for t in found.tokens if t.id == under.drawn.id)
        assert (token.raw_p, token.final_p[place]) == pytest.approx((under.drawn.raw_p, under.drawn.final_p))


def test_tokens_that_only_one_keeps_stand_with_their_raw_probability():
    d = lt.compare(recipes=["neutral", "top_k(2)"], logits=FOUR, seed=1).differences[1]
    assert [c.raw_p for c in d.only_first_leading] == pytest.approx([0.2, 0.1])


def test_tokens_that_no_model_gives_are_not_listed_as_removed():
    found = lt.compare(recipes=["neutral", "temperature(2.0)"], logits=[1.0, -np.inf, 0.0], seed=1)
    assert [token.id for token in found.tokens] == [0, 2]


def test_the_measured_entropy_is_that_after_the_rules():
    (text,) = lt.generate(PROMPT, "top_k(3)", seed=1, n=1, max_new_tokens=9, details=True)
    summaries = [token.summary for token in text.tokens]
    assert measure([text])["entropy"].mean == pytest.approx(np.mean([s.final_entropy for s in summaries]))
    assert measure([text])["entropy"].mean < np.mean([s.raw_entropy for s in summaries])


def test_a_text_that_fails_is_shown_and_not_measured():
    breaks = lt.CallableModel(lambda ids: np.full(257, np.nan if len(ids) > 24 else 0.0), Bytes())
    found = lt.compare(PROMPT, ["neutral", "top_p(0.5)"], model=breaks, seed=1, n=2, max_new_tokens=30)
    assert [t["stop"] for t in found.recipes[0].texts] == ["error", "error"]
    assert "NaN in the logits" in found.recipes[0].texts[0]["error"]
    assert found.recipes[0].measures is None
    assert "NaN in the logits" in found.to_html()


def test_wrong_input_is_refused_before_any_work():
    for arguments, message in [
        ({}, "compare needs two recipes that differ, or vary; got 0"),
        ({"recipes": "greedy"}, "got 1"),
        ({"recipes": ["greedy", "greedy"]}, "got 1"),
        ({"recipes": ["greedy", "default"], "vary": "top_k=1,2"}, "with vary, compare takes one recipe at most; got 2"),
        ({"vary": "top_k"}, "vary must be rule=value,value"),
        ({"vary": "top_k=1,"}, "vary must be rule=value,value"),
        ({"vary": 5}, "vary must be text"),
        ({"vary": "top_p=0.5"}, "vary must name two values or more"),
        ({"vary": "temperature=0.5,0.50"}, "vary must name two values or more, each once"),
        ({"vary": "dynamic_temperature.entropy=0.1,0.2"}, "give the recipe that holds the rule too"),
        ({"recipes": {"a": "greedy"}}, "recipes must be a list of recipes"),
        ({"vary": "top_k=1,2", "n": 10**12}, "n must be at most 1,000,000"),
        ({"vary": "top_k=1,2", "max_new_tokens": 0}, "max_new_tokens must be a whole number >= 1"),
        ({"vary": "top_k=1,2", "stop": 5}, "stop must be a text or a list of texts"),
        ({"vary": "top_k=1,1"}, "vary must name two values or more, each once"),
        ({"vary": "top_k=1,-1"}, "TopK.k must be a whole number"),
        ({"vary": "top_q=1,2"}, "unknown rule 'top_q'"),
        ({"vary": "top_k.p=1,2"}, "top_k has no parameter 'p'"),
        ({"vary": "top_k=1,2) | top_p(0.5"}, "vary must be of one rule"),
        ({"vary": "top_k=1,2", "n": -1}, "n must be a whole number >= 0"),
    ]:
        with pytest.raises(RecipeError) as caught:
            lt.compare(PROMPT, **arguments)
        assert message in str(caught.value)
    with pytest.raises(PromptError, match="either a prompt or logits"):
        lt.compare(vary="top_k=1,2")
    with pytest.raises(PromptError, match="needs a prompt for n="):
        lt.compare(logits=FOUR, vary="top_k=1,2", n=3)
    with pytest.raises(LogitsError, match="row 0: every token was removed"):
        lt.compare(recipes=["neutral", "ban([0, 1, 2, 3])"], logits=FOUR)


def test_one_parameter_varies_where_it_stands():
    base = lt.parse("repetition(1.1) | dynamic_temperature(0.3, entropy=0.5, t_max=2.0) | top_p(0.9)")
    found = varied("dynamic_temperature.entropy=0.1, 0.7", base)
    assert list(found) == ["0.1", "0.7"]
    assert found["0.7"] == lt.parse("repetition(1.1) | dynamic_temperature(0.3, entropy=0.7, t_max=2.0) | top_p(0.9)")
    assert varied("top_p=0.2,1.0", base)["0.2"].rules[:2] == base.rules[:2]
    assert [
        s.rules[0].of for s in varied("dynamic_temperature.of=raw,kept", lt.parse("dynamic_temperature(0.5)")).values()
    ] == [
        "raw",
        "kept",
    ]
    schedules = varied("temperature=linear(1.2, 0.6, steps=5),0.5")
    assert list(schedules) == ["linear(1.2, 0.6, steps=5)", "0.5"]
    with pytest.raises(RecipeError, match="has 2"):
        varied("top_k=1,2", lt.parse("top_k(4) | top_k(3)"))


def test_measures_by_hand():
    assert repetition([1, 2, 3, 4, 1, 2, 3, 4], 4) == pytest.approx(1 / 5)  # 1234 comes twice among five
    assert repetition([1, 2, 3], 4) is None
    assert distinct([1, 2, 1, 2, 3], 1) == pytest.approx(3 / 5)
    assert distinct([1, 2, 1, 2, 3], 2) == pytest.approx(3 / 4)
    assert (distinct([], 1), distinct([5], 2)) == (None, None)


def test_intervals_cover_the_true_mean_as_often_as_they_say(record_property):
    """2,000 samples of 50 uniform numbers: the 95 % interval holds .5 in 95 % of them, ± 4 standard errors (1.95 %)."""
    rng = np.random.default_rng(3)
    held = [i.low <= 0.5 <= i.high for i in (interval(rng.random(50)) for _ in range(2000))]
    share = np.mean(held)
    record_property("coverage", f"{share:.3f}")
    assert abs(share - 0.95) <= 0.0195
    sample = rng.random(400)
    error, found = sample.std() / 20, interval(sample)
    for side in (found.mean - found.low, found.high - found.mean):
        assert side / error == pytest.approx(1.97, abs=0.02)
    assert [interval([2.0] * n).low for n in (1, 4, 5)] == [None, None, 2.0]
    assert interval([0.0, 0.0, 0.0, 0.0, 1.0], most=1.0).low == 0.0


@pytest.mark.parametrize("n", [5, 8, 12])
def test_intervals_of_few_texts_cover_too(n):
    """4,000 samples of n normal numbers: held in 95 % ± 4 standard errors (1.38 %)."""
    rng = np.random.default_rng(n)
    held = [i.low <= 10 <= i.high for i in (interval(rng.normal(10, 1, n)) for _ in range(4000))]
    assert abs(np.mean(held) - 0.95) <= 0.0138


def test_students_quantiles_against_scipy():
    from scipy.stats import t

    for df in (4, 5, 7, 10, 30, 200, 10_000):
        assert quantile(df) == pytest.approx(t.ppf(0.975, df), rel=0.003)
