"""The laws of the design, over every rule of the registry at its own non-neutral settings.

Each test names its law. `tests/mutants.py` breaks the code under each one and shows that it notices.
"""

import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logitherm import (
    REGISTRY,
    LogitsError,
    MinP,
    RecipeError,
    Rule,
    Sampler,
    State,
    Temperature,
    TopK,
    TopP,
    from_json,
    from_toml,
    parse,
    to_json,
    to_toml,
)
from logitherm.draw import draw
from logitherm.rng import lane, uniform
from tests.rows import apply, batches, begin, bf16, examples, name, probabilities, shaped

RULES = examples()
over_rules = pytest.mark.parametrize("rule", RULES, ids=name)
chains = st.lists(st.sampled_from(RULES), min_size=1, max_size=4).map(lambda rules: Sampler(*rules))
neutral_rules = [kind(**kind.neutral) for kind in REGISTRY.values() if kind.neutral is not None]


HOT = Temperature(2.0)
"""Stands before a rule that is tried by itself: some act only on what others did to a row."""


def text_of(sampler, lines, state):
    """The tokens that a state draws from one batch of logits after another."""
    drawn = []
    for logits in lines:
        shaped(sampler, logits, state)
        step = sampler.step(logits, state)
        drawn.append(step.tokens.tolist())
        state = step.state
    return drawn


# -- every rule ------------------------------------------------------------------------------------------------------


def test_every_rule_lists_settings_at_which_it_acts():
    ours = {name for name, kind in REGISTRY.items() if kind.__module__.startswith("logitherm.")}
    assert {rule.name for rule in RULES} == ours
    for rule in RULES:
        acts = False
        for seed in range(20):
            x = np.random.default_rng(seed).normal(scale=3, size=(1, 60))
            acts |= not np.array_equal(apply(HOT | rule, x), apply(HOT, x))
        assert acts, rule


@over_rules
@given(x=batches())
def test_law_1_logits_in_float64_logits_out_and_removed_stays_removed(rule, x):
    out = apply(rule, x)
    assert out.dtype == np.float64
    assert out.shape == x.shape
    assert not np.isnan(out).any()
    assert not np.isposinf(out).any()
    assert np.isneginf(out[np.isneginf(x)]).all()
    assert np.isfinite(out).any(axis=-1).all()


@over_rules
@given(x=batches())
def test_law_1_the_dtype_that_comes_in_changes_nothing(rule, x):
    x = bf16(x)
    expected = apply(rule, x.astype(np.float64))
    assert np.array_equal(apply(rule, x), expected)
    half = torch.from_numpy(x).to(torch.bfloat16)
    again = apply(rule, half)
    assert again.dtype == torch.float64
    assert np.array_equal(apply(rule, half.to(torch.float64)).numpy(), again.numpy())


@given(sampler=chains, x=batches())
def test_law_2_a_chain_is_its_rules_from_left_to_right(sampler, x):
    state = begin(sampler, x)
    shaped(sampler, x, state)
    by_hand = x.astype(np.float64)
    for rule, before, after, at in sampler.stages(x, state):
        assert np.array_equal(before, by_hand)
        by_hand = rule.apply(by_hand, at)
        assert np.array_equal(after, by_hand)
    assert np.array_equal(sampler.apply(x, state), by_hand)
    assert parse(str(sampler)).rules == sampler.rules


def test_law_2_order_is_the_recipe():
    x = np.array([[3.0, 2.0, 1.0]])
    last, first = Sampler(TopP(0.8), Temperature(0.5)), Sampler(Temperature(0.5), TopP(0.8))
    assert np.isfinite(apply(last, x)).tolist() == [[True, True, False]]
    assert np.isfinite(apply(first, x)).tolist() == [[True, False, False]]


@pytest.mark.parametrize("rule", neutral_rules, ids=name)
@given(x=batches())
def test_law_3_a_neutral_rule_is_bitwise_the_identity(rule, x):
    assert apply(rule, x).tobytes() == x.astype(np.float64).tobytes()


