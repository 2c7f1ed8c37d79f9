"""Our rules against transformers' processors: the same kept sets, the same scores, on real and on random rows.

Exempt, counted and printed: tokens that tie with the cutoff (transformers keeps an arbitrary one of them), and tokens
whose exclusive mass lies within 2e-5 of p (it adds float32 probabilities up).
"""

import numpy as np
import pytest
import torch

from logitherm import MinP, Sampler, TopK, TopP
from logitherm.rules import BadWords, Bias, LengthDecay, MinNewTokens, NoRepeatNgram, Repetition, SequenceBias

processors = pytest.importorskip("transformers.generation.logits_process")

NEAR = 2e-5
RUNS = [[3, 1], [2], [4, 6, 0], [1, 1]]


@pytest.fixture(scope="module")
def rows():
    """500 rows of 1,000 logits: from sharp to flat."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(500, 1000)) * rng.uniform(0.3, 6, size=(500, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def batches(rows, gpt2):
    return [rows, gpt2]


def ours(rule, logits, history=None):
    sampler = Sampler(rule)
    prompts = [[]] * len(logits) if history is None else history.tolist()
    return sampler.apply(logits, sampler.start(prompts))


def theirs(processor, logits, history=None):
    ids = torch.zeros((len(logits), 0), dtype=torch.long) if history is None else torch.from_numpy(history)
    return processor(ids, torch.from_numpy(logits.copy())).numpy()


def exempt(logits, differ, value, p=None):
    """Which differing tokens tie with the cutoff value, or have an exclusive mass near p."""
    tied = logits == value
    if p is None:
        return tied
    w = np.exp(logits.astype(np.float64) - logits.max())
    above = np.array([w[logits > x].sum() for x in logits[differ]]) / w.sum()
    near = np.zeros_like(tied)
    near[np.flatnonzero(differ)[np.abs(above - p) < NEAR]] = True
    return tied | near


@pytest.mark.parametrize(
    ("rule", "processor"),
    [
        (TopK(1), lambda: processors.TopKLogitsWarper(1)),
        (TopK(50), lambda: processors.TopKLogitsWarper(50)),
        (TopP(0.5), lambda: processors.TopPLogitsWarper(0.5)),
        (TopP(0.95), lambda: processors.TopPLogitsWarper(0.95)),
        (MinP(0.05), lambda: processors.MinPLogitsWarper(0.05)),
        (MinP(0.3), lambda: processors.MinPLogitsWarper(0.3)),
    ],
    ids=lambda value: str(value) if hasattr(value, "name") else "",
)
def test_kept_sets(rule, processor, batches, record_property):
    excused = 0
    for logits in batches:
        a, b = np.isfinite(ours(rule, logits)), np.isfinite(theirs(processor(), logits))
        for row in np.flatnonzero((a != b).any(axis=1)):
            differ = a[row] != b[row]
            lowest = logits[row][a[row] | b[row]].min()
            fine = exempt(logits[row], differ, lowest, rule.p if isinstance(rule, TopP) else None)
            if isinstance(rule, MinP):  # a ratio within float32 of p
                fine |= np.abs(logits[row] - logits[row].max() - np.log(rule.p)) < NEAR
            assert not (differ & ~fine).any(), (str(rule), row)
            excused += int(differ.sum())
    record_property(f"{rule}: tokens excused", excused)
    assert excused < 20


@pytest.mark.parametrize(
    ("rule", "processor"),
    [
        (Repetition(1.3), lambda: processors.RepetitionPenaltyLogitsProcessor(1.3)),
        (Repetition(0.8), lambda: processors.RepetitionPenaltyLogitsProcessor(0.8)),
        (NoRepeatNgram(2), lambda: processors.NoRepeatNGramLogitsProcessor(2)),
        (NoRepeatNgram(3), lambda: processors.NoRepeatNGramLogitsProcessor(3)),
        (Bias([[3, 1.5], [7, -2.0]]), lambda: processors.SequenceBiasLogitsProcessor({(3,): 1.5, (7,): -2.0})),
        (
            SequenceBias([[[3, 1], 1.5], [[7], -2.0], [[2, 5, 1], 4.0], [[11, 0], -np.inf]]),
            lambda: processors.SequenceBiasLogitsProcessor(
                [[[3, 1], 1.5], [[7], -2.0], [[2, 5, 1], 4.0], [[11, 0], -np.inf]]
            ),
        ),
        (BadWords(RUNS), lambda: processors.NoBadWordsLogitsProcessor(RUNS)),
        (MinNewTokens(1, eos=[5, 6]), lambda: processors.MinLengthLogitsProcessor(31, [5, 6])),  # it counts the prompt
        (MinNewTokens(2, eos=[5]), lambda: processors.MinNewTokensLengthLogitsProcessor(30, 2, 5)),
        (MinNewTokens(0, eos=[5]), lambda: processors.MinNewTokensLengthLogitsProcessor(30, 0, 5)),
    ],
    ids=lambda value: str(value) if hasattr(value, "name") else "",
)
def test_scores(rule, processor, batches):
    acted = False
    for logits in batches:
        history = np.random.default_rng(1).integers(0, 12, size=(len(logits), 30))
        a, b = ours(rule, logits, history), theirs(processor(), logits, history)
        assert np.array_equal(np.isfinite(a), np.isfinite(b))
        left = np.isfinite(a)
        np.testing.assert_allclose(a[left], b[left], rtol=1e-6, atol=1e-6)
        acted |= not np.array_equal(a, logits)
    assert acted == (rule != MinNewTokens(0, eos=[5]))


@pytest.mark.parametrize(("factor", "start"), [(1.2, 4), (0.9, 0), (1.5, 12)])
def test_length_decay(factor, start, batches):
    """Ten tokens drawn after a prompt of five; both bend the ends by |logit| · (factor^(drawn − start) − 1)."""
    sampler = Sampler(LengthDecay(factor, start=start, eos=[5, 8]))
    for logits in batches:
        history = np.random.default_rng(1).integers(0, 12, size=(len(logits), 15))
        state = sampler.start(history[:, :5].tolist())
        for tokens in history[:, 5:].T:
            state = sampler.observe(logits, state, tokens).state
        b = theirs(processors.ExponentialDecayLengthPenalty((start, factor), [5, 8], 5), logits, history)
        np.testing.assert_allclose(sampler.apply(logits, state), b, rtol=1e-5, atol=1e-6)
        assert np.array_equal(b, logits) == (start >= 10)
