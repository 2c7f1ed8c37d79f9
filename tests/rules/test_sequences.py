"""What may follow a run, what is allowed, and how long a text gets: by hand, and against transformers' processors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logitherm import LogitsError, RecipeError, Sampler, load_model, parse
from logitherm.rules import Allow, BadWords, Ban, ForcedEos, LengthDecay, SequenceBias
from tests.rules.test_history import after

INF = np.inf


def test_the_examples():
    assert after(SequenceBias([[[3, 1], 1.5], [[2, 1], 9.0]]), [2.0, 1.0, 0.0, 0.0], [3]) == [2.0, 2.5, 0.0, 0.0]
    assert after(BadWords([[3, 1], [2, 0], [2]]), [2.0, 1.0, 0.0, 0.0], [3]) == [2.0, -INF, -INF, 0.0]
    assert after(Allow([1, 3]), [4.0, 3.0, 2.0, 1.0], []) == [-INF, 3.0, -INF, 1.0]
    decay = [after(LengthDecay(2.0, start=1, eos=[0, 3]), [-3.0, 2.0, 0.0, 1.0], [9], [1] * n) for n in range(4)]
    assert decay == [[-3.0, 2.0, 0.0, 1.0]] * 2 + [[0.0, 2.0, 0.0, 2.0], [6.0, 2.0, 0.0, 4.0]]
    forced = [after(ForcedEos(2, eos=[3]), [4.0, 3.0, 2.0, 1.0], [9], [1] * n) for n in range(3)]
    assert forced == [[4.0, 3.0, 2.0, 1.0]] + [[-INF, -INF, -INF, 1.0]] * 2


def test_runs_reach_across_the_prompts_end_and_add_up():
    rule = SequenceBias([[[4, 5, 1], 1.0], [[5, 1], 2.0], [[1], 4.0], [[1], 8.0], [[4, 4, 5, 1], 16.0]])
    flat = [0.0] * 6
    assert after(rule, flat, [7, 4], [5])[1] == 15.0
    assert after(rule, flat, [])[1] == 12.0
    assert after(rule, flat, [5])[1] == 14.0  # the whole history is the run
    assert after(SequenceBias([[[0], -INF], [[0], 3.0]]), [0.0, 0.0], []) == [-INF, 0.0]


def test_ids_outside_the_vocabulary_are_named():
    for rule in (SequenceBias([[[5, 1], 1.0]]), BadWords([[5, 1]]), Allow([5])):
        with pytest.raises(RecipeError, match=r"must be ids in \[0, 2\), the vocabulary; got 5"):
            after(rule, [1.0, 2.0], [])


@pytest.mark.parametrize(
    "wrong", [[[1, 2.0]], [[[], 2.0]], [[[1], INF]], [[[1], True]], [[[1.0], 2.0]], [[[-1], 2.0]], 3]
)
def test_wrong_sequences(wrong):
    with pytest.raises(RecipeError, match=r"SequenceBias\.sequences must be a list of"):
        SequenceBias(wrong)


def test_what_cannot_be():
    with pytest.raises(RecipeError, match=r"BadWords\.words must be a list of runs"):
        BadWords([[]])
    with pytest.raises(RecipeError, match=r"Allow\.ids must be a list of at least one id"):
        Allow([])
    sampler = Ban([1]) | Allow([1])
    with pytest.raises(LogitsError, match=r"row 0: every token was removed after 'allow\(\[1\]\)'"):
        sampler.apply([[1.0, 2.0]], sampler.start([[]], seed=0))
    for rule in (ForcedEos(1), LengthDecay(1.5)):
        with pytest.raises(RecipeError, match=rf"{type(rule).__name__}\.eos must say which ids end a text"):
            after(rule, [2.0, 9.0], [0], [0])
    bound = parse("forced_eos(3) | length_decay(1.1)").bind(load_model("toy").vocabulary)
    assert bound.rules == (ForcedEos(3, eos=[256]), LengthDecay(1.1, eos=[256]))
    assert bound.bind(load_model("toy").vocabulary) == bound


def test_a_long_text_keeps_its_ends_finite():
    sampler = Sampler(LengthDecay(1e9, eos=[0]))
    state = sampler.start([[]], seed=0)
    for _ in range(50):
        state = sampler.observe([[1.0, 2.0]], state, [1]).state
    assert sampler.apply([[1.0, 2.0]], state)[0] == pytest.approx([1e30, 2.0])


def test_rows_end_each_at_their_own_length():
    sampler = Sampler(ForcedEos((1, 2, 0), eos=[0]))
    state = sampler.start([[]] * 3, seed=0)
    x = np.zeros((3, 2))
    assert np.isfinite(sampler.apply(x, state)).tolist() == [[True, False], [True, True], [True, True]]
    state = sampler.observe(x, state, [0, 1, 1]).state
    assert np.isfinite(sampler.apply(x, state)).tolist() == [[True, False], [True, False], [True, True]]


def test_forced_eos_ends_texts_in_generation():
    from logitherm import generate

    for n in (1, 4):
        text = generate("The cat", f"forced_eos({n})", model="toy", seed=1, max_new_tokens=9)
        assert len(text.tokens) <= n


# -- against transformers --------------------------------------------------------------------------------------------

ids = st.integers(0, 5)
runs = st.lists(st.lists(ids, min_size=1, max_size=3), min_size=1, max_size=5, unique_by=tuple)
histories = st.lists(ids, min_size=1, max_size=12)


def theirs(processor, scores, history):
    got = processor(torch.tensor([history]), torch.tensor([scores], dtype=torch.float32))
    return got[0].to(torch.float64).tolist()


@pytest.fixture(scope="module")
def processors():
    return pytest.importorskip("transformers.generation.logits_process")


SCORES = [2.0, -1.0, 0.5, 0.25, -3.0, 1.0]


@given(sequences=runs, history=histories, data=st.data())
def test_sequence_bias_is_that_of_transformers(processors, sequences, history, data):
    amounts = [data.draw(st.sampled_from([1.5, -2.0, 8.0])) for _ in sequences]
    pairs = [[s, a] for s, a in zip(sequences, amounts, strict=True)]
    expected = theirs(processors.SequenceBiasLogitsProcessor(pairs), SCORES, history)
    assert after(SequenceBias(pairs), SCORES, history) == expected


@given(words=runs, history=histories)
def test_bad_words_are_those_of_transformers(processors, words, history):
    expected = theirs(processors.NoBadWordsLogitsProcessor([list(w) for w in words]), SCORES, history)
    if np.isfinite(expected).any():
        assert after(BadWords(words), SCORES, history) == expected


def test_bad_words_remove_an_end_which_transformers_lets_pass(processors):
    assert theirs(processors.NoBadWordsLogitsProcessor([[1], [2]], eos_token_id=1), SCORES, [0])[1:3] == [-1.0, -INF]
    assert after(BadWords([[1], [2]]), SCORES, [0])[1:3] == [-INF, -INF]


def test_a_sequence_that_stands_twice_adds_up_which_transformers_replaces(processors):
    twice = [[[1], 1.0], [[1], 2.0]]
    assert theirs(processors.SequenceBiasLogitsProcessor(twice), SCORES, [0])[1] == 1.0
    assert after(SequenceBias(twice), SCORES, [0])[1] == 2.0


@pytest.mark.parametrize("drawn", range(7))
@pytest.mark.parametrize("factor", [0.5, 1.25])
def test_length_decay_is_that_of_transformers(processors, drawn, factor):
    scores = [2.0, -1.0, 0.5, -INF, -3.0, 1.0]
    processor = processors.ExponentialDecayLengthPenalty((2, factor), [1, 3, 5], input_ids_seq_length=4)
    expected = theirs(processor, scores, [0] * (4 + drawn))
    got = after(LengthDecay(factor, start=2, eos=[1, 3, 5]), scores, [0] * 4, [0] * drawn)
    assert got == pytest.approx(expected, rel=1e-6)
    assert (got != scores) == (drawn > 2)


@pytest.mark.parametrize("drawn", range(4))
def test_forced_eos_keeps_what_transformers_keeps(processors, drawn):
    """theirs counts the prompt, sets the ends to 0, and forces at one length only; ours leaves their logits."""
    processor = processors.ForcedEOSTokenLogitsProcessor(4 + 3, [1, 5])
    expected = theirs(processor, SCORES, [0] * (4 + drawn))
    got = after(ForcedEos(3, eos=[1, 5]), SCORES, [0] * 4, [0] * drawn)
    if drawn < 3:
        assert np.isfinite(got).tolist() == np.isfinite(expected).tolist()
    else:
        assert expected == SCORES
    if drawn >= 2:
        assert [got[1], got[5]] == [SCORES[1], SCORES[5]]
        assert np.isfinite(got).sum() == 2
    if drawn == 2:
        assert [expected[1], expected[5]] == [0.0, 0.0]