@given(sampler=chains, x=batches(), rule=st.sampled_from(neutral_rules), place=st.integers(0, 4))
def test_law_3_neutral_rules_anywhere_change_no_token(sampler, x, rule, place):
    rules = list(sampler.rules)
    rules.insert(min(place, len(rules)), rule)
    longer = Sampler(*rules)
    assert text_of(longer, [x] * 5, begin(longer, x)) == text_of(sampler, [x] * 5, begin(sampler, x))


@given(sampler=chains, x=batches())
def test_law_4_apply_changes_nothing_and_repeats_itself(sampler, x):
    x = x.astype(np.float64)  # the one dtype that is not copied on the way in
    state = begin(sampler, x)
    x_before, state_before = x.copy(), pickle.dumps((state.tokens, state.seed, state.memory))
    x.flags.writeable = False
    first = shaped(sampler, x, state)
    assert np.array_equal(first, sampler.apply(x, state))
    assert np.array_equal(x, x_before)
    assert pickle.dumps((state.tokens, state.seed, state.memory)) == state_before
    assert sampler.step(x, state).tokens.tolist() == sampler.step(x, state).tokens.tolist()


def test_law_4_a_sampler_may_be_shared_between_threads():
    sampler = parse("temperature(0.9) | top_p(0.98) | dynamic_temperature(0.5, entropy=0.1)")
    x = np.random.default_rng(0).normal(scale=4, size=(4, 500))
    lines = [x] * 20
    expected = [text_of(sampler, lines, begin(sampler, x, seed)) for seed in range(8)]
    fork = begin(sampler, x, 0)  # and continuations may grow from one state in several threads
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            grow = lambda i: int(sampler.observe(x, fork, [i] * 4).state.tokens[0][-1])
            assert list(pool.map(grow, [*range(500)] * 2)) == [*range(500)] * 2
    finally:
        sys.setswitchinterval(interval)
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda seed: text_of(sampler, lines, begin(sampler, x, seed)), range(8)))
    assert drawn == expected


@given(
    sampler=chains,
    lines=st.lists(batches(st.just(4), st.just(9)), min_size=1, max_size=5),
    order=st.permutations(range(4)),
)
def test_law_5_a_row_draws_the_same_alone_permuted_and_in_company(sampler, lines, order):
    state = begin(sampler, lines[0], seed=[3, 1, 4, 1])
    together = text_of(sampler, lines, state)
    permuted = text_of(sampler, [x[order] for x in lines], state.take(order))
    assert permuted == [[tokens[i] for i in order] for tokens in together]
    for row in range(4):
        alone = text_of(sampler, [x[[row]] for x in lines], state.take([row]))
        assert alone == [[tokens[row]] for tokens in together]


@given(sampler=chains, lines=st.lists(batches(st.just(3), st.just(9)), min_size=2, max_size=6), data=st.data())
def test_law_5_a_row_draws_the_same_when_it_joins_late_or_is_resumed(sampler, lines, data):
    late = data.draw(st.integers(1, len(lines) - 1))
    state = begin(sampler, lines[0], seed=[7, 8, 9])
    together = text_of(sampler, lines, state)
    # rows 0 and 1 run alone for a while; row 2 joins and draws from the first lines while they draw from later ones
    pair = state.take([0, 1])
    for x in lines[:late]:
        pair = sampler.step(x[:2], pair).state  # none of these can empty a row: all three together did not
    pair = State.join(pair, state.take([2]))
    for place in range(len(lines) - late):
        step = sampler.step(np.concatenate([lines[late + place][:2], lines[place][2:]]), pair)
        assert step.tokens.tolist() == [*together[late + place][:2], together[place][2]]
        pair = step.state
    # resumed: a new state that reads what was drawn
    again = state
    for x, tokens in zip(lines[:late], together, strict=False):
        again = sampler.observe(x, again, tokens).state
    assert text_of(sampler, lines[late:], again) == together[late:]


def numeric(kind):
    """The parameters of a kind's examples that may differ from row to row."""
    return [f.name for f in fields(kind) if "ok" in f.metadata]


