import numpy as np
import pytest
import torch

from logitherm import DynamicTemperature, Sampler, Temperature, TopK
from logitherm.rules import Dynatemp, Edt
from logitherm.rules.dynamic import median, normalised_entropy, varentropy
from tests.rows import apply, kept, logs


def test_temperature_divides_logits():
    assert apply(Temperature(0.5), [[1.0, -2.0, 0.0]]).tolist() == [[2.0, -4.0, 0.0]]
    assert apply(Temperature(2), [[1.0, -2.0, -np.inf]]).tolist() == [[0.5, -1.0, -np.inf]]


def test_zero_keeps_the_first_of_the_largest():
    assert apply(Temperature(0), [[1.0, 3.0, 3.0]]).tolist() == [[-np.inf, 3.0, -np.inf]]
    assert kept(Temperature(1.1e-6), [[1.0, 3.0, 3.0]]) == [True, True, True]


def test_a_dynamic_temperature_that_falls_below_zero_is_clamped():
    assert kept(DynamicTemperature(-1.0), logs(0.5, 0.3, 0.2)) == [True, False, False]
    assert apply(DynamicTemperature(9.0, t_max=2), [[4.0, 2.0]]).tolist() == [[2.0, 1.0]]
    assert apply(DynamicTemperature(0.1, t_min=0.5), [[4.0, 2.0]]).tolist() == [[8.0, 4.0]]


def test_features_are_of_the_raw_logits_unless_told():
    x = logs(0.4, 0.3, 0.2, 0.1)
    chain = TopK(1) | DynamicTemperature(1.0, entropy=1.0)
    inside = TopK(1) | DynamicTemperature(1.0, entropy=1.0, of="kept")
    h = -sum(p * np.log(p) for p in (0.4, 0.3, 0.2, 0.1))
    assert apply(chain, x)[0, 0] == pytest.approx(np.log(0.4) / (1 + h), abs=1e-12)
    assert apply(inside, x)[0, 0] == pytest.approx(np.log(0.4), abs=1e-12)
    assert apply(TopK(1) | Edt(1.0, 1.0), x)[0, 0] == pytest.approx(np.log(0.4) / 0.8 ** (1 / h), abs=1e-12)
    assert kept(Edt(1.0, 1.0, of="kept"), [[2.0, -np.inf]]) == [True, False]
    assert apply(TopK(1) | Dynatemp(0.5, 1.5, of="raw"), x)[0, 0] == pytest.approx(
        np.log(0.4) / (0.5 + h / np.log(4)), abs=1e-12
    )
    assert apply(TopK(1) | Dynatemp(0.5, 1.5), x)[0, 0] == pytest.approx(np.log(0.4) / 0.5, abs=1e-12)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("feature", "p", "expected"),
    [
        (median, (0.4, 0.3, 0.2, 0.1), 0.25),
        (median, (0.5, 0.3, 0.2), 0.3),
        (median, (0.3, 0.25, 0.2, 0.1, 0.08, 0.07), 0.15),
        (median, (1.0,), 1.0),
        (normalised_entropy, (0.5, 0.25, 0.25), 1.5 * np.log(2) / np.log(3)),
        (normalised_entropy, (0.5, 0.5), 1.0),
        (normalised_entropy, (1.0,), 0.0),
        (varentropy, (0.5, 0.25, 0.25), 0.25 * np.log(2) ** 2),  # surprisals of 1, 2 and 2 bits, 1.5 in the mean
        (varentropy, (0.25, 0.25, 0.25, 0.25), 0.0),
    ],
)
def test_features_by_hand(feature, p, expected, library):
    """In company and beside removed tokens, which are no part of them."""
    x = np.concatenate([logs(*p), np.full((1, 2), -np.inf)], axis=-1)
    found = feature(library(np.concatenate([x, np.zeros_like(x)])))
    assert found.shape == (2, 1)
    assert float(found[0, 0]) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ((0.45, 0.3, 0.25), 0.3),
        ((0.51, 0.49), 0.51),
        ((0.3, 0.25, 0.25, 0.2), 0.25),
        ((0.5, 0.25, 0.25), 0.5),
        ((1.0,), 1.0),
    ],
)
def test_the_surprisal_median_is_where_the_mass_reaches_one_half(p, expected):
    chain = Sampler(DynamicTemperature(0.0, surprisal_median=1.0))
    ((rule, before, _, at),) = chain.stages(logs(*p), chain.start([[]]))
    assert rule.temperature(before, at)[0, 0] == pytest.approx(-np.log(expected), abs=1e-14)


