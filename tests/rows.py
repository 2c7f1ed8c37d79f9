"""Rows of logits that make trouble: ties, removed tokens, bf16 rounding, far tails; and small ones to check by hand."""

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from logitherm import REGISTRY, LogitsError, Rule, Sampler
from logitherm.rules import Masked


def bf16(x):
    """The nearest bfloat16 below in magnitude, as float32: many ties, as engines produce them."""
    return (np.asarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def logs(*p):
    """One row of logits whose softmax is p."""
    return np.log(np.array([p], dtype=np.float64))


def begin(sampler, logits, seed=5):
    """Rows with a history, so that rules that look back have something to see: prompt 0 1 0, then 1 and 0 drawn."""
    state = sampler.start([[0, 1, 0]] * len(logits), seed=seed)
    size = max(2, np.shape(logits)[-1])
    for token in (1, 0):
        state = sampler.observe(np.zeros((len(logits), size)), state, [token] * len(logits)).state
    return state


def apply(rule, logits):
    """The logits after one rule or chain; a Hypothesis example in which nothing is left is not one."""
    sampler = Sampler(rule)
    return shaped(sampler, logits, begin(sampler, logits))


def shaped(sampler, logits, state):
    try:
        return sampler.apply(logits, state)
    except LogitsError as error:
        if "every token was removed after" not in str(error):
            raise
        reject()


def kept(rule, logits):
    """Which tokens of a single row are left."""
    return np.isfinite(np.asarray(apply(rule, logits)))[0].tolist()


def probabilities(logits):
    w = np.exp(np.asarray(logits, np.float64) - np.max(logits, -1, keepdims=True))
    return w / w.sum(-1, keepdims=True)


def examples() -> list[Rule]:
    """Every rule of the registry at each of its own non-neutral settings, bound where it must be."""
    ours = [kind for kind in REGISTRY.values() if kind.__module__.startswith("logitherm.")]  # tests may make others
    rules = [kind(**parameters) for kind in ours for parameters in kind.examples]
    return [rule.bind(DIGITS) if isinstance(rule, Masked) else rule for rule in rules]


class Digits:
    """The tokens 1, 2, a, and the end."""

    size = 4
    eos = (3,)

    def encode(self, text):
        return ["12a".index(c) for c in text]

    def bytes_of(self, token):
        return b"12a"[token : token + 1]


DIGITS = Digits()


def name(rule) -> str:
    return str(rule)


value = st.one_of(
    st.floats(-30, 30, width=32),
    st.sampled_from([-2.0, 0.0, 0.5, 0.5, 3.0]),  # ties
    st.floats(-1e4, 1e4, width=32),
    st.just(-np.inf),
)


ROWS, SIZES = st.integers(1, 4), st.integers(2, 24)


@st.composite
def batches(draw, rows=ROWS, size=SIZES):
    """(rows, vocabulary) float32 logits, each row with something left; some batches rounded to bf16."""
    b, v = draw(rows), draw(size)
    x = np.array([[draw(value) for _ in range(v)] for _ in range(b)], dtype=np.float32)
    for line in x:
        if np.isneginf(line).all():
            line[draw(st.integers(0, v - 1))] = draw(st.floats(-30, 30, width=32))
    return bf16(x) if draw(st.booleans()) else x
