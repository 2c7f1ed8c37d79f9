"""The calibrated nucleus: by hand, and what it guarantees and what not on exchangeable rows."""

import numpy as np
import pytest
import torch

from logitherm import LogitsError, RecipeError
from logitherm.arrays import entropy
from logitherm.rules import Conformal, TopP
from logitherm.rules.conformal import calibrated, needed
from tests.rows import apply, kept, logs, probabilities

FOUR, SURE = logs(0.4, 0.3, 0.2, 0.1), logs(0.9, 0.05, 0.03, 0.02)


def test_each_range_of_entropy_has_its_p():
    rule = Conformal([0.5, 0.75], [1.0])
    assert kept(rule, FOUR) == [True, True, True, False]
    assert kept(rule, SURE) == [True, False, False, False]
    assert kept(Conformal([0.95, 0.3], [1.0]), SURE) == [True, True, False, False]
    flat = np.zeros((1, 4))
    assert kept(Conformal([0.1, 0.9], [np.log(4) - 1e-9]), logs(0.25, 0.25, 0.25, 0.25)) == [True] * 4
    assert np.array_equal(apply(Conformal([0.1]), flat), flat)  # ties
    both = apply(rule, np.concatenate([FOUR, SURE]))
    assert np.isfinite(both).sum(axis=1).tolist() == [3, 1]
    assert np.isfinite(apply(rule, torch.from_numpy(np.concatenate([FOUR, SURE]))).numpy()).sum(axis=1).tolist() == [
        3,
        1,
    ]


def test_one_range_is_top_p():
    x = np.random.default_rng(0).normal(scale=2, size=(40, 30))
    for p in (0.01, 0.5, 0.9, 1.0):
        assert np.array_equal(apply(Conformal([p]), x), apply(TopP(p), x))


def test_the_mass_that_is_needed_is_the_likelier_tokens():
    seen = needed(np.concatenate([FOUR, FOUR, SURE]), [2, 0, 1])
    assert seen[:, 1] == pytest.approx([0.7, 0, 0.9])
    assert seen[:, 0] == pytest.approx([1.27985, 1.27985, 0.42805], abs=1e-4)
    assert needed(torch.from_numpy(FOUR), [2]) == pytest.approx(seen[:1])
    assert needed(np.array([[1.0, -np.inf]]), [1])[0, 1] == np.inf
    with pytest.raises(LogitsError, match=r"tokens must be 1 ids in \[0, 4\), one a row; got \[4\]"):
        needed(FOUR, [4])
    with pytest.raises(LogitsError, match="got \\[-1\\]"):
        needed(FOUR, [-1])


@pytest.mark.parametrize(
    ("coverage", "p"), [(0.6, 0.300002), (0.75, 0.400002), (0.8, 0.400002), (0.9, 1.0), (0.1, 0.100002)]
)
def test_calibration_by_hand(coverage, p):
    """Of four masses the rank is ⌈5 · coverage⌉: 3, 4, 4, one that is not there, 1."""
    seen = np.array([[2.0, m] for m in (0.4, 0.1, 0.3, 0.2)])
    assert calibrated(seen, coverage).p == pytest.approx((p,), abs=1e-12)
    split = calibrated(np.concatenate([seen, [[0.5, 0.25]] * 9]), coverage, edges=[1.0])
    assert split.edges == (1.0,)
    assert split.p == pytest.approx((0.250002, p), abs=1e-12)


def test_the_rows_of_calibration_are_covered_to_their_rank():
    """Ties and masses that are met exactly, too: the rank-th row's own token is in its nucleus."""
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=(99, 20)) * 2) / 2
    tokens = rng.integers(0, 20, 99)
    for coverage in (0.3, 0.9, 0.97):
        stays = np.isfinite(apply(calibrated(needed(x, tokens), coverage), x))[np.arange(99), tokens]
        assert stays.sum() >= round(100 * coverage)


def text(rng, rows, overconfidence):
    """Rows of an overconfident model and their true next tokens, drawn from softmax(l / overconfidence)."""
    x = rng.normal(size=(rows, 50)) * rng.uniform(0.5, 4, size=(rows, 1))
    truth = np.cumsum(probabilities(x / np.reshape(overconfidence, (-1, 1))), axis=1)
    return x, (truth < rng.random((rows, 1)) * truth[:, -1:]).sum(axis=1)


