from dataclasses import fields

import numpy as np
import pytest

from logitherm import Sampler, TopK
from logitherm.rules import Epsilon, Eta, PLess, PLessNorm, TopA
from tests.rows import apply, kept, logs

FOUR = logs(0.4, 0.3, 0.2, 0.1)
SURE = logs(0.7, 0.2, 0.1)


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        (Epsilon(0.2), FOUR, [1, 1, 1, 0]),  # exactly at the floor
        (Epsilon(0.21), FOUR, [1, 1, 0, 0]),
        (Epsilon(0.6), FOUR, [1, 0, 0, 0]),  # above every token
        (Eta(0.16), FOUR, [1, 1, 1, 0]),
        (Eta(0.1), FOUR, [1, 1, 1, 1]),
        (Eta(0.02), logs(0.98, 0.015, 0.005), [1, 0, 0]),  # a sure row: epsilon itself is the floor
        (Eta(0.9), FOUR, [1, 1, 0, 0]),
        (TopA(1.0), FOUR, [1, 1, 1, 0]),
        (TopA(1.0), SURE, [1, 0, 0]),
        (TopA(0.4), SURE, [1, 1, 0]),  # .196
        (PLess(), FOUR, [1, 1, 0, 0]),  # Σp² = .30, exactly the second
        (PLess(), SURE, [1, 0, 0]),
        (PLessNorm(), FOUR, [1, 1, 1, 1]),
        (PLessNorm(), SURE, [1, 0, 0]),
        (PLessNorm(), logs(0.75, 0.25), [1, 1]),  # (2 · .625 − 1) / 1 = .25, which is met
        (PLessNorm(), logs(0.8, 0.2), [1, 0]),  # .36
        (PLessNorm(), logs(0.5, 0.5), [1, 1]),  # 0
        (PLessNorm(), logs(1.0), [1]),
        (PLessNorm(), logs(0.5, 0.3, 0.2), [1, 1, 1]),  # (3 · .38 − 1) / 2 = .07
    ],
    ids=str,
)
def test_tables(rule, row, expected):
    assert kept(rule, row) == [bool(x) for x in expected]
    turned = np.ascontiguousarray(row[:, ::-1])
    assert kept(rule, turned) == [bool(x) for x in expected[::-1]]


def test_the_four_token_examples_of_the_docstrings():
    h = -sum(p * np.log(p) for p in (0.4, 0.3, 0.2, 0.1))
    assert h == pytest.approx(1.2799, abs=5e-5)
    assert 0.4 * np.exp(-h) == pytest.approx(0.1112, abs=5e-5)
    assert np.sqrt(0.1) * np.exp(-h) == pytest.approx(0.0879, abs=5e-5)
    assert sum(p * p for p in (0.4, 0.3, 0.2, 0.1)) == pytest.approx(0.30)
    assert sum(p * p for p in (0.7, 0.2, 0.1)) == pytest.approx(0.54)


ALL = [Epsilon(0.3), Eta(0.3), TopA(1.0), PLess(), PLessNorm()]


@pytest.mark.parametrize("rule", ALL, ids=str)
def test_edges(rule):
    assert kept(rule, [[1.0, 1.0, 1.0, 1.0, 1.0]]) == [True] * 5  # uniform: all are maxima
    assert kept(rule, [[-np.inf, 2.0, -np.inf]]) == [False, True, False]  # one token left
    assert kept(rule, [[7.0]]) == [True]
    tied = logs(0.5, 0.2, 0.2, 0.1)
    assert len(set(kept(rule, tied)[1:3])) == 1
    holes = np.concatenate([FOUR, np.full((1, 3), -np.inf)], axis=-1)
    assert kept(rule, holes) == [*kept(rule, FOUR), False, False, False]
    assert kept(rule, FOUR + 1e3) == kept(rule, FOUR)
    assert apply(rule, FOUR)[0, 0] == FOUR[0, 0]  # what stays is untouched


def test_the_floor_is_of_what_the_rule_receives():
    assert kept(TopK(2) | Epsilon(0.45), FOUR) == [True, False, False, False]  # .4/.7 and .3/.7
    assert kept(TopK(2) | Epsilon(0.4), FOUR) == [True, True, False, False]


def test_p_less_keeps_the_likeliest_and_less_than_its_norm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 200)) * rng.uniform(0.1, 8, size=(300, 1))
    sharp, soft = (np.isfinite(apply(rule, x)) for rule in (PLess(), PLessNorm()))
    assert sharp[np.arange(300), x.argmax(axis=1)].all()
    assert (soft | ~sharp).all()
    assert (soft.sum(axis=1) > sharp.sum(axis=1)).any()


def test_the_authors_thresholds():
    """p_less_decode and p_less_norm_decode as the authors write them, in float64."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 300)) * rng.uniform(0.1, 5, size=(200, 1))
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    square = (p * p).sum(axis=1, keepdims=True)
    assert np.array_equal(np.isfinite(apply(PLess(), x)), p >= square)
    assert np.array_equal(np.isfinite(apply(PLessNorm(), x)), p >= (300 * square - 1) / 299)


def test_the_norm_of_a_flat_row_is_no_floor():
    """(n · Σp² − 1) / (n − 1) is 0 there, and for [1e-8, 0, 0, 0] rounding may make it less."""
    assert PLessNorm().cutoff(np.zeros((1, 4)), None).tolist() == [[-np.inf]]
    nearly = np.array([[1e-8, 0.0, 0.0, 0.0]])
    assert kept(PLessNorm(), nearly) == [True] * 4
    assert PLessNorm().critical(nearly, 0)[0, 0] > 1e12


def test_a_parameter_a_row():
    both = Sampler(Epsilon((0.25, 0.0)))
    out = both.apply(np.repeat(FOUR, 2, axis=0), both.start([[], []]))
    assert np.isfinite(out).tolist() == [[True, True, False, False], [True] * 4]


@pytest.mark.parametrize(("kind", "bad"), [(Epsilon, 1.0), (Epsilon, -0.1), (Eta, 1.0), (TopA, 1.1)])
def test_what_is_refused(kind, bad):
    name = fields(kind)[0].name
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} must be in \[0, 1[\])]; got "):
        kind(bad)
