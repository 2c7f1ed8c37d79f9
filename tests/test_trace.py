"""The trace of a step: its numbers against direct computation, and every critical value by crossing it."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from logitherm import REGISTRY, Cutoff, MinP, Sampler, Temperature, Tempering, explain, parse
from logitherm.critical import COLDEST
from logitherm.rules.base import GREEDY
from logitherm.show.waterfall import waterfall
from logitherm.trace import summarise, trace
from tests.rows import batches, begin, examples, kept, probabilities, shaped

WORDS = ["wonderful", "cloudy", "nice", "hot", "gloomy", "delicious"]
S1 = [1.2, 2.0, 3.5, 3.0, 1.8, 1.0]
chains = st.lists(st.sampled_from(examples()), min_size=1, max_size=4).map(lambda rules: Sampler(*rules))


def test_the_weather_example_by_hand():
    t = explain(recipe="top_k(3) | top_p(0.8)", logits=S1, tokens=WORDS, seed=7)
    raw, k, p = t.stages
    assert [s.stage for s in t.stages] == ["raw", "after top_k(3)", "after top_p(0.8)"]
    assert [s.rule for s in t.stages] == [None, "top_k(3)", "top_p(0.8)"]
    assert [(s.kept, s.removed) for s in t.stages] == [(6, 0), (3, 3), (2, 1)]
    assert k.removed_mass == pytest.approx(0.04568250029797 + 0.08323894264178 + 0.03740166787145, abs=1e-12)
    assert p.removed_mass == pytest.approx(0.10166827412901 / (1 - k.removed_mass), abs=1e-12)
    assert raw.entropy == pytest.approx(1.416804025159156, abs=1e-12)
    assert [c.text for c in raw.tokens] == ["nice", "hot", "cloudy", "gloomy", "wonderful", "delicious"]
    assert [c.logit for c in p.tokens] == [3.5, 3.0, None, None, None, None]
    assert p.tokens[0].p == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-12)
    assert {s.temperature for s in t.stages} == {None}
    assert (t.draw.u, t.draw.text) == (pytest.approx(0.750152, abs=1e-6), "hot")
    assert (t.draw.low, t.draw.high) == (pytest.approx(p.tokens[0].p), pytest.approx(1.0))


@given(sampler=chains, x=batches(st.just(1)), top=st.integers(0, 30), seed=st.integers(0, 99))
def test_a_trace_agrees_with_the_step_it_explains(sampler, x, top, seed):
    state = begin(sampler, x, seed)
    shaped(sampler, x, state)
    t, step = trace(sampler, x, state, top)
    assert step.tokens.tolist() == [t.draw.id]
    out = sampler.apply(x, state)[0]
    p = probabilities(out)
    assert t.stages[-1].kept == np.isfinite(out).sum()
    assert t.draw.p == pytest.approx(p[t.draw.id], abs=1e-14)
    assert t.draw.low - 1e-12 <= t.draw.u < t.draw.high + 1e-12
    assert t.draw.low == pytest.approx(p[: t.draw.id].sum(), abs=1e-12)
    ids = [c.id for c in t.stages[0].tokens]
    ranked = sorted(range(x.shape[1]), key=lambda i: (-x[0, i], i))[:top]
    assert ids == ranked + [i for i in [t.draw.id] if i not in ranked]
    for stage, before in zip(t.stages[1:], t.stages, strict=False):
        assert stage.kept == before.kept - stage.removed
        assert 0 <= stage.removed_mass < 1 + 1e-12
        assert [c.id for c in stage.tokens] == ids
    json.dumps(t.to_dict(), allow_nan=False)


def test_the_contract_of_the_json_form():
    data = explain(recipe="temperature(0.5) | top_k(2) | top_k(2)", logits=S1, tokens=WORDS, top=1, seed=1).to_dict()
    assert data["version"] == 1
    assert data["recipe"] == "temperature(0.5) | top_k(2) | top_k(2)"
    assert [s["stage"] for s in data["stages"]] == [
        "raw",
        "after temperature(0.5)",
        "after top_k(2) #1",
        "after top_k(2) #2",
    ]
    for stage in data["stages"]:
        assert set(stage) == {"stage", "rule", "kept", "removed", "removed_mass", "entropy", "temperature", "tokens"}
        for token in stage["tokens"]:
            assert set(token) == {"id", "text", "logit", "p"}
    assert {"u", "id", "text", "p"} <= set(data["draw"])
    assert data["stages"][1]["temperature"] == 0.5
    assert data["draw"]["id"] in [t["id"] for t in data["stages"][0]["tokens"]]


def final_set(sampler, x, state):
    """What is left with the memory of the whole chain, which stays as it was while one parameter moves."""
    state = replace(state, memory=state.memory[: len(sampler.rules)])
    *_, (_, _, after, _) = sampler.stages(x, state)  # may be empty, which `apply` would refuse
    return np.isfinite(after)[0]


def with_rule(sampler, place, rule):
    rules = list(sampler.rules)
    rules[place] = rule
    return Sampler(*rules)


@given(sampler=chains, x=batches(st.just(1), st.integers(2, 12)))
@example(sampler=parse("entropy_cap(0.5) | adaptive_p(0.4) | top_h(0.4)"), x=np.array([[0.0, 0.0, 1.0]]))
@example(sampler=parse("temperature(1.0) | typical(0.05)"), x=np.array([[3.0, 0.5, 3.0, 0.5]]))  # rounding, T = 55,902
def test_critical_values_are_where_tokens_enter_and_leave(sampler, x):
    """Cross every reported value: just on one side the token is in the set, just on the other it is not.

    For a temperature both are exact: at the value itself the token is out, and next to it in.
    """
    state = begin(sampler, x)
    shaped(sampler, x, state)
    t, _ = trace(sampler, x, state, top=6)
    labels = [s.stage for s in t.stages[1:]]
    for c in t.critical:
        place = labels.index(c.stage)
        rule = sampler.rules[place]
        if c.parameter == "T":
            assert isinstance(rule, Tempering)
            inside, outside = around(c)
            sets = (final_set(with_rule(sampler, place, Temperature(v)), x, state) for v in (outside, *inside))
            assert not next(sets)[c.id], (str(sampler), c)
            assert any(left[c.id] for left in sets), (str(sampler), c)
            holds = {">": c.setting > c.value, "<": c.setting < c.value, "<=": c.setting <= c.value}[c.keeps]
            assert c.kept == holds == final_set(sampler, x, state)[c.id], (str(sampler), c)
            continue
        assert isinstance(rule, Cutoff)
        received = Sampler(*sampler.rules[: place + 1])
        if c.value == (rule.neutral or {}).get(c.parameter):
            inside, outside = c.value, c.value * (1 - 1e-9)  # in only where the rule is off
        elif rule.__dataclass_fields__[c.parameter].metadata["whole"]:
            inside, outside = int(c.value), int(c.value) - 1
        elif c.keeps == ">=":  # gaps between logits, which float64 knows to a part of the logits themselves
            gap, size = distance(sampler, place, x, c.id)
            if 0 < gap < 1e-6 * size:
                continue
            inside, outside = c.value * (1 + 1e-7), c.value * (1 - 1e-7)
        else:
            inside, outside = (c.value * (1 + s) for s in ((1e-9, -1e-9) if c.keeps == ">" else (-1e-9, 1e-9)))
        for value, expected in ((inside, True), (outside, False)):
            if legal(type(rule), c.parameter, value):
                changed = with_rule(received, place, replace(rule, **{c.parameter: value}))
                assert final_set(changed, x, state)[c.id] == expected, (str(sampler), c, value)
        assert c.kept == (final_set(received, x, state)[c.id])


def around(c):
    """Temperatures at one of which at least a token is in, and one at which it is out; no others are promised.

    Every float within 1e-12 of the value, the furthest first, is tried and not one at a fixed distance: where a high T
    makes almost equal what a rule compares, rounding puts the token in and out again, a part in 1e6 away and further.
    """
    if c.value == GREEDY:
        return ([COLDEST], GREEDY) if c.keeps == ">" else ([GREEDY], COLDEST)
    floats = np.arange(int(1e-12 * c.value / np.spacing(c.value)), 0, -1)
    return c.value + floats * np.spacing(c.value) * (1 if c.keeps == ">" else -1), c.value


def distance(sampler, place, x, token):
    """How far a token's logit lies below the largest one that a rule receives, and how large the logits are."""
    received = [before for _, before, _, _ in sampler.stages(x, begin(sampler, x))][place][0]
    return received.max() - received[token], np.abs(received[np.isfinite(received)]).max()


