"""What the theory speaks of, in plain sums over the real rules' output, and rows to try it on."""

import numpy as np

from logitherm import Sampler, Temperature
from tests.rows import probabilities

WEATHER = np.array([[1.2, 2.0, 3.5, 3.0, 1.8, 1.0]])


def rows(count=12, size=24, seed=0):
    """Rows from nearly flat to nearly certain, each with some tokens removed, the last with two that tie on top."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, size)) * np.geomspace(0.3, 6.0, count)[:, None]
    for line in x:
        line[3 + rng.permutation(size - 3)[: size // 6]] = -np.inf  # not those that rules name
    x[-1, [3, 7]] = x[-1].max() + 0.5
    return x


def tempered(logits, t):
    """p_T of each row, by the rule itself."""
    sampler = Sampler(Temperature(t))
    return probabilities(sampler.apply(logits, sampler.start([[]] * len(logits), seed=0)))


def heat(rule, logits, rest=()):
    """(rows,) the temperature that a rule uses on its own; 1 for each row where it is one number."""
    sampler = Sampler(rule, *rest)
    first, *_ = sampler.stages(logits, sampler.start([[]] * len(logits), seed=0))
    return np.broadcast_to(np.asarray(rule.temperature(first[1], first[3])), (len(logits), 1))[:, 0]


def finite(logits):
    """The logits with zeros where tokens are removed, so that p · l is 0 there."""
    return np.where(np.isfinite(logits), logits, 0.0)


def mean(p, values):
    return (p * finite(values)).sum(axis=-1)


def variance(p, values):
    return mean(p, finite(values) ** 2) - mean(p, values) ** 2


def log_p(logits):
    """log p of each token, −inf where removed."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_z(logits, t):
    """log Σ exp(l / T) of each row; t is a number, or one a row."""
    scaled = logits / np.reshape(t, (-1, 1))
    top = scaled.max(axis=-1)
    return top + np.log(np.exp(scaled - top[:, None]).sum(axis=-1))


def kl(q, p):
    """Σ q log(q / p), inf where q has mass and p has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(q > 0, q * (np.log(q) - np.log(p)), 0.0).sum(axis=-1)


def distance(q, p):
    """Total variation, half of Σ |q − p|."""
    return np.abs(q - p).sum(axis=-1) / 2


def entropies(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(p > 0, p * np.log(p), 0.0).sum(axis=-1)
