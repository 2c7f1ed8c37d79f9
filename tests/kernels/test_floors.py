"""The rules of `kernels.cpu.floors` against the plain ones: the same kept sets, the same tokens, whatever the row."""

import numpy as np
import pytest

from logitherm import parse
from logitherm.kernels.codes import ASK, FINE
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.cpu.chain import UNCUT
from logitherm.plan import VARIABLE, Plan
from logitherm.rules.base import REGISTRY, Cutoff
from logitherm.told import CUT
from tests.kernels.test_cut import BOUNDARY, EDGES, kernel, rows

ALONE = [
    "epsilon(0.001)",
    "epsilon(0.05)",
    "epsilon(0.9)",
    "eta(0.001)",
    "eta(0.3)",
    "top_a(0.2)",
    "top_a(1.0)",
    "p_less()",
    "p_less_norm()",
    "top_n_sigma(0.3)",
    "top_n_sigma(2.0)",
    "min_k(0.0)",
    "min_k(3.0)",
    "min_k(4000.0)",
    "top_h(0.4)",
    "top_h(0.05)",
    "top_h(0.4, form='transformers')",
    "top_h(1.0, form='transformers')",
    "tfs(0.95)",
    "tfs(0.3)",
    "tfs(0.0)",
    "conformal([0.9, 0.3, 1.0], edges=[0.4, 6.0])",
    "conformal([0.8])",
]
CHAINS = [
    "temperature(0.7) | epsilon(0.0003) | top_p(0.9)",
    "temperature(1.5) | min_k(5.0)",
    "temperature(30.0) | eta(0.001)",
    "top_k(50) | p_less()",
    "top_k(40) | p_less_norm() | temperature(0.5)",
    "top_k(40) | min_k(3.0)",
    "min_p(0.01) | eta(0.01)",
    "min_p(0.001) | top_a(0.3)",
    "top_p(0.95) | top_n_sigma(1.0)",
    "top_n_sigma(1.0) | p_less() | temperature(2.0)",
    "dynatemp(0.5, 1.5) | top_n_sigma(1.5)",
    "edt(0.8, 1.0) | epsilon(0.001)",
    "eta(0.002) | dynatemp(0.5, 1.5)",
    "epsilon(0.0001) | eta(0.001)",
    "ban([0, 3]) | top_a(0.1)",
    "no_repeat_ngram(2) | min_k(3.0) | top_p(0.9)",
    "temperature(0.7) | top_h(0.5) | top_p(0.9)",
    "dynatemp(0.5, 1.5) | top_h(0.4)",
    "top_k(50) | tfs(0.9)",
    "top_k(200) | top_h(0.9)",
    "top_k(120) | top_h(0.9, form='transformers')",
    "tfs(0.9) | temperature(1.5) | conformal([0.5, 0.9], edges=[1.0])",
    "temperature(0.8) | conformal([0.5, 0.9, 0.7, 0.99], edges=[1.0, 3.0, 7.0]) | min_p(0.01)",
    "min_p(0.02) | conformal([0.5, 0.9], edges=[2.0])",
    "ban([0, 3]) | top_h(0.4)",
]


@pytest.fixture
def compiled():
    KERNELS.load()


ORDER = "top_h", "tfs", "conformal"
"""What may be left to the plain rules: a cut deep in a flat row, a sum or an entropy at its bound."""


