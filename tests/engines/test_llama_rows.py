"""Rules that look at one row alone, against llama.cpp: the same tokens left, with the same probabilities to 1e-5.

llama.cpp adds up in float32, one number after another. Where that decides, its answer is shown to be the same formula
in that arithmetic; such rows are counted.
"""

import llama_cpp
import numpy as np
import pytest

from logitherm import parse
from tests.engines.llama import Chain
from tests.rows import probabilities

CLOSE = 1e-5

top_k, typical, top_p = (getattr(llama_cpp, f"llama_sampler_init_{n}") for n in ("top_k", "typical", "top_p"))
min_p, temp, temp_ext = (getattr(llama_cpp, f"llama_sampler_init_{n}") for n in ("min_p", "temp", "temp_ext"))
xtc, top_n_sigma = llama_cpp.llama_sampler_init_xtc, llama_cpp.llama_sampler_init_top_n_sigma


def ours(recipe, batch):
    sampler = parse(recipe)
    return probabilities(sampler.apply(batch, sampler.start([[]] * len(batch), seed=0)))


def theirs(samplers, batch):
    with Chain(*samplers) as chain:
        return np.stack([chain.apply(row)[0] for row in batch])


EXACT = {
    "top_k(1)": lambda: [top_k(1)],
    "top_k(40)": lambda: [top_k(40)],
    "min_p(0.05)": lambda: [min_p(0.05, 1)],
    "min_p(0.4)": lambda: [min_p(0.4, 1)],
    "temperature(0.0)": lambda: [temp(0.0)],
    "temperature(0.7)": lambda: [temp(0.7)],
    "temperature(1.7)": lambda: [temp(1.7)],
    "xtc(1.0, protect=[])": lambda: [xtc(1.0, 0.1, 1, 3)],
    "xtc(1.0, threshold=0.02, protect=[])": lambda: [xtc(1.0, 0.02, 1, 3)],
    "xtc(0.0, protect=[])": lambda: [xtc(0.0, 0.1, 1, 3)],
    "top_n_sigma(0.3)": lambda: [top_n_sigma(0.3)],
    "top_n_sigma(1.5)": lambda: [top_n_sigma(1.5)],
    "top_k(40) | dynatemp(0.3, 1.3)": lambda: [top_k(40), temp_ext(0.8, 0.5, 1.0)],
    "top_k(40) | dynatemp(0.0, 1.5, exponent=2.5)": lambda: [top_k(40), temp_ext(0.5, 1.0, 2.5)],
    "top_k(40) | typical(0.9) | top_p(0.8) | min_p(0.1) | temperature(0.8)": lambda: [
        *(top_k(40), typical(0.9, 1), top_p(0.8, 1), min_p(0.1, 1), temp(0.8)),
    ],
    "top_k(40) | top_p(0.95) | min_p(0.05) | xtc(1.0, threshold=0.2, protect=[]) | dynatemp(0.5, 1.5)": lambda: [
        *(top_k(40), top_p(0.95, 1), min_p(0.05, 1), xtc(1.0, 0.2, 1, 3), temp_ext(1.0, 0.5, 1.0)),
    ],
}
"""Recipes in llama.cpp's order, and its samplers."""


@pytest.mark.parametrize("recipe", EXACT)
def test_the_same_distribution(recipe, batches):
    for batch in batches:
        a, b = ours(recipe, batch), theirs(EXACT[recipe](), batch)
        assert np.array_equal(a > 0, b > 0)
        assert np.abs(a - b).max() < CLOSE
        assert recipe.startswith("xtc(0.0") == np.allclose(a, probabilities(batch), atol=1e-4)  # it did something


# -- where llama.cpp's float32 decides --------------------------------------------------------------------------------


def float32(row):
    """The likeliest first, and their probabilities as llama.cpp has them: float32, added up one after another."""
    order = np.argsort(-row, kind="stable")
    weights = np.exp(row[order] - row[order[0]])
    return order, weights / np.cumsum(weights)[-1]


def surprise(p):
    return -np.log(np.where(p > 0, p, np.float32(1)))