def covered(rule, x, tokens):
    return np.isfinite(apply(rule, x))[np.arange(len(x)), tokens]


def test_the_guarantee_holds_on_exchangeable_rows(record_property):
    """300 times: 200 rows to calibrate, 200 new ones. In each range the mean coverage is at least .9.

    One-sided test of the mean of 300 independent coverages, each range by itself, at 4.5 standard errors: a false alarm
    in one of 150,000 runs if it were .9 exactly.
    """
    rng = np.random.default_rng(5)
    edges = [1.5, 3.0]
    found, plain = [], []
    for _ in range(300):
        rule = calibrated(needed(*text(rng, 200, 1.5)), 0.9, edges)
        x, tokens = text(rng, 200, 1.5)
        stays, ranges = covered(rule, x, tokens), np.searchsorted(edges, needed(x, tokens)[:, 0], side="right")
        found.append([stays[ranges == i].mean() for i in range(3)])
        plain.append(covered(TopP(0.9), x, tokens).mean())
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    record_property("coverage of .9 by range", mean.round(4).tolist())
    assert (mean >= 0.9 - 4.5 * error).all()
    assert (mean < 0.95).all()  # and no more than it has to be: a range has some 50 rows or more
    assert np.mean(plain) < 0.86  # what top_p(0.9) does on these rows


def test_it_promises_nothing_for_a_part_of_a_range(record_property):
    """Half of the rows of an honest model, half of an overconfident one: together .9, the second alone far less."""
    rng = np.random.default_rng(6)
    kinds = np.tile([1.0, 2.0], 5000)
    rule = calibrated(needed(*text(rng, len(kinds), kinds)), 0.9)
    x, tokens = text(rng, len(kinds), kinds)
    stays = covered(rule, x, tokens)
    shares = [round(float(part.mean()), 3) for part in (stays, stays[::2], stays[1::2])]
    record_property("coverage together, honest, overconfident", shares)
    assert abs(stays.mean() - 0.9) < 0.02  # 4.7 standard errors of calibration and test together
    assert stays[1::2].mean() < 0.87
    assert stays[::2].mean() > 0.93


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Conformal([0.5, 0.6]), r"Conformal\.p must be a list of one number more than edges; got 2 and 0"),
        (lambda: Conformal([0.5, 0.6, 0.7], [2.0, 1.0]), r"Conformal\.edges must be .* that rise; got \[2\.0, 1\.0\]"),
        (lambda: Conformal([0.0]), r"Conformal\.p must be a list of numbers in \(0, 1\]; got 0\.0"),
        (lambda: Conformal([0.5, 1], [np.inf]), r"Conformal\.edges must be a list of finite numbers; got inf"),
        (lambda: calibrated(np.zeros((3, 2)), 1.0), r"coverage must be in \(0, 1\); got 1\.0"),
        (lambda: calibrated(np.array([[1.0, np.inf]] * 20), 0.9), r"a coverage of 0\.9 is out of reach"),
    ],
)
def test_what_is_refused(make, match):
    with pytest.raises(RecipeError, match=match):
        make()


def test_its_limits():
    """An edge belongs to the range above it; edges rise; nine tenths are promised unless told."""
    exactly = float(entropy(FOUR)[0, 0])
    assert kept(Conformal([0.1, 1.0], [exactly]), FOUR) == [True] * 4
    for wrong in (lambda: Conformal([0.5, 0.6, 0.7], [1.0, 1.0]), lambda: Conformal([1.5])):
        with pytest.raises(RecipeError):
            wrong()
    seen = np.stack([np.zeros(99), np.linspace(0.0, 0.98, 99)], axis=1)
    assert calibrated(seen) == calibrated(seen, 0.9) != calibrated(seen, 0.8)
    for coverage in (0.0, 1.0):
        with pytest.raises(RecipeError, match="coverage must be in"):
            calibrated(seen, coverage)
    nearly = np.array([[0.0, 0.9999995]] * 20)
    assert calibrated(nearly).p == (1.0,)  # rounded up, and two millionths more, but no more than all
