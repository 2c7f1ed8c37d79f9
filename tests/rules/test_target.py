"""Target entropy, its cap, and the named dynamic temperatures, against golden numbers (float64, recomputed)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from logitherm import Sampler, TopK
from logitherm.arrays import entropy
from logitherm.rules import Dynatemp, Edt, EntropyCap, TargetEntropy
from logitherm.rules.target import hottest, solve
from tests.rows import apply, batches, logs
from tests.sweeps import Sweeps

A, B, C = [0.01, 0.02, 0.03, 0.94], [0.22, 0.23, 0.24, 0.31], [0.25] * 4
WEATHER = [1.2, 2.0, 3.5, 3.0, 1.8, 1.0]


def heat(rule, logits):
    sampler = Sampler(rule)
    ((_, before, _, at),) = sampler.stages(logits, sampler.start([[]] * len(logits)))
    return np.asarray(rule.temperature(before, at))[:, 0]


@pytest.mark.parametrize(
    ("logits", "h", "t"),
    [
        (WEATHER, 0.5, 0.303154556299),
        (WEATHER, 1.0, 0.583203836117),
        (WEATHER, 1.5, 1.159415712658),
        (WEATHER, 1.7, 2.145591384693),
        ([1, 2, 3, 4], 0.5, 0.532303107418),
        ([1, 2, 3, 4], 1.0, 1.092391372641),
    ],
)
@pytest.mark.parametrize("library", [np.array, torch.from_numpy])
def test_golden_roots(logits, h, t, library):
    row = np.array([logits], dtype=np.float64)
    assert heat(TargetEntropy(h), library(row))[0] == pytest.approx(t, abs=1e-11)


@given(x=batches(), share=st.floats(0.001, 0.999))
def test_the_entropy_is_what_was_asked_for_wherever_it_can_be(x, share):
    x = np.round(np.where(np.isfinite(x), np.clip(x, -200, 200), -np.inf).astype(np.float64), 3)
    for line in x:
        n, m = np.isfinite(line).sum(), (line == line.max()).sum()
        if n == m:
            continue
        h = np.log(m) + share * (np.log(n) - np.log(m))
        t = solve(line[None], h)
        assert entropy(line[None] / t)[0, 0] == pytest.approx(h, abs=1e-9)
        again = solve(line[None] / t, h)
        assert again[0, 0] == pytest.approx(1.0, rel=1e-6)
        assert solve(line[None] * 3.0, h)[0, 0] == pytest.approx(3 * t[0, 0], rel=1e-6)


def test_what_cannot_be_reached():
    assert heat(TargetEntropy(0.0), np.array([[1.0, 2.0]])).tolist() == [0.0]
    assert heat(TargetEntropy(0.5), np.array([[2.0, 2.0, 1.0]])).tolist() == [0.0]  # two ties have log 2 at least
    assert heat(TargetEntropy(9.0), np.array([[1.0, 2.0]])).tolist() == [1e9]
    assert np.isfinite(apply(TargetEntropy(9.0), logs(0.9, 0.1))).all()


def test_the_hottest_temperature_and_what_is_answered_by_it():
    """1e9, or a million times the range where that is more than 1000; an entropy 1e-12 from log n counts as log n."""
    rows = np.array([[3.0, 1.0, -np.inf], [1e12, -1e12, 0.0], [2000.0, -np.inf, 1.0]])
    assert hottest(rows).tolist() == [[1e9], [2e18], [1.999e9]]
    two = np.array([[0.0, -1.0], [1e12, 0.0]])
    assert solve(two, np.log(2) - 5e-13).tolist() == [[1e9], [1e18]]
    near = np.log(2) - 2e-10
    assert entropy(two / solve(two, near)).ravel() == pytest.approx(near, abs=1e-12)
    assert (solve(two, near) < hottest(two)).all()


def test_a_row_whose_answer_is_known_is_not_swept():
    for h in (0.0, 9.0):
        with Sweeps() as sweeps:
            solve(torch.tensor([WEATHER], dtype=torch.float64), h)
        assert sweeps.count == 0


def test_rows_are_solved_as_if_alone():
    x = np.random.default_rng(0).normal(scale=[[0.1], [1.0], [5.0], [40.0]], size=(4, 300))
    together = solve(x, 1.5)
    assert [solve(x[[i]], 1.5)[0, 0] for i in range(4)] == together[:, 0].tolist()


def test_the_cap_cools_only_what_is_above_it():
    x = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 30.0]])
    assert heat(EntropyCap(0.5), x) == pytest.approx([0.532303107418, 1.0], abs=1e-11)
    assert heat(EntropyCap(1.0), x).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Dynatemp(0.5, 1.5), [0.707496897088056, 1.493085063694199, 1.5]),
        (Dynatemp(0.5, 1.5, exponent=2), [0.543054962301171, 1.486217943732511, 1.5]),
        (Edt(1.0, 1.0), [0.460362088875130, 0.850369044362130, 0.851322677783472]),
    ],
    ids=str,
)
def test_named_dynamic_temperatures(rule, expected):
    assert heat(rule, np.log([A, B, C])) == pytest.approx(expected, abs=1e-12)


def test_dynatemp_looks_at_what_is_left_unless_told():
    two = TopK(2) | Dynatemp(0.5, 1.5)
    raw = TopK(2) | Dynatemp(0.5, 1.5, of="raw")
    x = logs(0.3, 0.3, 0.2, 0.2)
    assert apply(two, x)[0, 0] == pytest.approx(np.log(0.3) / 1.5)
    assert apply(raw, x)[0, 0] != pytest.approx(np.log(0.3) / 1.5)


def test_edt_is_greedy_where_the_model_is_sure():
    assert np.isfinite(apply(Edt(1.0, 1.0), [[50.0, 0.0, 0.0]])).tolist() == [[True, False, False]]


@pytest.mark.parametrize("n", [2, 3, 5, 12, 13, 26, 34, 2999])
def test_a_flat_row_at_its_own_entropy_stays(n):
    """Its entropy is log n but for the last bit, which must not make one token of it."""
    flat = np.full((1, n), 0.3)
    assert np.array_equal(apply(Sampler(EntropyCap(np.log(n))), flat), flat)
    assert np.ptp(apply(Sampler(TargetEntropy(np.log(n))), flat)) == 0
