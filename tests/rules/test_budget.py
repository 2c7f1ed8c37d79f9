import numpy as np
import pytest
import torch

from logitherm import Sampler, parse
from logitherm.arrays import log_softmax, softmax
from logitherm.rules import DistortionBudget, RiskBudget
from logitherm.rules.budget import solve
from tests.rows import apply, logs, probabilities
from tests.sweeps import Sweeps


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


def test_a_row_far_from_zero():
    """exp(2 / T) = 4 for two tokens two above two others, wherever the row stands."""
    row = np.array([[3.0, 3.0, 1.0, 1.0]])
    for far in (0, 2**50, -(2**50)):
        assert used(RiskBudget(0.2, 0.5), row + far)[0] == pytest.approx(2 / np.log(4), rel=1e-12)


def test_as_hot_as_it_gets():
    """Of two tokens one apart the log-odds are -1 / T."""
    row, inside = np.array([[0.0, -1.0]]), np.array([[True, False]])
    assert solve(row, inside, np.array([[-1 / 7e8]]))[0, 0] == pytest.approx(7e8, rel=1e-2)
    assert solve(row, inside, np.array([[-1 / 2e9]]))[0, 0] == 1e9
    assert solve(1e12 * row, inside, np.array([[-1e-3]]))[0, 0] == pytest.approx(1e15, rel=1e-9)
    assert solve(1e12 * row, inside, np.array([[0.1]]))[0, 0] == 1e18


def test_few_looks_at_a_row():
    """Two exponentials of the row in a pass, two to see whether it is to be flat; halving alone would take 160."""
    rng = np.random.default_rng(6)
    counts = []
    for _ in range(40):
        row = torch.from_numpy(rng.normal(scale=rng.uniform(0.5, 6), size=(1, 200)))
        with Sweeps() as sweeps:
            solve(row, row > 1.5, torch.tensor([[-3.0]], dtype=torch.float64))
        counts.append(sweeps.count)
    assert np.mean(counts) <= 20
    assert max(counts) <= 30
    for wanted, inside in ((5.0, row > 1.5), (-3.0, row > -99)):  # flat; none outside
        with Sweeps() as sweeps:
            solve(row, inside, torch.tensor([[wanted]], dtype=torch.float64))
        assert sweeps.count == 2


def test_it_rises_with_rho_and_is_told_by_row():
    x = np.random.default_rng(2).normal(scale=3, size=(1, 100))
    heats = [used(RiskBudget(rho), x)[0] for rho in (1e-4, 0.01, 0.1, 0.3)]
    assert heats == sorted(heats)
    two = used(RiskBudget((0.01, 0.3), (0.9, 0.5)), np.repeat(x, 2, axis=0))
    assert two.tolist() == [used(RiskBudget(0.01, 0.9), x)[0], used(RiskBudget(0.3, 0.5), x)[0]]


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"RiskBudget\.rho must be in \(0, 1\]; got 0"):
        RiskBudget(0)


def divergence(out, raw):
    """KL of what a row became from what it was, nats."""
    q, p = probabilities(out), probabilities(raw)
    return (np.where(q > 0, q, 1) * np.log(np.where(q > 0, q, 1) / np.where(p > 0, p, 1)) * (q > 0)).sum(axis=-1)


def test_distortion_of_two_tokens():
    x = logs(0.8, 0.2)
    hot = apply(parse("temperature(2.0)"), x)
    assert divergence(hot, x)[0] == pytest.approx(2 / 3 * np.log(5 / 6) + 1 / 3 * np.log(5 / 3))
    assert np.array_equal(apply(parse("temperature(2.0) | distortion_budget(0.05)"), x), hot)
    held = apply(parse("temperature(2.0) | distortion_budget(0.01)"), x)
    assert divergence(held, x)[0] == pytest.approx(0.01, abs=1e-12)
    assert np.log(4) / (held[0, 0] - held[0, 1]) == pytest.approx(1.315182, abs=1e-6)
    assert np.array_equal(apply(parse("temperature(2.0) | distortion_budget(0)"), x), x)