def legal(kind, parameter, value):
    """Whether the rule takes that value and is on there."""
    if kind.neutral and kind.neutral.get(parameter) == value:
        return False
    try:
        return value > 1e-300 and bool(kind(**{parameter: value}))
    except ValueError:
        return False


def test_a_critical_temperature_by_hand():
    """Two tokens a gap of 2 apart under min_p(0.5): the lower stays while exp(-2/T) >= 0.5 (1 - 1e-6)."""
    t = explain(recipe="temperature(1.0) | min_p(0.5)", logits=[2.0, 0.0], seed=0)
    (c,) = [c for c in t.critical if c.parameter == "T"]
    assert (c.id, c.keeps, c.kept, c.setting) == (1, ">", False, 1.0)
    assert c.value == pytest.approx(-2 / np.log(0.5 * (1 - 1e-6)), rel=1e-12)
    entries = {(c.id, c.parameter): c for c in t.critical if c.stage == "after min_p(0.5)"}
    assert entries[1, "p"].value == pytest.approx(np.exp(-2) / (1 - 1e-6), rel=1e-12)
    for t, stays in ((c.value, False), (c.value * (1 + 1e-12), True)):  # "T > value" holds to the last bit
        assert kept(Temperature(t) | MinP(0.5), np.array([[2.0, 0.0]])) == [True, stays]
    for floats in range(-6, 7):  # also where the T in use is that close
        near = Temperature(c.value + floats * np.spacing(c.value)) | MinP(0.5)
        (own,) = [c for c in explain(recipe=near, logits=[2.0, 0.0], seed=0).critical if c.parameter == "T"]
        assert own.value == pytest.approx(c.value, rel=1e-12)
        assert own.kept == (own.setting > own.value)