def check(recipe, row, us, asked=None):
    """One row under one recipe; how many of the draws took exact weights.

    asked: collects what was left to the plain rules; nothing may be unless it is given.
    """
    sampler = parse(recipe)
    final = sampler.apply(row[None].astype(np.float64), sampler.start([[]], seed=1))[0]
    kept = np.isfinite(final)
    running = np.cumsum(np.where(kept, np.exp(final - final.max()), 0.0))
    exact = 0
    for u in us:
        outcome, token, _, count, cut, _, referee = kernel(recipe, row, u)
        where = (recipe, len(row), u)
        if outcome == ASK and asked is not None:
            asked.append(recipe)
            continue
        assert outcome == FINE, where
        assert count in (kept.sum(), UNCUT), where
        if count != 1 and "ban" not in recipe:  # a temperature of 0 keeps one of those that tie
            assert np.array_equal(row >= cut, kept), where
        true = int((running > u * running[-1]).argmax())
        assert token == true or np.abs(running / running[-1] - u).min() < BOUNDARY, where
        exact += referee
    return exact


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 5003, 6021, 50257])
def test_kept_sets_are_equal_and_tokens_too(size, record_property):
    rng = np.random.default_rng(size)
    tried, exact, asked = {True: 0, False: 0}, {True: 0, False: 0}, []
    for row in rows(size, rng).values():
        for recipe in ALONE + CHAINS:
            if "ban" not in recipe or size > 7:  # what is banned may be all there is
                us, ordered = [*rng.random(3), *EDGES], any(name in recipe for name in ORDER)
                exact[ordered] += check(recipe, row, us, asked if ordered else None)
                tried[ordered] += len(us)
    said = f"{sum(tried.values())}, {sum(exact.values())} by exact weights, {len(asked)} left"
    record_property(f"draws of {size} tokens", said)
    assert 0 < exact[False] < 0.15 * tried[False]  # what is only roughly known is computed exactly for them
    assert 0 < exact[True] < 0.4 * tried[True]  # both edges of u are near a boundary in a nucleus of the whole row
    assert len(asked) < 0.25 * tried[True]


@pytest.mark.parametrize("part", range(4))
def test_any_chain_of_one_to_four_rules(part):
    """Their examples, one after another as chance has it, on rows of every kind."""
    rng = np.random.default_rng(part)
    kinds = rows(2001, rng)
    known = [rule(**example) for rule in CUT for example in rule.examples]
    for _ in range(1500):
        chain = [known[i] for i in rng.integers(len(known), size=rng.integers(1, 5))]
        recipe = " | ".join(map(str, chain))
        if parse(recipe).plan().kernel and not any(rule.per_row() for rule in chain):
            ordered = any(name in recipe for name in ORDER)
            for name in rng.choice(list(kinds), 3, replace=False):
                check(recipe, kinds[name], [*rng.random(2), *EDGES], [] if ordered else None)


def test_rough_sums_are_asked_again_only_where_a_token_lies_at_the_limit():
    row = (np.random.default_rng(0).normal(size=9000) * 2).astype(np.float32)
    total, near = np.exp(row.astype(np.float64) - row.max()).sum(), np.sort(row)[-1500]
    p = float(np.exp(np.float64(near) - row.max()) / total)
    for recipe, met in (("epsilon({!r})", p), ("top_a({!r})", p * total**2)):
        assert met < 1
        for times, doubtful in ((1 + 1e-6, True), (1 + 1.1e-6, True), (1 - 1e-5, False), (1 + 1e-5, False)):
            assert (check(recipe.format(float(met * times)), row, [0.5]) == 1) == doubtful, (recipe, times)


def test_min_k_looks_as_far_down_as_it_must():
    """The heaviest drop may lie beyond any number of logits: only what is left below them tells."""
    for place in (1, 63, 64, 65, 255, 256, 257, 3000, 19_999):
        row = np.where(np.arange(20_000) < place, 5.0, -5.0).astype(np.float32)
        rng = np.random.default_rng(place)
        check("min_k(0.0)", rng.permutation(row), [0.1, 0.7])
        slope = row + np.linspace(1e-3, 0, 20_000).astype(np.float32)
        check("min_k(0.0)", rng.permutation(slope), [0.1, 0.7])
    steps = -np.cumsum(np.linspace(0.001, 1.0, 20_000)).astype(np.float32)  # heavier and heavier, but for their places
    check("min_k(0.0)", steps, [0.3])
    check("min_k(1e9)", steps, [0.3])


def test_a_deviation_is_about_the_mean():
    """Squares about the largest logit would cancel where that lies far from all others."""
    row = (np.random.default_rng(1).normal(size=100_000) * 1e-2 - 1000).astype(np.float32)
    row[7] = 0.0
    wide = row.astype(np.float64)
    for nearest in (row.min(), np.sort(row)[50_000]):
        width = (0.0 - np.float64(nearest)) / wide.std() / (1 + 1e-6)
        for side in (1 - 4e-12, 1 + 4e-12):
            check(f"top_n_sigma({float(width * side)!r})", row, [0.4])


