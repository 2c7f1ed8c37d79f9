import numpy as np
import pytest
import torch

from logitherm import Sampler
from logitherm.rules import RiskBudget
from tests.rows import apply, logs, probabilities


def used(rule, logits):
    sampler = Sampler(rule)
    ((rule, before, _, at),) = sampler.stages(logits, sampler.start([[]] * len(logits)))
    return np.asarray(rule.temperature(before, at))[:, 0]


@pytest.mark.parametrize(("rho", "t"), [(0.2, 1.0), (1 / 3, 2.0), (1 / 17, 0.5), (1 / 257, 0.25)])
def test_four_tokens(rho, t):
    """Odds 4^(1/T) of the first two against the others: 4, 2, 16, 256."""
    assert used(RiskBudget(rho, 0.5), logs(0.4, 0.4, 0.1, 0.1))[0] == pytest.approx(t, rel=1e-12)


def test_the_risk_is_rho_on_any_row():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 200)) * rng.uniform(0.3, 8, size=(300, 1))
    x[:40, :150] = -np.inf
    for p in (0.3, 0.9):
        prob = probabilities(x)
        order = np.argsort(-prob, axis=1)
        sorted_p = np.take_along_axis(prob, order, axis=1)
        nucleus = np.zeros(x.shape, dtype=bool)
        np.put_along_axis(nucleus, order, np.cumsum(sorted_p, axis=1) - sorted_p < p * (1 - 1e-6), axis=1)
        for rho in (1e-6, 0.05, 0.4):
            hot = probabilities(apply(RiskBudget(rho, p), x))
            risk = (hot * ~nucleus).sum(axis=1)
            alive = np.isfinite(x)
            flat = (alive & ~nucleus).sum(axis=1) / alive.sum(axis=1)
            assert risk == pytest.approx(np.minimum(rho, flat), rel=1e-8)
            same = apply(RiskBudget(rho, p), torch.from_numpy(x)).numpy()
            np.testing.assert_allclose(same[alive], apply(RiskBudget(rho, p), x)[alive], rtol=1e-9, atol=1e-9)


def test_edges():
    assert used(RiskBudget(0.1), [[1.0, 1.0, 1.0]])[0] == 1.0  # the nucleus is the whole row
    assert used(RiskBudget(0.1), [[-np.inf, 1.0, -np.inf]])[0] == 1.0
    assert used(RiskBudget(0.1), [[5.0]])[0] == 1.0
    assert used(RiskBudget(0.5, 0.5), logs(0.4, 0.4, 0.1, 0.1))[0] == 1e9  # half outside is what a flat row has
    assert used(RiskBudget(1.0, 0.5), logs(0.4, 0.4, 0.1, 0.1))[0] == 1e9
    assert used(RiskBudget(1e-9, 0.5), [[0.0, -1e-5]])[0] == pytest.approx(1e-5 / np.log(1e9 - 1), rel=1e-10)
    assert used(RiskBudget(0.2, 0.5), [[0.0, -1e4, -1e4]])[0] == pytest.approx(1e4 / np.log(8), rel=1e-10)


def test_it_rises_with_rho_and_is_told_by_row():
    x = np.random.default_rng(2).normal(scale=3, size=(1, 100))
    heats = [used(RiskBudget(rho), x)[0] for rho in (1e-4, 0.01, 0.1, 0.3)]
    assert heats == sorted(heats)
    two = used(RiskBudget((0.01, 0.3), (0.9, 0.5)), np.repeat(x, 2, axis=0))
    assert two.tolist() == [used(RiskBudget(0.01, 0.9), x)[0], used(RiskBudget(0.3, 0.5), x)[0]]


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"RiskBudget\.rho must be in \(0, 1\]; got 0"):
        RiskBudget(0)