@pytest.mark.parametrize("kind", [k for k in REGISTRY.values() if numeric(k)], ids=lambda kind: kind.name)
def test_law_5_per_row_parameters_follow_their_row(kind):
    first = numeric(kind)[0]
    example = dict(kind.examples[0])
    values = [example.pop(first), 1.0 if kind.neutral is None else kind.neutral[first]]
    x = np.random.default_rng(1).normal(scale=3, size=(2, 50))
    x[1] += 20.0  # rows that could not be taken for each other
    both = HOT | kind(tuple(values), **example)
    state = begin(both, x)
    expected = [apply(HOT | kind(v, **example), x[[i]])[0] for i, v in enumerate(values)]
    assert not np.array_equal(*(apply(HOT | kind(v, **example), x[[0]]) for v in values))
    assert np.array_equal(both.apply(x, state), expected)
    assert np.array_equal(both.apply(x[[1, 0]], state.take([1, 0])), expected[::-1])
    assert np.array_equal(both.apply(x[[1]], state.take([1])), expected[1:])
    late = begin(both, x).take([1])
    assert np.array_equal(both.apply(x, State.join(state.take([0]), late)), expected)
    with pytest.raises(RecipeError, match="must have a value for each of the 3 rows; got 2"):
        both.start([[], [], []])
    with pytest.raises(RecipeError, match="must have a value for each of the 5 rows; got 2"):
        both.start([[]], rows=[4])


def test_law_5_the_memory_order_of_the_batch_changes_nothing():
    x = np.random.default_rng(0).normal(scale=2, size=(4, 301))
    sampler = parse("dynamic_temperature(0.5, entropy=0.2) | top_p(0.7)")
    state = sampler.start([[]] * 4, seed=1)
    assert np.array_equal(sampler.apply(np.asfortranarray(x), state), sampler.apply(x, state))
    turned = torch.from_numpy(np.ascontiguousarray(x.T)).T
    assert torch.equal(sampler.apply(turned, state), sampler.apply(torch.from_numpy(x), state))


def test_law_4_a_step_stays_true_when_its_caller_reuses_the_buffer():
    for library in (np.array, torch.tensor):
        x = library(np.log([[0.4, 0.3, 0.2, 0.1]]))
        sampler = Sampler(TopK(2))
        step = sampler.observe(x, sampler.start([[]], seed=1), [0])
        x[:] = 0
        assert np.exp(step.raw_logprobs[0]) == pytest.approx(0.4)
        assert np.exp(step.final_logprobs[0]) == pytest.approx(4 / 7)


def test_law_6_every_rule_has_a_lane_of_its_own():
    """A rule that tosses a coin, twice in a chain: its number is of its own lane, not the draw's nor its twin's."""
    tossed = []

    @dataclass(frozen=True)
    class Coin(Rule, name=""):
        name = "coin"

        def apply(self, logits, at):
            tossed.append(at.uniform()[:, 0].tolist())
            return logits

    sampler = Sampler(Coin(), TopK(2), Coin())
    state = sampler.start([[], []], seed=[5, 6])
    step = sampler.step(np.zeros((2, 4)), state)
    assert tossed == [[uniform(seed, 0, lane(f"coin#{i}")) for seed in (5, 6)] for i in (1, 2)]
    tossed.clear()
    sampler.step(np.zeros((2, 4)), step.state)
    assert tossed[0] == [uniform(seed, 1, lane("coin#1")) for seed in (5, 6)]


@pytest.mark.parametrize(("seed", "position"), [(7, np.arange(3)), (np.arange(12), 0), (np.int64(7), np.uint64(3))])
def test_law_6_any_whole_numbers_will_do(seed, position):
    got = uniform(seed, position)
    pairs = np.broadcast(seed, position)
    assert np.ravel(got).tolist() == [uniform(int(s), int(p)) for s, p in pairs]


words = st.integers(0, 2**64 - 1)


@given(seed=words, position=words, lane=words, bit=st.integers(0, 63))
def test_law_6_a_uniform_is_a_function_of_seed_position_and_lane(seed, position, lane, bit):
    u = uniform(seed, position, lane)
    assert 0 <= u < 1
    assert u * 2**53 == int(u * 2**53)
    for rows in (3, 20):  # plain integers below nine rows, NumPy from there on
        many = uniform(np.full(rows, seed, np.uint64), np.full(rows, position, np.uint64), lane)
        assert many.tolist() == [u] * rows
    assert uniform(seed ^ 1 << bit, position, lane) != u
    assert uniform(seed, position ^ 1 << bit, lane) != u
    assert uniform(seed, position, lane ^ 1 << bit) != u