def test_critical_temperatures_on_both_sides_and_at_the_greedy_border():
    def heats(recipe, logits):
        found = explain(recipe=recipe, logits=logits, seed=0).critical
        return [(c.id, c.keeps, c.value, c.kept) for c in found if c.stage.startswith("after temperature")]

    assert heats("temperature(0.0)", [2.0, 1.0, 0.0]) == [(1, ">", 1e-6, False), (2, ">", 1e-6, False)]
    assert heats("temperature(0.7)", [2.0, 1.0]) == [(1, ">", 1e-6, True)]
    # greedy keeps token 0; just above, xtc sees .525 and .475 and removes the first
    near = heats("temperature(0.0) | xtc(1.0, threshold=0.1, protect=[])", [1.0, 1 - 1e-7])
    assert near == [(0, "<=", 1e-6, True), (1, ">", 1e-6, False)]
    ((token, keeps, value, kept),) = heats("temperature(1.0) | top_p(0.9)", [5.0, 4.99999])
    assert (token, keeps, kept) == (1, ">", True)
    assert value == pytest.approx(1e-5 / np.log(9), rel=1e-4)
    # a rule that cools where the row is flat: a token is in, out, and in again as T rises; the nearest changes come
    recipe = "temperature(1.0) | dynamic_temperature(3.0, normalised_entropy=-2.9, of='kept') | min_p(0.2)"
    mine = [(keeps, value) for token, keeps, value, _ in heats(recipe, [3.0, 2.0, 1.5, 0.0, -1.0]) if token == 2]
    assert mine == [(">", pytest.approx(0.39895, rel=1e-4)), ("<", pytest.approx(1.92873, rel=1e-4))]


