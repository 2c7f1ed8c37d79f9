"""The golden numbers of the five documents (recomputed in float64) and the edges that they print wrongly."""

import numpy as np
import pytest
import torch

from logitherm import DynamicTemperature, Sampler, Temperature, TopP
from logitherm.arrays import softmax
from tests.rows import apply, kept, logs

FLOATS = [
    pytest.param(lambda x: np.asarray(x, np.float64), 1e-12, id="numpy float64"),
    pytest.param(lambda x: np.asarray(x, np.float32), 1e-6, id="numpy float32"),
    pytest.param(lambda x: torch.tensor(x, dtype=torch.float64), 1e-12, id="torch float64"),
    pytest.param(lambda x: torch.tensor(x, dtype=torch.float32), 1e-6, id="torch float32"),
]
GOLDEN = [
    ("S0", [2, 4, 3], 1.0, [0.09003057317038046, 0.6652409557748218, 0.24472847105479764]),
    (
        "S0",
        [-49.82, -46.40, -45.25, -47.30, -48.32],
        1.0,
        [0.006895419423614125, 0.2107889381046714, 0.6657121297632076, 0.08570038684229858, 0.030903125866208227],
    ),
    (
        "S0",
        [-49.82, -46.40, -45.25, -47.30, -48.32],
        100.0,
        [0.19522917875035103, 0.2020215033798006, 0.20435816069638457, 0.20021146722978497, 0.19817968994367885],
    ),
    (
        "S1",
        [1.2, 2.0, 3.5, 3.0, 1.8, 1.0],
        1.0,
        [
            0.04568250029797328,
            0.10166827412900886,
            0.4556455929641133,
            0.27636302209567765,
            0.08323894264178214,
            0.03740166787144479,
        ],
    ),
    (
        "S3",
        [1, 2, 3, 4],
        1.0,
        [0.03205860328008499, 0.08714431874203257, 0.23688281808991013, 0.6439142598879724],
    ),
    (
        "S3",
        [1, 2, 3, 4],
        0.5,
        [0.002144008783584634, 0.01584220117850692, 0.11705891323853293, 0.8649548767993754],
    ),
    ("S3", [1, 2, 3, 4], 2.0, [0.1015363240915518, 0.16740509727844333, 0.27600434470659363, 0.45505423392341127]),
]

A, B, C = [0.01, 0.02, 0.03, 0.94], [0.22, 0.23, 0.24, 0.31], [0.25] * 4
STRATEGIES = [
    ("maximum probability", {"a": 0.5, "max_p": -0.4}, [0.124, 0.376, 0.4]),
    ("entropy", {"a": 0.1, "entropy": 0.8}, [0.330121422706436, 1.201366579129324, 1.209035488895913]),
    ("perplexity", {"a": 0.1, "log_perplexity": 0.8}, [0.330121422706436, 1.201366579129324, 1.209035488895913]),
    ("median", {"a": 0.5, "median": -0.4}, [0.49, 0.406, 0.4]),
    ("normalised entropy", {"a": 0.5, "normalised_entropy": 1.0}, [0.707496897088056, 1.493085063694199, 1.5]),
    ("varentropy", {"a": 0.0, "varentropy": 1.0}, [0.807888158980, 0.019846826094, 0.0]),
    ("mass-weighted median", {"a": 0.0, "surprisal_median": 1.0}, [-np.log(0.94), -np.log(0.24), -np.log(0.25)]),
    (
        "combined",
        {"a": 0.3, "max_p": -0.2, "entropy": 0.5},
        [
            0.3 - 0.2 * 0.94 + 0.5 * 0.287651778383046,
            0.3 - 0.2 * 0.31 + 0.5 * 1.376708223911655,
            0.25 + 0.5 * np.log(4),
        ],
    ),
]


@pytest.mark.parametrize(("of", "tolerance"), FLOATS)
@pytest.mark.parametrize(("source", "logits", "t", "expected"), GOLDEN)
def test_softmax_with_temperature(source, logits, t, expected, of, tolerance):
    got = np.asarray(softmax(apply(Temperature(t), of([logits]))))[0]
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    assert got.argmax() == np.argmax(expected)


@pytest.mark.parametrize(("of", "tolerance"), FLOATS)
@pytest.mark.parametrize(("strategy", "parameters", "expected"), STRATEGIES)
def test_dynamic_temperature_strategies(strategy, parameters, expected, of, tolerance):
    rule = DynamicTemperature(**parameters)
    tolerance = max(tolerance, 5e-12)  # varentropy's golden numbers have twelve digits
    for p, t in zip((A, B, C), expected, strict=True):
        sampler = Sampler(rule)
        x = of(np.log([p]).tolist())
        ((_, before, _, at),) = sampler.stages(x, sampler.start([[]]))
        assert float(np.asarray(rule.temperature(before, at)).item()) == pytest.approx(t, abs=tolerance * 3)


def test_every_strategy_needs_a_clamp_at_a_real_vocabulary():
    flat = np.zeros((1, 50257))
    free, clamped = DynamicTemperature(0.1, entropy=0.8), DynamicTemperature(0.1, entropy=0.8, t_max=1.5)
    for rule, expected in ((free, 8.76), (clamped, 1.5)):
        sampler = Sampler(rule)
        ((_, before, _, at),) = sampler.stages(flat, sampler.start([[]]))
        assert float(rule.temperature(before, at)[0, 0]) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("of", "tolerance"), FLOATS)
def test_top_p_at_the_edge_of_floating_point(of, tolerance):
    assert kept(TopP(0.8), of(logs(0.5, 0.3, 0.15, 0.05).tolist())) == [True, True, False, False]
    assert kept(TopP(0.9), of(logs(0.5, 0.45, 0.05).tolist())) == [True, True, False]  # S2 keeps one