def top_p_in_float32(row, p):
    order, q = float32(row)
    return order[: int((np.cumsum(q) < np.float32(p)).sum()) + 1]


def typical_in_float32(row, p):
    order, q = float32(row)
    away = np.abs(surprise(q) - np.cumsum(q * surprise(q))[-1])
    nearest = np.argsort(away, kind="stable")
    return order[nearest[: int((np.cumsum(q[nearest]) <= np.float32(p)).sum()) + 1]]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.95])
@pytest.mark.parametrize(
    ("rule", "init", "rough"), [("top_p", top_p, top_p_in_float32), ("typical", typical, typical_in_float32)]
)
def test_the_same_mass(rule, init, rough, p, batches, record_property):
    for batch, most in zip(batches, (1, 3), strict=True):
        a, b = ours(f"{rule}({p})", batch), theirs([init(p, 1)], batch)
        same = ((a > 0) == (b > 0)).all(axis=1)
        assert (np.abs(a - b)[same] < CLOSE).all()
        for row, left in zip(batch[~same], b[~same], strict=True):
            assert len(set(rough(row, p)) ^ set(np.flatnonzero(left))) <= 1  # expf and NumPy's exp differ in a last bit
        record_property(f"{rule}({p}): rows of {len(batch)} where float32 decides", int((~same).sum()))
        assert (~same).sum() <= most


def test_dynatemp_over_a_whole_vocabulary(gpt2):
    """Entropies of 50,257 tokens in float32 move T by about 2e-5; in that arithmetic the probabilities are ours."""
    a, b = ours("dynatemp(0.3, 1.3)", gpt2), theirs([temp_ext(0.8, 0.5, 1.0)], gpt2)
    assert CLOSE < np.abs(a - b).max() < 1e-4
    for row, left in zip(gpt2, b, strict=True):
        _, q = float32(row)
        t = 0.3 + float(np.cumsum(q * surprise(q))[-1]) / np.log(len(row))
        assert np.abs(probabilities(row[None] / t)[0] - left).max() < CLOSE


# -- where we differ on purpose: docs/differences.md ------------------------------------------------------------------


def test_ties_at_a_cutoff_all_stay_here():
    tied = np.zeros((1, 4), np.float32)
    for recipe, samplers, left in [
        ("top_k(2)", [top_k(2)], 2),
        ("top_p(0.5)", [top_p(0.5, 1)], 2),
        ("typical(0.5)", [typical(0.5, 1)], 3),  # it goes on while the sum is at most p
    ]:
        assert (ours(recipe, tied) > 0).sum() == 4
        assert (theirs(samplers, tied) > 0).sum() == left


def test_removed_tokens_count_for_dynatemp_there():
    """top_n_sigma leaves -inf in the array, and temp_ext divides by the logarithm of its length."""
    row = np.array([[3.0, 2.5, 1.0, 0.0, -1.0, -2.0]], np.float32)
    cut, heat = lambda: top_n_sigma(1.0), lambda: temp_ext(1.0, 0.5, 1.0)
    a, b = ours("top_n_sigma(1.0) | dynatemp(0.5, 1.5)", row), theirs([cut(), heat()], row)
    assert (a > 0).sum() == (b > 0).sum() == 2
    assert np.abs(a - b).max() > 0.01
    p = probabilities(row[:, :2])[0]
    t = 0.5 + (-p * np.log(p)).sum() / np.log(6)
    assert np.abs(probabilities(row[:, :2] / t)[0] - b[0, :2]).max() < CLOSE


def test_xtc_protects_nothing_there():
    """Nothing is protected: with a token protected that would go, ours leaves the row as it is."""
    row = np.log(np.array([[0.5, 0.3, 0.1, 0.1]], np.float32))
    assert theirs([xtc(1.0, 0.2, 1, 3)], row)[0].tolist() == pytest.approx([0, 0.6, 0.2, 0.2], abs=CLOSE)
    assert ours("xtc(1.0, threshold=0.2, protect=[0])", row)[0].tolist() == pytest.approx([0.5, 0.3, 0.1, 0.1])
