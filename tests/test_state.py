"""States and ragged buffers are values: whatever grows from one, it stays as it was."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logitherm import PromptError, RecipeError, Sampler, State, Temperature
from logitherm.ragged import Ragged

SAMPLER = Sampler(Temperature(1.0))


def lists(ragged):
    return [ragged.row(i).tolist() for i in range(ragged.rows)]


@given(st.data())
def test_ragged_rows_behave_like_lists_of_lists(data):
    """Any sequence of append, take, join and crop, on any earlier value, against plain lists."""
    values = [(Ragged([np.zeros((2, 0), np.int64)], [0, 0]), [[], []])]
    for _ in range(data.draw(st.integers(1, 12))):
        ragged, plain = values[data.draw(st.integers(0, len(values) - 1))]
        rows = len(plain)
        action = data.draw(st.sampled_from(["append", "append", "take", "join", "crop"]))
        if action == "append" and rows:
            counts = data.draw(st.lists(st.integers(0, 70), min_size=rows, max_size=rows))
            new = np.arange(rows * max(counts)).reshape(rows, -1) + len(values) * 1000
            grown = [[*line, *new[i, : counts[i]].tolist()] for i, line in enumerate(plain)]
            values.append((ragged.append([new], counts), grown))
        elif action == "take" and rows:
            index = data.draw(st.lists(st.integers(0, rows - 1), max_size=3))
            values.append((ragged.take(index), [plain[i] for i in index]))
        elif action == "join":
            other, plain_other = values[data.draw(st.integers(0, len(values) - 1))]
            if rows + len(plain_other) <= 6:
                values.append((ragged.join(other), plain + plain_other))
        elif action == "crop":
            lengths = [data.draw(st.integers(0, len(line))) for line in plain]
            values.append((ragged.crop(lengths), [line[:n] for line, n in zip(plain, lengths, strict=True)]))
        for value, expected in values:
            assert lists(value) == expected


def test_appending_does_not_copy_until_a_sibling_has_written():
    start = Ragged([np.zeros((1, 0), np.int64)], [0]).append([np.array([[1]])])
    on = start.append([np.array([[2]])])
    assert on.arrays[0] is start.arrays[0]
    sibling = start.append([np.array([[3]])])
    assert sibling.arrays[0] is not on.arrays[0]
    assert (lists(start), lists(on), lists(sibling)) == ([[1]], [[1, 2]], [[1, 3]])


def test_threads_may_grow_continuations_of_one_value():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(40):
                start = Ragged([np.zeros((6, 64), np.int64)], [1] * 6)
                grow = lambda i, start=start: (i, start.append([np.full((6, 1), i)]))
                grown = list(pool.map(grow, range(24)))
                assert all(value.row(row)[1] == i for i, value in grown for row in range(6))
    finally:
        sys.setswitchinterval(interval)


def test_ragged_refuses_to_grow_by_cropping():
    with pytest.raises(ValueError, match=r"crop lengths must be in \[0, \[2\]\]; got \[3\]"):
        Ragged([np.zeros((1, 2))], [2]).crop([3])


def test_old_states_stay_true():
    state = SAMPLER.start([[1, 5], [7]], seed=[11, 12])
    x = np.random.default_rng(0).normal(size=(2, 9))
    one, two = SAMPLER.observe(x, state, [3, 4]).state, SAMPLER.observe(x, state, [6, 8]).state
    three = SAMPLER.observe(x, one, [2, 2]).state
    assert [t.tolist() for t in state.tokens] == [[1, 5], [7]]
    assert [t.tolist() for t in one.tokens] == [[1, 5, 3], [7, 4]]
    assert [t.tolist() for t in two.tokens] == [[1, 5, 6], [7, 8]]
    assert [t.tolist() for t in three.tokens] == [[1, 5, 3, 2], [7, 4, 2]]
    assert three.position.tolist() == [2, 2]
    with pytest.raises(ValueError, match="read-only"):
        state.tokens[0][0] = 9


def test_take_and_join_carry_everything():
    state = SAMPLER.start([[1, 5], [7], [8, 9]], seed=[11, 12, 13])
    turned = state.take([2, 0])
    assert [t.tolist() for t in turned.tokens] == [[8, 9], [1, 5]]
    assert (turned.seed.tolist(), turned.row.tolist(), turned.prompt.tolist()) == ([13, 11], [2, 0], [2, 2])
    both = State.join(turned, state.take([1]))
    assert [t.tolist() for t in both.tokens] == [[8, 9], [1, 5], [7]]
    assert (both.seed.tolist(), both.row.tolist()) == ([13, 11, 12], [2, 0, 1])
    assert State.join(state) is state
    with pytest.raises(RecipeError, match=r"states of one sampler; got one of 1 rules and one of 2 rules|rules"):
        state.join(Sampler(Temperature(1.0), Temperature(1.0)).start([[1]]))


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, r"seed must be in \[0, 2\*\*64 - 1\]; got -1"),
        (2**64, "seed must be in"),
        ([1], "seed must be one number, or one for each of the 2 rows; got 1"),
        (0.5, "seed must be a whole number, or one a row; got 0.5"),
        ([1, -1], "seed must be in"),
        ("12", "seed must be a whole number"),
    ],
)
def test_wrong_seeds(seed, message):
    with pytest.raises(RecipeError, match=message):
        SAMPLER.start([[1], [2]], seed=seed)


def test_an_integer_seed_counts_on_and_wraps():
    assert SAMPLER.start([[1], [2]], seed=2**64 - 1).seed.tolist() == [2**64 - 1, 0]


def test_wrong_prompts_and_states():
    with pytest.raises(PromptError, match=r"the ids of a prompt must be whole numbers in .*; got \[1, -3\]"):
        SAMPLER.start([[1, -3]])
    with pytest.raises(RecipeError, match="must come from this sampler's start; got one of 1 rules"):
        Sampler(Temperature(1.0), Temperature(1.0)).step(np.zeros((1, 3)), SAMPLER.start([[]]))
    with pytest.raises(ValueError, match=r"logits must be \(2 rows, vocabulary\); got shape \(1, 3\)"):
        SAMPLER.step(np.zeros((1, 3)), SAMPLER.start([[], []]))
    for wrong in ([1], [1, 3], [1, -1], [0.5, 1.0]):
        with pytest.raises(ValueError, match="tokens must be"):
            SAMPLER.observe(np.zeros((2, 3)), SAMPLER.start([[], []]), wrong)


def test_a_step_says_what_it_did():
    from logitherm import TopK

    p = np.array([[0.4, 0.3, 0.2, 0.1]])
    sampler = Sampler(TopK(2))
    step = sampler.step(np.log(p), sampler.start([[]], seed=1))
    (token,) = step.tokens.tolist()
    assert np.exp(step.raw_logprobs[0]) == pytest.approx(p[0, token], abs=1e-15)
    assert np.exp(step.final_logprobs[0]) == pytest.approx(p[0, token] / 0.7, abs=1e-15)
    assert step.raw_entropy[0] == pytest.approx(-(p * np.log(p)).sum(), abs=1e-14)
    assert step.final_entropy[0] == pytest.approx(-(4 / 7) * np.log(4 / 7) - (3 / 7) * np.log(3 / 7), abs=1e-14)
    forced = sampler.observe(np.log(p), sampler.start([[]], seed=1), [3])
    assert forced.final_logprobs[0] == -np.inf
    assert forced.state.tokens[0].tolist() == [3]


def test_a_rule_that_answers_wrongly_is_named():
    from logitherm import Rule

    def rule(answer):
        made = dataclass(frozen=True)(type("Odd", (Rule,), {"name": "odd", "apply": lambda self, x, at: answer(x)}))
        return Sampler(made())

    for answer, got in ((lambda x: x[:, :1], r"\(1, 1\)"), (lambda x: None, "NoneType"), (lambda x: [1], "list")):
        sampler = rule(answer)
        with pytest.raises(RecipeError, match=rf"odd.apply must return logits of shape \(1, 3\); got {got}"):
            sampler.step(np.zeros((1, 3)), sampler.start([[]]))
    vandal = rule(lambda x: x.__setitem__((0, 0), -np.inf))
    with pytest.raises(ValueError, match="read-only"):
        vandal.step(np.zeros((1, 3)), vandal.start([[]]))
    plain = dataclass(frozen=True)(type("Plain", (Rule,), {"__annotations__": {"x": float}, "x": 1.0, "name": "plain"}))
    plain.__abstractmethods__ = frozenset()
    with pytest.raises(TypeError, match=r"Plain\.x must be made by parameter"):
        plain()


def test_a_rule_with_memory_learns_what_was_drawn_and_remembers_it_through_take_and_join():
    from logitherm import Rule

    @dataclass(frozen=True)
    class Count(Rule, name=""):
        name = "count"

        def init(self, rows):
            return np.zeros(rows, dtype=np.int64)

        def apply(self, logits, at):
            out = np.full(logits.shape, -np.inf)
            out[np.arange(len(logits)), at.memory % logits.shape[1]] = 0.0
            return out

        def advance(self, memory, step):
            assert step.state.position.tolist() == (memory + 1).tolist()
            assert (np.exp(step.final_logprobs) == 1).all()
            return memory + 1

    sampler = Sampler(Count(), Temperature(1.0))
    state = sampler.start([[], []], seed=0)
    first = sampler.step(np.zeros((2, 3)), state)
    second = sampler.step(np.zeros((2, 3)), first.state)
    assert (first.tokens.tolist(), second.tokens.tolist()) == ([0, 0], [1, 1])
    mixed = State.join(second.state.take([1]), first.state.take([0]), state.take([0]))
    assert sampler.step(np.zeros((3, 3)), mixed).tokens.tolist() == [2, 1, 0]