@pytest.mark.parametrize(
    "chain", ["temperature(3.0)", "temperature(0.3)", "quadratic(0.3)", "bias([[3, 4.0], [5, -9]])"]
)
def test_the_bound_holds_is_met_and_what_is_inside_stays(chain):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 60)) * rng.uniform(0.1, 9, size=(300, 1))
    x[:30, 10:] = -np.inf
    free = apply(parse(chain), x)
    for kappa in (1e-6, 0.01, 0.3):
        held = apply(parse(f"{chain} | distortion_budget({kappa})"), x)
        inside = divergence(free, x) <= kappa
        assert np.array_equal(held[inside], free[inside])
        assert divergence(held, x)[~inside] == pytest.approx(kappa, abs=1e-11)
        same = apply(parse(f"{chain} | distortion_budget({kappa})"), torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(same[np.isfinite(x)], held[np.isfinite(x)], rtol=1e-6, atol=1e-6)
    assert (divergence(free, x) > 0.01).any()


def test_after_a_temperature_it_is_the_nearest_temperature_that_the_budget_allows():
    x = np.random.default_rng(2).normal(scale=3, size=(50, 40))
    held = apply(parse("temperature(4.0) | distortion_budget(0.1)"), x)
    slopes = (held - held[:, :1])[:, 1:] / (x - x[:, :1])[:, 1:]
    assert np.ptp(slopes, axis=1).max() < 1e-9
    assert ((slopes[:, 0] > 1 / 4) & (slopes[:, 0] < 1)).all()
    for line, slope in zip(x, slopes[:, 0], strict=True):
        assert divergence(line[None] * slope, line[None])[0] == pytest.approx(0.1, abs=1e-11)
        assert divergence(line[None] * slope * 0.999, line[None])[0] > 0.1


def test_what_was_removed_counts_and_stays_removed():
    x = logs(0.5, 0.3, 0.15, 0.05)
    cut = -np.log(0.8)  # the mass of the two that stay: .2231 nats
    within = apply(parse("temperature(3.0) | top_k(2) | distortion_budget(0.23)"), x)
    assert divergence(within, x)[0] == pytest.approx(0.23, abs=1e-12)
    beyond = apply(parse("temperature(3.0) | top_k(2) | distortion_budget(0.2)"), x)
    assert np.array_equal(beyond[0, :2], x[0, :2])
    assert np.isneginf(beyond[0, 2:]).all()
    assert divergence(beyond, x)[0] == pytest.approx(cut)


def test_distortion_of_far_rows():
    far = np.array([[1e30, -1e30, 0.0], [0.0, 0.0, 0.0], [-1e30, -np.inf, -1e30], [700.0, -700.0, 0.0]])
    for kappa in (0.0, 0.1, 2.0):
        out = apply(parse(f"temperature(50) | distortion_budget({kappa})"), far)
        assert np.isfinite(out).tolist() == np.isfinite(far).tolist()
        assert (divergence(out, far) <= kappa + 1e-9).all()
    assert apply(parse("distortion_budget(0.1)"), [[3.0]]).tolist() == [[3.0]]
    with pytest.raises(ValueError, match=r"DistortionBudget\.kappa must be >= 0, or inf \(= off\); got -1"):
        DistortionBudget(-1)


@pytest.mark.parametrize("mask", [-1e4, -1e16, -1e17, -1e30, np.finfo(np.float32).min])
@pytest.mark.parametrize("chain", ["target_entropy(1.3)", "risk_budget(0.2, 0.9999)", "temperature(1e40)"])
def test_the_bound_holds_under_masks_that_are_numbers(chain, mask):
    x = np.array([[3.0, 1.0, 0.0, mask, mask]])
    held = apply(parse(f"{chain} | distortion_budget(0.1)"), x)
    q, p = softmax(held), softmax(x)
    kl = float(np.sum(np.where(q > 0, q * (log_softmax(held) - log_softmax(x)), 0.0)))
    assert kl == pytest.approx(0.1, abs=1e-9)
    assert q[0, 3] < 1e-3
    assert p[0, 3] == 0


def test_the_risk_is_rho_however_wide_the_row():
    """50,000 tokens masked by a number: half of the risk is theirs only at a temperature near 1e37."""
    for rho, low in ((0.9, np.finfo(np.float32).min), (0.1, -1e60), (0.3, -1e200)):
        x = np.concatenate([[5.0, 3.0, 1.0, 0.0], np.full(50_000, float(low))])[None]
        p = softmax(apply(parse(f"risk_budget({rho}, 0.9)"), x))
        assert float(p[0, 2:].sum()) == pytest.approx(rho, abs=1e-9)