def test_running_perplexity_is_of_the_tokens_drawn_lately():
    """Tokens of probability 1/4, then 1/2: the window of two sees perplexities 4, sqrt(8), 2."""
    sampler = Sampler(DynamicTemperature(0.5, running_perplexity=0.1, window=2))
    state = sampler.start([[7], [7]], seed=0)
    quarters, halves = np.zeros((2, 4)), np.array([[0.0, 0.0, -np.inf, -np.inf]] * 2)
    used = []
    for x in (quarters, quarters, halves, halves, halves):
        ((rule, before, _, at),) = sampler.stages(x, state)
        used.append(rule.temperature(before, at)[:, 0].tolist())
        state = sampler.observe(x, state, [0, 1]).state
    assert used == [pytest.approx([0.5 + 0.1 * p] * 2, abs=1e-14) for p in (0, 4, 4, 8**0.5, 2)]
    forced = sampler.observe(halves, state, [3, 0]).state  # an impossible token: hot, but finite
    assert np.isfinite(sampler.apply(halves, forced)).sum(axis=1).tolist() == [2, 2]
    assert DynamicTemperature(0.5).init(3) is None


def test_an_impossible_token_counts_700_nats():
    sampler = Sampler(DynamicTemperature(0.5, running_perplexity=1e-304, window=1))
    x = np.array([[0.0, -np.inf]])
    state = sampler.observe(x, sampler.start([[]], seed=0), [1]).state
    ((rule, before, _, at),) = sampler.stages(x, state)
    assert rule.temperature(before, at)[0, 0] == pytest.approx(0.5 + 1e-304 * np.exp(700), abs=1e-9)


def test_a_coefficient_of_minus_one():
    assert apply(DynamicTemperature(1.5, max_p=-1.0), logs(0.5, 0.3, 0.2))[0, 0] == pytest.approx(np.log(0.5))


def test_removed_tokens_are_no_part_of_the_features():
    padded = np.concatenate([logs(0.4, 0.3, 0.2, 0.1), np.full((1, 3), -np.inf)], axis=-1)
    for feature in ("max_p", "entropy", "median", "surprisal_median", "normalised_entropy", "varentropy"):
        rule = DynamicTemperature(0.2, **{feature: 1.0})
        plain = apply(rule, logs(0.4, 0.3, 0.2, 0.1))
        np.testing.assert_allclose(apply(rule, padded)[:, :4], plain, rtol=1e-14)


def test_the_window_is_one_for_all_rows():
    with pytest.raises(ValueError, match=r"DynamicTemperature\.window must be one number for all rows; got \[3, 4\]"):
        DynamicTemperature(1.0, running_perplexity=0.1, window=[3, 4])


def test_the_bounds_must_be_in_order():
    with pytest.raises(ValueError, match=r"DynamicTemperature.t_min must be at most t_max; got 2.0 > 1.0"):
        DynamicTemperature(1.0, t_min=2, t_max=1)
    with pytest.raises(ValueError, match="t_min must be at most t_max"):
        DynamicTemperature(1.0, t_min=(0.1, 2.0), t_max=(1.0, 1.0))
    with pytest.raises(ValueError, match="t_min must be at most t_max"):
        DynamicTemperature(1.0, t_min=0.5, t_max=(1.0, 1.0, 0.2))
    DynamicTemperature(1.0, t_min=(0.1, 2.0), t_max=(1.0, 3.0))
    assert apply(DynamicTemperature(1.0, t_min=2, t_max=2), [[4.0, 2.0]]).tolist() == [[2.0, 1.0]]
