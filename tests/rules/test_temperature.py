import numpy as np
import pytest

from logitherm import DynamicTemperature, Sampler, Temperature
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
    from logitherm import TopK

    x = logs(0.4, 0.3, 0.2, 0.1)
    chain = TopK(1) | DynamicTemperature(1.0, entropy=1.0)
    inside = TopK(1) | DynamicTemperature(1.0, entropy=1.0, of="kept")
    h = -sum(p * np.log(p) for p in (0.4, 0.3, 0.2, 0.1))
    assert apply(chain, x)[0, 0] == pytest.approx(np.log(0.4) / (1 + h), abs=1e-12)
    assert apply(inside, x)[0, 0] == pytest.approx(np.log(0.4), abs=1e-12)


@pytest.mark.parametrize(
    ("p", "expected"),
    [((0.45, 0.3, 0.25), 0.3), ((0.51, 0.49), 0.51), ((0.3, 0.25, 0.25, 0.2), 0.25), ((1.0,), 1.0)],
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
    DynamicTemperature(1.0, t_min=(0.1, 2.0), t_max=(1.0, 3.0))
