"""Every cutoff's critical value against its own cut: a token stays exactly while the parameter compares as it says."""

import operator

import numpy as np
import pytest
import torch

from logitherm import Cutoff
from logitherm.rules import (
    Conformal,
    Epsilon,
    Eta,
    MinK,
    MinP,
    PLess,
    PLessNorm,
    Tfs,
    TopA,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)
from tests.rows import apply, logs

GRIDS = {
    TopK: np.arange(1, 12),
    TopP: np.linspace(0.01, 0.999, 60),
    MinP: np.geomspace(1e-6, 1, 60),
    Epsilon: np.geomspace(1e-6, 0.99, 60),
    Eta: np.geomspace(1e-9, 0.99, 60),
    TopA: np.geomspace(1e-4, 1, 60),
    TopNSigma: np.linspace(0.01, 5, 60),
    MinK: np.linspace(0, 200, 81),
    TopH: np.linspace(0.01, 0.999, 60),
    Tfs: np.linspace(0, 0.999, 60),
}
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 12)) * np.array([[0.1], [0.5], [1], [2], [4], [8]])
    x[2, 3] = x[2, 7] = x[2].max()
    x[3, 4] = x[3, 5]
    x[4, [0, 9]] = -np.inf
    return [*x[:, None], np.array([[1.0, 1.0, 1.0]]), np.array([[2.0, -np.inf, -np.inf]]), np.array([[3.0, 1.0]])]


@pytest.mark.parametrize("kind", GRIDS, ids=lambda kind: kind.name)
def test_a_token_stays_while_the_parameter_says_so(kind, rows):
    parameter, keeps = kind.steers
    for x in rows:
        sets = {v: np.isfinite(apply(kind(v), x))[0] for v in GRIDS[kind].tolist()}
        for token in np.flatnonzero(np.isfinite(x[0])).tolist():
            value = float(kind(next(iter(sets))).critical(x, token)[0, 0])
            assert float(kind(next(iter(sets))).critical(torch.from_numpy(x), token)[0, 0]) == pytest.approx(value)
            for setting, stays in sets.items():
                if abs(setting - value) > 1e-9 * (1 + value) and {parameter: setting} != kind.neutral:
                    assert stays[token] == COMPARE[keeps](setting, value), (kind, x, token, setting, value)


@pytest.mark.parametrize("rule", [PLess(), PLessNorm(), Conformal([0.6, 0.9], [1.1]), Conformal([1.0])], ids=str)
def test_without_a_parameter_it_is_how_far_above_the_floor(rule, rows):
    assert isinstance(rule, Cutoff)
    for x in rows:
        stays = np.isfinite(apply(rule, x))[0]
        for token in np.flatnonzero(np.isfinite(x[0])).tolist():
            assert stays[token] == (rule.critical(x, token)[0, 0] >= 1)


def test_the_form_of_transformers_too(rows):
    for x in [*rows, np.random.default_rng(3).normal(size=(1, 130))]:
        sets = {v: np.isfinite(apply(TopH(v, "transformers"), x))[0] for v in GRIDS[TopH].tolist()}
        for token in np.flatnonzero(np.isfinite(x[0])).tolist():
            value = TopH(0.5, "transformers").critical(x, token)[0, 0]
            assert all(
                stays[token] == (setting >= value) for setting, stays in sets.items() if abs(setting - value) > 1e-9
            )
    assert max(TopH(0.5, "transformers").critical(x, token)[0, 0] for token in range(130)) == 2


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        (Epsilon(0.1), logs(0.4, 0.3, 0.2, 0.1), [1, 0.3, 0.2, 0.1]),
        (Eta(0.1), logs(0.4, 0.3, 0.2, 0.1), [1, (0.3 * 3.5961) ** 2, (0.2 * 3.5961) ** 2, (0.1 * 3.5961) ** 2]),
        (TopA(0.1), logs(0.7, 0.2, 0.1), [1, 0.2 / 0.49, 0.1 / 0.49]),
        (PLess(), logs(0.4, 0.3, 0.2, 0.1), [4 / 3, 1, 2 / 3, 1 / 3]),
        (TopNSigma(1.0), np.array([[3.0, 2.0, 1.0, 0.0]]), np.arange(4) / np.sqrt(1.25)),
        (MinK(3.0), np.array([[5.0, 4.5, 2.0, 1.0]]), [0, 0, 12, 16]),
        (TopH(0.4), logs(0.4, 0.3, 0.2, 0.1), [0, 0.6829 / 1.2799, 1.0609 / 1.2799, 1]),
        (TopH(0.4, "transformers"), logs(0.4, 0.3, 0.2, 0.1), [0, 0.7277 / 1.2799, 1.0496 / 1.2799, 1]),
        (Tfs(0.5), logs(0.5, 0.25, 0.15, 0.1), [0, 0.75, 1, 1]),
    ],
    ids=str,
)
def test_critical_values_by_hand(rule, row, expected):
    found = [float(rule.critical(row, token)[0, 0]) for token in range(row.shape[-1])]
    wanted = [min(x, 1.0) if isinstance(rule, Eta) else x for x in expected]
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("rule", "row", "token", "value"),
    [
        (Epsilon(0.3), logs(0.4, 0.3, 0.2, 0.1), 2, 0.2 / (1 - 1e-6)),
        (Eta(0.3), logs(0.98, 0.015, 0.005), 1, 0.015 / (1 - 1e-6)),
        (
            Eta(0.3),
            logs(0.4, 0.3, 0.2, 0.1),
            3,
            (0.1 / (1 - 1e-6) * 0.4**-0.4 * 0.3**-0.3 * 0.2**-0.2 * 0.1**-0.1) ** 2,
        ),
        (TopA(0.2), logs(0.4, 0.3, 0.2, 0.1), 3, 0.1 / 0.16 / (1 - 1e-6)),
        (MinP(0.2), logs(0.4, 0.3, 0.2, 0.1), 1, 0.75 / (1 - 1e-6)),
        (TopP(0.5), logs(0.4, 0.3, 0.2, 0.1), 2, 0.7 / (1 - 1e-6)),
        (TopNSigma(1.0), np.array([[3.0, 2.0, 1.0, 0.0]]), 1, 1.25**-0.5 / (1 + 1e-6)),
        (MinK(3.0), np.array([[5.0, 4.5, 2.0, 1.0]]), 2, 12 / (1 + 1e-6)),
        (MinK(3.0), np.array([[5.0]]), 0, 0.0),
        (TopH(0.4), logs(0.5, 0.25, 0.25), 1, np.log(3 / 4 ** (1 / 3)) / np.log(8**0.5) / (1 + 1e-6)),
        (PLessNorm(), np.zeros((1, 2)), 0, np.inf),
    ],
    ids=str,
)
def test_what_is_met_exactly_counts_as_met(rule, row, token, value):
    """To one part in a million, which the critical value says too."""
    assert rule.critical(row, token)[0, 0] == pytest.approx(value, rel=1e-9)
    assert rule.critical(row, token).shape == (1, 1)
