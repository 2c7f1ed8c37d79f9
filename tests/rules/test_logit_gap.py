import numpy as np
import pytest
import torch

from logitherm import Sampler, Temperature, TopK
from logitherm.rules import MinK, TopNSigma
from tests.rows import apply, kept


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        (TopNSigma(1.0), [3.0, 2.0, 1.0, 0.0], [1, 1, 0, 0]),  # sigma √1.25, the cutoff 1.882
        (TopNSigma(2.0), [3.0, 2.0, 1.0, 0.0], [1, 1, 1, 0]),  # .764
        (TopNSigma(2.0), [2.0, 0.0], [1, 1]),  # sigma 1: exactly at the cutoff
        (TopNSigma(0.1), [3.0, 3.0, 1.0, 0.0], [1, 1, 0, 0]),
        (MinK(3.0), [5.0, 4.5, 2.0, 1.0], [1, 1, 0, 0]),
        (MinK(3.0), [5.0, 3.0, 2.9, 2.8], [1, 0, 0, 0]),
        (MinK(0.0), [3.0, 2.0, 0.0], [1, 0, 0]),  # 1/1 and 2/2 weigh the same: the earlier
        (MinK(0.0), [0.3, 0.2, 0.0], [1, 0, 0]),  # the same, though .3 − .2 is a little below .1
        (MinK(9.0), [3.0, 2.0, 0.0], [1, 1, 1]),  # fallback ⌊9/3⌋ = 3
        (MinK(6.0), [3.0, 2.0, 0.0], [1, 1, 0]),  # ⌊6/3⌋ = 2, exactly
        (MinK(5.9), [3.0, 2.0, 0.0], [1, 0, 0]),
        (MinK(3.0), [3.0, 3.0, 3.0, 1.0], [1, 1, 1, 0]),  # drops 0, 0, 2/3
        (MinK(6.0), [3.0, 2.0, 2.0, 0.0], [1, 1, 1, 0]),  # the second place ties with the third
    ],
    ids=str,
)
def test_tables(rule, row, expected):
    assert kept(rule, [row]) == [bool(x) for x in expected]
    assert kept(rule, [row[::-1]]) == [bool(x) for x in expected[::-1]]


@pytest.mark.parametrize("rule", [TopNSigma(0.5), MinK(3.0), MinK(0.0)], ids=str)
def test_edges(rule):
    assert kept(rule, [[0.1] * 7]) == [True] * 7
    assert kept(rule, [[-np.inf, 2.0, -np.inf]]) == [False, True, False]
    assert kept(rule, [[7.0]]) == [True]
    row = [4.0, 1.0, 3.5, 0.0, 2.0]
    holed = [4.0, -np.inf, 1.0, 3.5, 0.0, -np.inf, 2.0]
    assert [x for x, y in zip(kept(rule, [holed]), holed, strict=True) if y > -9] == kept(rule, [row])


def test_a_temperature_before_them_moves_nothing():
    x = np.random.default_rng(0).normal(scale=4, size=(50, 200))
    for rule in (TopNSigma(1.2), MinK(0.0)):
        cold, hot = (np.isfinite(apply(Temperature(t) | rule, x)) for t in (0.25, 8.0))
        assert np.array_equal(cold, hot)
    flat = [kept(Temperature(t) | MinK(3.0), [[5.0, 4.5, 2.0, 1.0]]).count(True) for t in (1.0, 4.0)]
    assert flat == [2, 3]  # but the fallback sees the smaller range


def test_the_deviation_is_of_what_is_left():
    row = [[3.0, 2.0, 1.0, 0.0, -50.0]]
    assert kept(TopNSigma(1.0), row).count(True) == 4
    assert kept(TopK(4) | TopNSigma(1.0), row).count(True) == 2


def test_removed_tokens_are_no_part_of_critical_values():
    row, holes = [4.0, 1.0, 3.5, 0.0, 2.0], [-np.inf] * 2
    for rule in (TopNSigma(1.0), MinK(3.0)):
        alone, among = (np.array([x]) for x in (row, [*row, *holes]))
        for token in range(5):
            assert rule.critical(among, token) == pytest.approx(rule.critical(alone, token), rel=1e-14)


@pytest.mark.parametrize("tau", [0.0, 3.0])
def test_a_row_without_a_range_has_its_own_level_as_the_cutoff(tau):
    sampler = Sampler(MinK(tau))
    ((rule, before, _, at),) = sampler.stages([[0.5, 0.5, -np.inf]], sampler.start([[]], seed=0))
    assert rule.cutoff(before, at).tolist() == [[0.5]]  # and nothing is divided by 0 on the way, which NumPy would say


def test_the_level_of_a_row_is_no_part_of_its_deviation():
    """At 2⁵² floats are whole numbers: what would add two logits there loses the last digit."""
    row = np.array([[3.0, 2.0, 1.0, 0.0]])
    for rule in (TopNSigma(1.0), MinK(3.0)):
        assert kept(rule, row + 2.0**52) == kept(rule, row)
    assert TopNSigma(1.0).critical(row + 2.0**52, 3)[0, 0] == TopNSigma(1.0).critical(row, 3)[0, 0]


def test_rows_with_a_number_each_and_rows_that_are_off():
    x = np.array([[3.0, 2.0, 1.0, 0.0]] * 2 + [[1.0, 1.0, 1.0, -np.inf]])
    assert np.isfinite(apply(TopNSigma([1.0, 0.0, 0.0]), x)).sum(axis=1).tolist() == [2, 4, 3]
    assert np.isfinite(apply(MinK([0.0, np.inf, 0.0]), x)).sum(axis=1).tolist() == [1, 4, 3]
    for library in (np.asarray, torch.from_numpy):  # a range that is more than a float can be
        assert kept(MinK(np.inf), library(np.array([[1e308, 0.0, -1e308]]))) == [True] * 3


def test_min_k_is_what_vllms_request_computes():
    """The lines of MinKLogitsProcessor (vLLM pull request 48142), in NumPy."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 100)) * rng.uniform(0.01, 5, size=(300, 1))
    for tau in (0.0, 3.0, 10.0):
        down = -np.sort(-x, axis=1)
        spread = down[:, :1] - down[:, -1:] + 1e-8
        weight = (down[:, :-1] - down[:, 1:]) / spread / np.arange(1, 100)
        k = np.maximum(weight.argmax(axis=1) + 1, np.floor(tau / spread[:, 0]).astype(int)).clip(1, 100)
        assert np.array_equal(np.isfinite(apply(MinK(tau), x)).sum(axis=1), k)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"TopNSigma\.n must be a finite number >= 0 \(0 = off\); got -1"):
        TopNSigma(-1)
    with pytest.raises(ValueError, match=r"MinK\.tau must be >= 0, or inf \(= off\); got -1"):
        MinK(-1)