def test_every_cutoff_has_a_kernel():
    ours = {rule for rule in REGISTRY.values() if rule.__module__.startswith("logitherm.")}
    assert {rule for rule in ours if issubclass(rule, Cutoff)} <= CUT.keys()


def test_what_edits_leave_to_plain_rules():
    """Numbers of a row are exact only for logits that float32 can hold."""
    for recipe in (
        "ban([1]) | p_less()",
        "no_repeat_ngram(2) | dynatemp(0.5, 1.5)",
        "min_new_tokens(3, [1]) | eta(0.1)",
    ):
        assert Plan(parse(recipe).rules).kernel == "cut"
    for recipe in (
        "repetition(1.2) | p_less()",
        "bias([[1, 0.1]]) | top_n_sigma(1.0)",
        "presence(0.1) | dynatemp(1, 2)",
    ):
        assert Plan(parse(recipe).rules).kernel is None
    row = np.zeros(100, np.float32)
    assert kernel("bias([[1, 0.1]]) | p_less()", row, 0.5)[0] == ASK


def test_what_looks_at_the_row_before_any_rule_is_not_served_behind_a_head(compiled):
    """Where the banned token is the likeliest, it decides the entropy of the raw row."""
    row = np.zeros((64, 9000), np.float32)
    row[:, :4] = [9, 6, 5, 4]
    for head in ("ban([0])", "min_new_tokens(5, [0])", "no_repeat_ngram(1)"):
        for of in ("raw", "kept"):
            for heat in (f"edt(1.0, 1.0, of='{of}')", f"dynamic_temperature(0.2, entropy=0.2, of='{of}')"):
                sampler = parse(f"{head} | {heat} | top_p(0.9)")
                assert sampler.plan().kernel == ("cut" if of == "kept" else None)
                state = sampler.start([[0]] * 64, seed=3)
                step, plain = sampler.step(row, state), sampler.step(row.astype(np.float64), state)
                assert step.tokens.tolist() == plain.tokens.tolist()
                assert np.array_equal(step.final_logprobs, plain.final_logprobs)


def test_two_coefficients_of_the_entropy_may_cancel_only_as_the_plain_rule_has_it():
    assert parse("dynamic_temperature(0.8, entropy=1e8, log_perplexity=-99999999.9)").plan().kernel is None
    assert parse("dynamic_temperature(0.8, log_perplexity=0.1)").plan().kernel == "cut"


def test_temperatures_beyond_reason_are_left_to_plain_rules():
    row = np.where(np.arange(1000) % 2, -np.inf, np.linspace(0, 5, 1000)).astype(np.float32)
    for recipe in ("temperature(1e39) | top_p(0.5)", "temperature(1e60) | p_less_norm()", "temperature(1e31)"):
        assert kernel(recipe, row, 0.5)[0] == ASK
    assert kernel("temperature(1e29) | epsilon(0.001)", row, 0.5)[0] == FINE


def test_probabilities_of_unlikely_tokens_under_steep_rules_are_remembered(compiled):
    """The kernel knows T to 1e-4 at worst; a step is not to think that its logits were written over."""
    row = np.zeros((1, 9000), np.float32)
    row[0, 0] = 13.0
    sampler = parse("edt(1.08, 0.0655)")
    for seed in range(300):
        step = sampler.step(row, sampler.start([[]], seed=seed))
        assert np.isfinite(step.final_logprobs).all()


def test_apply_is_the_same_to_the_last_bit(monkeypatch, compiled):
    logits = np.stack(list(rows(9001, np.random.default_rng(7)).values()))
    for recipe in ALONE + CHAINS:
        sampler = parse(recipe)
        state = sampler.start([[]] * len(logits), seed=4)
        found, tokens = sampler.apply(logits, state), sampler.step(logits, state).tokens
        monkeypatch.setenv(VARIABLE, "plain")
        plain = parse(recipe)
        assert np.array_equal(found, plain.apply(logits, state)), recipe
        assert np.array_equal(tokens, plain.step(logits, state).tokens), recipe
        monkeypatch.delenv(VARIABLE)
