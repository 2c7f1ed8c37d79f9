"""How far a rule takes a distribution, in closed form: KL and total variation of a cut, of a tempering, and of both."""

import numpy as np
import pytest

from logitherm import Sampler
from logitherm.rules import Cutoff, Temperature, Tempering
from tests.rows import apply, examples, name, probabilities
from tests.theory.numbers import WEATHER, distance, entropies, heat, kl, log_z, mean, rows, tempered, variance

CONTEXTS = rows()
P = probabilities(CONTEXTS)
PAIRS = [(0.5, 1.0), (1.0, 0.5), (2.0, 1.0), (1.0, 3.0), (0.7, 2.2)]


def removes_only(rule):
    """Whether what the rule leaves, it leaves as it was, and it removes something."""
    out = apply(rule, CONTEXTS)
    left = np.isfinite(out)
    return np.array_equal(out[left], CONTEXTS[left]) and not np.array_equal(out, CONTEXTS)


CUTS = [rule for rule in examples() if removes_only(rule)]


def test_every_cutoff_and_ban_only_removes():
    whole = {"top_k(40)", "min_k(40.0)"}  # of 24 tokens
    named = {rule.name for rule in CUTS}
    assert {str(rule) for rule in examples() if isinstance(rule, Cutoff)} <= whole | set(map(str, CUTS))
    assert named >= {"typical", "mirostat", "xtc", "greedy_threshold", "ban", "allow", "no_repeat_ngram", "bad_words"}
    assert named.isdisjoint({"edt", "quadratic", "adaptive_p", "repetition", "frequency", "presence", "dry"})


@pytest.mark.parametrize("rule", CUTS, ids=name)
def test_a_cut_costs_the_log_of_the_mass_that_it_keeps(rule):
    """q = p / M on what is kept: KL(q ‖ p) = −log M and TV = 1 − M; the other way KL is infinite."""
    out = apply(rule, CONTEXTS)
    q, left = probabilities(out), np.isfinite(out)
    mass = np.where(left, P, 0.0).sum(axis=1)
    assert kl(q, P) == pytest.approx(-np.log(mass), abs=1e-9)
    assert distance(q, P) == pytest.approx(1 - mass, abs=1e-9)
    cut = (left != np.isfinite(CONTEXTS)).any(axis=1)
    assert cut.any()
    assert np.isinf(kl(P, q)[cut]).all()
    assert (distance(q, P) <= np.sqrt(kl(q, P) / 2) + 1e-12).all()


@pytest.mark.parametrize("rule", CUTS, ids=name)
def test_a_temperature_after_a_cut_adds_its_own_cost(rule):
    """KL(q_T ‖ p) = KL(q_T ‖ q) − log M."""
    cut = apply(rule, CONTEXTS)
    mass = np.where(np.isfinite(cut), P, 0.0).sum(axis=1)
    for t in (0.6, 1.7):
        both = probabilities(apply(Sampler(rule, Temperature(t)), CONTEXTS))
        assert kl(both, P) == pytest.approx(kl(both, probabilities(cut)) - np.log(mass), abs=1e-9)


def divergence(x, a, b):
    """KL(p_a ‖ p_b) from three sums: (1/a − 1/b) · ⟨l⟩_a − log Z_a + log Z_b."""
    a, b = (np.broadcast_to(t, (len(x),)) for t in (a, b))
    at_a = probabilities(x / a[:, None])
    return (1 / a - 1 / b) * mean(at_a, x) - log_z(x, a) + log_z(x, b)


def crossing(x, a, b):
    """The logit at which p_a and p_b are equal."""
    return (log_z(x, a) - log_z(x, b)) / (1 / a - 1 / b)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_two_temperatures_differ_by_three_sums(a, b):
    p, q = tempered(CONTEXTS, a), tempered(CONTEXTS, b)
    found = kl(p, q)
    assert found == pytest.approx(divergence(CONTEXTS, a, b), abs=1e-9)
    above = crossing(CONTEXTS, a, b)[:, None] < CONTEXTS
    assert distance(p, q) == pytest.approx(np.abs(((p - q) * above).sum(axis=1)), abs=1e-9)
    assert (distance(p, q) <= np.sqrt(found / 2) + 1e-12).all()


HOT_AND_COLD = [r for r in examples() if isinstance(r, Tempering) and heat(r, CONTEXTS).max() > 1e-6]


@pytest.mark.parametrize("rule", HOT_AND_COLD, ids=name)
def test_every_temperature_rule_costs_what_its_temperature_says(rule):
    sampler = Sampler(rule)
    t = heat(rule, CONTEXTS)
    warm = t > 1e-3
    x, t = CONTEXTS[warm], t[warm]
    q = probabilities(sampler.apply(x, sampler.start([[]] * len(x), seed=0)))
    assert kl(q, P[warm]) == pytest.approx(divergence(x, t, 1.0), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_divergence_is_an_integral_of_the_variance(a, b):
    """KL(p_a ‖ p_b) = ∫ (s − 1/b) · Var_s(l) ds from 1/b to 1/a, so a small step δ in 1/T costs δ² · Var / 2."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    start, end = 1 / b, 1 / a
    s = start + (end - start) * (nodes + 1) / 2
    x = CONTEXTS[:9]  # the sharpest rows need more nodes
    values = np.array([(beta - start) * variance(tempered(x, 1 / beta), x) for beta in s])
    assert kl(tempered(x, a), tempered(x, b)) == pytest.approx(weights @ values * (end - start) / 2, abs=1e-9)
    step = 1e-3
    small = kl(tempered(x, 1 / (1 + step)), tempered(x, 1.0))
    assert small == pytest.approx(step**2 * variance(tempered(x, 1.0), x) / 2, rel=0.01)


def test_the_numbers_of_the_weather_row():
    """Six tokens at T = 2, recomputed in float64."""
    warm, p = tempered(WEATHER, 2.0), tempered(WEATHER, 1.0)
    assert kl(warm, p)[0] == pytest.approx(0.095745065409842, abs=1e-14)
    assert kl(p, warm)[0] == pytest.approx(0.086946840873684, abs=1e-14)
    assert distance(warm, p)[0] == pytest.approx(0.189976173255246, abs=1e-14)
    assert crossing(WEATHER, 2.0, 1.0)[0] == pytest.approx(2.695342273156, abs=1e-12)
    assert entropies(warm)[0] == pytest.approx(1.686442772316, abs=1e-12)
    assert (p**2).sum() == pytest.approx(0.304740361499, abs=1e-12)
    assert variance(p, WEATHER)[0] == pytest.approx(0.615962486735, abs=1e-12)