def test_a_rule_that_is_off_has_no_critical_values_and_others_agree_with_themselves():
    assert explain(recipe="top_p(1.0) | top_k(0) | min_p(0.0)", logits=[0.0, -20.0]).critical == ()
    (c,) = [c for c in explain(recipe="top_p(0.5)", logits=[0.0, -20.0]).critical if c.id == 1]
    assert (c.keeps, c.value, c.kept) == (">=", 1.0, False)


def test_what_the_table_says_of_tokens_that_are_out():
    trace = explain(
        recipe="temperature(0.5) | top_k(3) | temperature(2.0) | top_p(0.5)", logits=S1, tokens=WORDS, seed=0
    )
    text = "".join(map(rendered, waterfall(trace.to_dict(), 140)))
    gone = next(line for line in text.splitlines() if "delicious" in line)
    assert "✗ top_k wants ≥ 6" in gone
    assert "T" not in gone  # no temperature brings it back
    assert "T1 > " in text
    assert "T3 > " in text
    cold = str(explain(recipe="temperature(0.0)", logits=[2.0, 1.0], tokens=["warm", "cold"], seed=0))
    assert "✗ wants T > 1e-06" in next(line for line in cold.splitlines() if "cold" in line)
    narrow = explain(recipe="top_k(2)", logits=S1, tokens=["[bold]", "b", "c", "d", "e", "f"]).to_dict()
    assert "“[bold]”" in "".join(map(rendered, waterfall(narrow, 50)))


def rendered(piece):
    console = Console(width=140)
    with console.capture() as captured:
        console.print(piece)
    return captured.get()


def test_every_cutoff_says_what_steers_it():
    for kind in REGISTRY.values():
        if issubclass(kind, Cutoff):
            if kind.steers is None:
                assert not any("ok" in f.metadata for f in fields(kind))  # no number to speak of
                continue
            parameter, keeps = kind.steers
            assert parameter in kind.__dataclass_fields__
            assert keeps in (">", ">=", "<", "<=")


@pytest.mark.parametrize("width", [36, 50, 72, 100, 200])
def test_the_table_fits_any_terminal(width):
    recipe = "dynamic_temperature(0.1, entropy=0.8, t_max=1.5) | top_k(5) | top_p(0.8) | min_p(0.3)"
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(explain(recipe=recipe, logits=S1, tokens=WORDS, seed=7))
        text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert all(word in text for word in WORDS)
    assert "u = 0.750152" in text


def test_a_trace_prints_as_its_table():
    text = str(explain(recipe="top_k(2)", logits=S1, tokens=WORDS, seed=7))
    assert "“nice”" in text
    assert "lands in" in text
    assert "\x1b" not in text


def test_control_characters_cannot_reach_the_terminal():
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(explain(recipe="top_k(2)", logits=[1.0, 2.0], tokens=["\x1b[31mred", "\n"], seed=0))
        text = console.export_text()
    assert "\x1b" not in text
    assert r"\x1b[31mred" in text
    assert r"“\n”" in text


def test_parse_is_what_explain_shows():
    t = explain(recipe=parse("top_k(2)"), logits=[1.0, 2.0, 3.0])
    assert t.recipe == "top_k(2)"
    assert [c.text for c in t.stages[0].tokens] == [None, None, None]


@pytest.mark.parametrize("mask", [-1e15, -1e17, np.finfo(np.float32).min])
def test_the_leading_tokens_beside_one_that_was_put_there_under_a_mask(mask):
    row = np.array([[3.0, 1.0, 0.0, mask]])
    sampler = parse("top_k(3)")
    state = sampler.start([[]], 1)
    (summary,) = summarise(sampler, sampler.observe(row, state, [3]), state)
    expected = np.exp([3.0, 1.0, 0.0]) / np.exp([3.0, 1.0, 0.0]).sum()
    assert [token.raw_p for token in summary.leading] == pytest.approx(expected, abs=1e-12)
    assert [token.final_p for token in summary.leading] == pytest.approx(expected, abs=1e-12)