def test_law_6_copies_of_a_row_need_their_own_seed():
    state = Sampler(Temperature(1.0)).start([[1]], seed=3)
    with pytest.raises(RecipeError, match="needs seed= when a row is taken twice"):
        state.take([0, 0])
    for wrong in ([-1], [1], [True], [0.0]):
        with pytest.raises(RecipeError, match=r"State\.take's rows must be whole numbers in"):
            state.take(wrong)
    assert state.take([0, 0], seed=8).seed.tolist() == [8, 9]
    assert len({int(Sampler(Temperature(1.0)).start([[1]]).seed[0]) for _ in range(20)}) == 20  # fresh


@given(x=batches(), us=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4))
def test_law_7_the_smallest_id_whose_running_mass_exceeds_u_times_the_total(x, us):
    x = x.astype(np.float64)
    us = np.array([0.0, 1 - 2**-53, *us[2:]])[: len(x)] if len(x) < 4 else np.array(us)
    tokens = draw(x, us)
    for line, u, token in zip(x, us, tokens.tolist(), strict=True):
        mass = np.cumsum(np.exp(line - line.max()))
        assert token == next(i for i in range(len(line)) if mass[i] > u * mass[-1])
        assert np.isfinite(line[token])
    assert draw(torch.from_numpy(x), us).tolist() == tokens.tolist()


def test_law_7_a_running_mass_of_exactly_u_times_the_total_does_not_exceed_it():
    assert draw(np.zeros((5, 4)), np.array([0.0, 0.25, 0.5, 0.5 - 2**-53, 0.75])).tolist() == [0, 1, 2, 1, 3]
    assert draw(torch.zeros((2, 4), dtype=torch.float64), np.array([0.25, 0.75])).tolist() == [1, 3]


@pytest.mark.parametrize("u", [0.0, 2.0**-53, 0.5, 1 - 2.0**-53])
def test_law_7_the_last_u_below_one_still_draws_a_kept_token(u):
    for total in (1.0, 1.0 + 2**-52, 1.5, 1 / 3, 3.0):
        row = np.log([[0.5, total, 1e-300, total / 3]])
        row[0, [0, 2]] = -np.inf
        assert draw(row, np.array([u]))[0] in (1, 3)


@given(sampler=chains, x=batches())
def test_laws_8_and_10_numpy_and_torch_keep_the_same_tokens(sampler, x):
    state = begin(sampler, x)
    ours, torchs = shaped(sampler, x, state), sampler.apply(torch.from_numpy(x), state).numpy()
    differ = np.isfinite(ours) != np.isfinite(torchs)
    if differ.any():  # only where rounding of the last bit meets a cutoff
        assert near_a_cutoff(sampler, x, state, differ)
        return
    both = np.isfinite(ours)
    np.testing.assert_allclose(ours[both], torchs[both], rtol=1e-12, atol=1e-12)


def near_a_cutoff(sampler, x, state, differ):
    for rule, before, _, at in sampler.stages(x, state):
        if hasattr(rule, "cutoff"):
            near = np.abs(before - rule.cutoff(before, at)) < 1e-9
            if (near & differ).any():
                return True
    return False


# -- law 9: edges, once and for all ----------------------------------------------------------------------------------


@given(x=batches(), p=st.floats(1e-6, 1, exclude_max=True))
def test_law_9_top_p_keeps_a_token_iff_strictly_likelier_mass_is_below_p(x, p):
    out = np.isfinite(apply(TopP(p), x))
    for line, stays in zip(x.astype(np.float64), out, strict=True):
        prob = probabilities(line)
        for i in range(len(line)):
            above = prob[line > line[i]].sum()
            if abs(above - p * (1 - 1e-6)) > 1e-12:
                assert stays[i] == (np.isfinite(line[i]) and above < p * (1 - 1e-6))


