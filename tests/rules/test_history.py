"""Rules that look back or at single tokens, by hand; and schedules."""

import numpy as np
import pytest

from logitherm import RecipeError, Sampler, load_model, parse
from logitherm.rules import Ban, Bias, Frequency, MinNewTokens, NoRepeatNgram, Presence, Repetition
from logitherm.rules.repeats import continuations
from logitherm.schedule import SCHEDULES


def after(rule, logits, prompt, drawn=()):
    """The logits of one row after a rule, with that prompt and those tokens drawn."""
    sampler = Sampler(rule)
    state = sampler.start([prompt], seed=0)
    for token in drawn:
        state = sampler.observe(np.zeros((1, 10)), state, [token]).state
    return sampler.apply([logits], state)[0].tolist()


def test_repetition_weakens_by_sign_in_prompt_and_output():
    logits = [2.0, -2.0, 1.0, 0.5, 0.0]
    assert after(Repetition(2.0), logits, prompt=[0, 4], drawn=[1, 1, 3]) == [1.0, -4.0, 1.0, 0.25, 0.0]
    assert after(Repetition(0.5), [2.0, -2.0], prompt=[0, 1]) == [4.0, -1.0]


def test_frequency_and_presence_count_the_output_alone():
    assert after(Frequency(0.5), [2.0, 1.0, 0.0], prompt=[1, 1], drawn=[0, 0, 2]) == [1.0, 1.0, -0.5]
    assert after(Presence(0.5), [2.0, 1.0, 0.0], prompt=[1, 1], drawn=[0, 0, 2]) == [1.5, 1.0, -0.5]
    assert after(Frequency(0.5), [-np.inf, 1.0], prompt=[], drawn=[0]) == [-np.inf, 1.0]


def test_no_run_comes_twice():
    assert continuations(np.array([5, 7, 9, 5]), 2).tolist() == [7]
    assert continuations(np.array([1, 2, 3, 1, 2, 4, 1, 2]), 3).tolist() == [3, 4]
    assert continuations(np.array([4, 4, 6]), 1).tolist() == [4, 4, 6]
    assert continuations(np.array([4, 4]), 2).tolist() == [4]
    assert continuations(np.array([4]), 2).tolist() == []
    assert continuations(np.array([4]), 0).tolist() == []
    assert after(NoRepeatNgram(2), [1.0, 2.0, 3.0], prompt=[0, 2], drawn=[0]) == [1.0, 2.0, -np.inf]
    assert after(NoRepeatNgram(2), [1.0, 2.0], prompt=[0, 99, 0]) == [1.0, 2.0]  # a prompt id beyond the logits
    assert after(NoRepeatNgram(2), [1.0, 2.0], prompt=[0, 2, 0]) == [1.0, 2.0]  # by one


def test_bias_and_ban():
    assert after(Bias([[0, 1.5], [2, -np.inf], [0, 1.0]]), [2.0, 1.0, 0.0], []) == [4.5, 1.0, -np.inf]
    assert after(Ban([1, 2]), [2.0, 1.0, 0.0], []) == [2.0, -np.inf, -np.inf]
    assert str(Bias([[0, 1.5]])) == "bias([[0, 1.5]])"
    with pytest.raises(RecipeError, match=r"Ban\.ids must be ids in \[0, 2\), the vocabulary; got 5"):
        after(Ban([5]), [1.0, 2.0], [])
    with pytest.raises(RecipeError, match=r"Ban\.ids must be ids in \[0, 2\), the vocabulary; got 2"):
        after(Ban([0, 2]), [1.0, 2.0], [])


@pytest.mark.parametrize(
    "wrong",
    [[[1]], [[1, "a"]], [[-1, 2.0]], [[1, np.inf]], [[1, np.nan]], [3], "ab", [[1.5, 1]], [[1, True]], [[True, 1]]],
)
def test_wrong_pairs(wrong):
    with pytest.raises(RecipeError, match=r"Bias\.pairs must be a list of"):
        Bias(wrong)


def test_the_end_is_forbidden_until_enough_tokens_came():
    rule = MinNewTokens(2, eos=[1])
    seen = [after(rule, [2.0, 9.0], [0, 0, 0], [0] * n) for n in range(4)]
    assert seen == [[2.0, -np.inf], [2.0, -np.inf], [2.0, 9.0], [2.0, 9.0]]
    with pytest.raises(RecipeError, match=r"MinNewTokens\.eos must say which ids end a text"):
        after(MinNewTokens(2), [2.0, 9.0], [])
    bound = parse("min_new_tokens(3)").bind(load_model("toy").vocabulary)
    assert bound.rules == (MinNewTokens(3, eos=[256]),)
    assert rule.bind(load_model("toy").vocabulary) is rule


def test_min_new_tokens_in_generation():
    from logitherm import generate
    from tests.generation.test_loop import recite

    model = recite("ab")
    assert generate("x", "top_k(300)", model=model, seed=1).text == "ab"
    with pytest.raises(ValueError, match="every token was removed after 'min_new_tokens"):
        generate("x", "min_new_tokens(5)", model=model, seed=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [2.0, 1.5, 1.0, 1.0]),
        ("cosine", [2.0, 1.5, 1.0, 1.0]),
        ("exponential", [2.0, 1 + (0.1 - 0.01) / 0.99, 1.0, 1.0]),
    ],
)
def test_schedules_go_from_start_to_end(name, expected):
    schedule = SCHEDULES[name](2.0, 1.0, 4)
    assert [schedule.at(position) for position in (0, 2, 4, 5)] == pytest.approx(expected, abs=1e-15)
    assert schedule.at(400) == expected[-1]
    sampler = parse(f"temperature({name}(2.0, 1.0, steps=4))")
    state = sampler.start([[]], seed=0)
    used = []
    for _ in range(6):
        used.append(1 / sampler.apply([[1.0, 0.0]], state)[0, 0])
        state = sampler.observe([[1.0, 0.0]], state, [0]).state
    assert [used[0], used[2], used[4]] == pytest.approx(expected[:3], abs=1e-15)


def test_rows_of_a_batch_are_each_at_their_own_place_of_a_schedule():
    sampler = parse("temperature(linear(2.0, 1.0, steps=4))")
    state = sampler.start([[], []], seed=0)
    ahead = sampler.observe([[1.0, 0.0]] * 2, state, [0, 0]).state
    mixed = ahead.take([0]).join(state.take([1]))
    assert sampler.apply([[1.0, 0.0]] * 2, mixed)[:, 0].tolist() == [1 / 1.75, 0.5]
