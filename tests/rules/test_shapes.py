"""Rules by entropy, by bend and by surprise: top_h, tfs, typical; and greedy_threshold and quadratic."""

import numpy as np
import pytest
import torch

from logitherm import TopK
from logitherm.rules import GreedyThreshold, Quadratic, Tfs, TopH, Typical
from logitherm.rules.entropy_bound import growing
from tests.rows import apply, kept, logs, probabilities

FOUR = logs(0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        (TopH(0.4), FOUR, [1, 0, 0, 0]),
        (TopH(0.6), FOUR, [1, 1, 0, 0]),
        (TopH(0.9), FOUR, [1, 1, 1, 0]),
        (TopH(0.5), logs(0.25, 0.25, 0.25, 0.25), [1, 1, 1, 1]),  # ties stay, though log 2 is all that fits
        (TopH(0.9), logs(0.5, 0.2, 0.2, 0.1), [1, 1, 1, 0]),
        (Tfs(0.8), logs(0.5, 0.25, 0.15, 0.1), [1, 1, 0, 0]),
        (Tfs(0.75), logs(0.5, 0.25, 0.15, 0.1), [1, 1, 0, 0]),  # exactly the first bend
        (Tfs(0.5), logs(0.5, 0.25, 0.15, 0.1), [1, 0, 0, 0]),
        (Tfs(0.999), logs(0.5, 0.25, 0.15, 0.1), [1, 1, 0, 0]),  # the two last of four never stay below 1
        (Tfs(0.0), logs(0.4, 0.3, 0.2, 0.05, 0.05), [1, 1, 0, 0, 0]),  # the first bend is 0 but for rounding
        (Tfs(0.5), FOUR, [1, 1, 0, 0]),  # a straight row: both bends count alike
        (Tfs(0.4), FOUR, [1, 0, 0, 0]),
        (Tfs(0.1), logs(0.6, 0.4), [1, 1]),
        (Typical(0.25), FOUR, [0, 1, 0, 0]),
        (Typical(0.4), FOUR, [0, 1, 1, 0]),
        (Typical(0.5), FOUR, [0, 1, 1, 0]),  # .3 + .2 is p: reached
        (Typical(0.6), FOUR, [1, 1, 1, 0]),
        (Typical(0.4), logs(0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), [0, *[1] * 7]),  # the likeliest is untypical
        (GreedyThreshold(0.5), FOUR, [1, 0, 0, 0]),
        (GreedyThreshold(0.5), logs(0.5, 0.3, 0.2), [1, 1, 1]),
        (GreedyThreshold(0.41), FOUR, [1, 0, 0, 0]),
        (GreedyThreshold(0.39), FOUR, [1, 1, 1, 1]),
    ],
    ids=str,
)
def test_tables(rule, row, expected):
    assert kept(rule, row) == [bool(x) for x in expected]
    turned = np.ascontiguousarray(row[:, ::-1])
    assert kept(rule, turned) == [bool(x) for x in expected[::-1]]


def test_the_numbers_of_the_docstrings():
    h = growing(FOUR)[0]
    assert h.tolist() == pytest.approx([0, 0.6829, 1.0609, 1.2799], abs=5e-5)
    assert (np.array([0.6, 0.4, 0.9]) * h[3]).tolist() == pytest.approx([0.7679, 0.5119, 1.1519], abs=5e-5)
    away = np.abs(-FOUR[0] - 1.2799)
    assert away.tolist() == pytest.approx([0.364, 0.076, 0.330, 1.023], abs=5e-4)
    assert apply(Quadratic(0.5), [[3.0, 2.0, 1.0, 0.0]]).tolist() == [[3.0, 2.5, 1.0, -1.5]]
    assert apply(Quadratic(0.5, curve=3), [[3.0, 2.0, 1.0, 0.0]]).tolist() == [[3.0, 2.5, -1.0, -10.5]]


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("parts", [2, 3, 7, 10])
def test_equal_distances_on_either_side_of_the_entropy_tie(parts, library):
    """Half of the mass on one token, the rest in equal parts: H lies in the middle; rounding would choose a side."""
    for place in range(parts + 1):
        p = [0.5 / parts] * parts
        p.insert(place, 0.5)
        for mass in (0.1, 0.5, 0.9):
            assert kept(Typical(mass), library(logs(*p))) == [True] * (parts + 1)
    assert kept(Typical(0.3), library(logs(0.49, 0.255, 0.255))) == [False, True, True]
    assert kept(Typical(0.3), library(np.array([[0.0, 1e-17, 3e-17]]))) == [True] * 3