@given(x=batches(), k=st.integers(1, 30))
def test_law_9_ties_stay_together(x, k):
    for rule in (TopK(k), TopP(0.7), MinP(0.2)):
        for line, stays in zip(x, np.isfinite(apply(rule, x)), strict=True):
            for level in np.unique(line[np.isfinite(line)]):
                assert len(set(stays[line == level])) == 1
    for line, stays in zip(x, np.isfinite(apply(TopK(k), x)), strict=True):
        assert all(stays[i] == (np.isfinite(line[i]) and (line > line[i]).sum() < k) for i in range(len(line)))


@given(x=batches(), t=st.sampled_from([0.0, 1e-9, 1e-6]))
def test_law_9_a_cold_temperature_keeps_the_lowest_id_among_the_maxima(x, t):
    for library in (x, torch.from_numpy(x)):
        out = np.isfinite(np.asarray(apply(Temperature(t), library)))
        assert out.sum(axis=-1).tolist() == [1] * len(x)
        assert out.argmax(axis=-1).tolist() == x.argmax(axis=-1).tolist()


@given(x=batches())
def test_law_9_k_from_the_vocabulary_up_and_p_of_one_are_off(x):
    for rule in (TopK(0), TopK(x.shape[1]), TopK(10**9), TopP(1.0), MinP(0.0)):
        assert apply(rule, x).tobytes() == x.astype(np.float64).tobytes()


# -- law 11: refuse early --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("bad", [float("nan"), "warm", None, True, -1e999, {}, [[1.0]], b"1", 1j])
def test_law_11_a_wrong_parameter_fails_when_the_rule_is_built(kind, bad):
    good = dict(kind.examples[0])
    for parameter in good:
        if bad is None and kind.__dataclass_fields__[parameter].default is None:
            continue  # may be left out
        with pytest.raises(RecipeError, match=rf"^{kind.__name__}\.{parameter} must be .*; got "):
            kind(**{**good, parameter: bad})
    if numeric(kind):
        with pytest.raises(RecipeError, match="must have one value a row; got an empty list"):
            kind(**{**good, numeric(kind)[0]: []})


@pytest.mark.parametrize("library", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, r"\+inf")])
def test_law_11_a_row_that_cannot_be_drawn_from_is_named(library, bad, word):
    sampler = Sampler(TopK(2), TopP(0.9))
    x = np.random.default_rng(0).normal(size=(3, 6))
    x[2, 4] = bad
    state = sampler.start([[]] * 3, seed=0)
    for act in (sampler.apply, sampler.step, lambda logits, s: sampler.observe(logits, s, [0, 0, 0])):
        with pytest.raises(LogitsError, match=f"row 2: {word} in the logits, first at token 4") as caught:
            act(library(x), state)
        assert caught.value.row == 2


def test_law_11_a_rule_that_removes_everything_is_named():
    sampler = Sampler(TopK(2), TopP(0.9))
    state = sampler.start([[], []], seed=0)
    x = np.array([[1.0, 2.0], [-np.inf, -np.inf]])
    with pytest.raises(LogitsError, match="row 1: every token was removed in the logits"):
        sampler.step(x, state)

    class Nothing(type(TopK(1)).__mro__[1], name=""):  # a cutoff above everything; not enrolled
        steers = ("k", ">=")
        name = "nothing"

        def cutoff(self, logits, at):
            return np.where(at.state.row[:, None] == 1, 1e9, -1e9)

        def critical(self, logits, token):
            return logits[:, :1]

    spoiled = Sampler(TopK(2), Nothing(), TopP(0.9))
    with pytest.raises(LogitsError, match=r"row 1: every token was removed after 'nothing\(\)'") as caught:
        spoiled.step(np.ones((2, 3)), spoiled.start([[], []], seed=0))
    assert caught.value.row == 1


# -- recipes: a sampler is a value -----------------------------------------------------------------------------------


@given(sampler=chains)
def test_a_sampler_survives_text_json_toml_and_pickle(sampler):
    assert parse(str(sampler)) == sampler
    assert str(parse(str(sampler))) == str(sampler)
    assert from_json(to_json(sampler)) == sampler
    assert from_toml(to_toml(sampler)) == sampler
    assert json.loads(to_json(sampler))["logitherm"] == 1
    assert pickle.loads(pickle.dumps(sampler)) == sampler
    assert hash(parse(str(sampler))) == hash(sampler)