@pytest.mark.parametrize("rule", [TopH(0.4), Tfs(0.9), Typical(0.5), GreedyThreshold(0.1)], ids=str)
def test_edges(rule):
    assert kept(rule, [[2.0] * 6]) == [True] * 6
    assert kept(rule, [[-np.inf, 2.0, -np.inf]]) == [False, True, False]
    assert kept(rule, [[7.0]]) == [True]
    assert kept(rule, [[7.0, -np.inf]]) == [True, False]
    holes = np.concatenate([np.full((1, 2), -np.inf), FOUR, np.full((1, 3), -np.inf)], axis=-1)
    assert kept(rule, holes) == [False, False, *kept(rule, FOUR), False, False, False]
    assert kept(rule, FOUR - 1e3) == kept(rule, FOUR)


def test_top_h_holds_its_bound():
    """The entropy of what is kept is within alpha times the row's, and with one token more it is not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 300)) * rng.uniform(0.2, 6, size=(200, 1))
    entropy = lambda p: -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)
    whole = entropy(probabilities(x))
    for alpha in (0.2, 0.4, 0.9):
        out = apply(TopH(alpha), x)
        assert (entropy(probabilities(out)) <= alpha * whole * (1 + 1e-6) + 1e-15).all()
        k = np.isfinite(out).sum(axis=1)
        more = np.array([entropy(probabilities(apply(TopK(int(n) + 1), x[[i]])[0])) for i, n in enumerate(k)])
        assert (more > alpha * whole).all()


def test_an_entropy_near_nothing_is_right_in_its_first_digits():
    """[0, -50] has e^-50 · 51 nats; a difference of logarithms would say 0."""
    assert growing(np.array([[0.0, -50.0]]))[0, 1] == pytest.approx(np.exp(-50) * 51, rel=1e-12)
    assert growing(torch.tensor([[0.0, -50.0]], dtype=torch.float64))[0, 1] == pytest.approx(
        np.exp(-50) * 51, rel=1e-12
    )
    assert kept(TopH(0.4), [[0.0, -50.0, -51.0]]) == [True, False, False]


def test_a_greedy_row_keeps_the_lowest_id_and_another_row_everything():
    out = np.isfinite(apply(GreedyThreshold(0.5), [[1.0, 1.0, 1.0], [5.0, 0.0, 0.0]]))
    assert out.tolist() == [[True, False, False], [True, True, True]]


def test_quadratic_is_of_its_own_row_and_keeps_the_order():
    x = np.random.default_rng(0).normal(scale=4, size=(20, 50))
    x[3] += 100.0
    x[5, 7] = -np.inf
    for curve in (1.0, 1.7, 3.0):
        out = apply(Quadratic(0.3, curve=curve), x)
        assert np.array_equal(np.argsort(-out, axis=1, kind="stable"), np.argsort(-x, axis=1, kind="stable"))
        assert np.array_equal(out.max(axis=1), x.max(axis=1))
        assert np.array_equal(np.isfinite(out), np.isfinite(x))
    p = probabilities(apply(Quadratic(0.3), [[1.2, 2.0, 3.5, 3.0, 1.8, 1.0]]))[0]
    assert p.tolist() == pytest.approx([0.0636199, 0.1583689, 0.3110417, 0.2885669, 0.1307029, 0.0476998], abs=1e-7)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TopH(0), "TopH.alpha must be in (0, 1]; got 0"),
        (lambda: Tfs(1.1), "Tfs.z must be in [0, 1]; got 1.1"),
        (lambda: Typical(0), "Typical.p must be in (0, 1]; got 0"),
        (lambda: GreedyThreshold(2), "GreedyThreshold.p must be in [0, 1]; got 2"),
        (lambda: Quadratic(0.1, curve=3.5), "Quadratic.curve must be in [1, 3]; got 3.5"),
    ],
)
def test_what_is_refused(build, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        build()
    assert str(caught.value) == message
