"""20,000 draws of ten recipes against an oracle that imports nothing of ours.

Each test is a chi-square goodness-of-fit test at 1e-6 (tokens with fewer than ten expected draws are pooled), so that
all twenty together raise a false alarm once in 50,000 seeds; the seeds are fixed.
"""

import math

import numpy as np
import pytest
from scipy import stats

from logitherm import parse
from logitherm.draw import draw
from logitherm.rng import uniform

DRAWS, CHUNK = 20_000, 1
FALSE_ALARM = 1e-6

RECIPES = [
    "temperature(1.0)",
    "temperature(0.7)",
    "temperature(1.6)",
    "top_k(5)",
    "top_p(0.8)",
    "min_p(0.1)",
    "temperature(0.8) | top_k(20) | top_p(0.95)",
    "top_p(0.9) | min_p(0.05) | temperature(1.3)",
    "dynamic_temperature(0.1, entropy=0.3) | top_p(0.95)",
    "dynamic_temperature(0.5, max_p=-0.4)",
]


def oracle(recipe, logits):
    """The distribution that a recipe means, by the letter: one token after another, in plain Python floats."""
    kept = {i: float(x) for i, x in enumerate(logits)}

    def softmax(values):
        top = max(values.values())
        w = {i: math.exp(x - top) for i, x in values.items()}
        total = math.fsum(w.values())
        return {i: x / total for i, x in w.items()}

    raw = softmax(kept)
    for piece in recipe.split(" | "):
        name, _, rest = piece.rstrip(")").partition("(")
        first, *named = rest.split(", ")
        value = float(first)
        ranked = sorted(kept, key=lambda i: -kept[i])
        p = softmax(kept)
        if name == "temperature":
            kept = {i: x / value for i, x in kept.items()}
        elif name == "top_k":
            kept = {i: x for i, x in kept.items() if x >= kept[ranked[int(value) - 1]]}
        elif name == "min_p":
            kept = {i: x for i, x in kept.items() if p[i] >= value * max(p.values())}
        elif name == "top_p":
            mass, inside = 0.0, {}
            for i in ranked:
                if mass < value * (1 - 1e-6):
                    inside[i] = kept[i]
                mass += p[i]
            kept = inside
        else:
            feature, _, weight = named[0].partition("=")
            entropy = -math.fsum(x * math.log(x) for x in raw.values() if x > 0)
            heat = value + float(weight) * {"entropy": entropy, "max_p": max(raw.values())}[feature]
            kept = {i: x / heat for i, x in kept.items()}
    return softmax(kept)


def check(recipe, logits, by_step):
    """The first draws are whole steps; the others draw from the same shaped row, which is what a step does with it."""
    sampler = parse(recipe)
    state = sampler.start([[]], seed=0)
    shaped = sampler.apply(logits[None], state)
    drawn = [
        draw(
            np.broadcast_to(shaped, (CHUNK, len(logits))), uniform(np.arange(first, first + CHUNK, dtype=np.uint64), 0)
        )
        for first in range(0, DRAWS, CHUNK)
    ]
    steps = [sampler.step(logits[None], sampler.start([[]], seed=seed)).tokens[0] for seed in range(by_step)]
    assert steps == np.concatenate(drawn)[:by_step].tolist()
    counts = np.bincount(np.concatenate(drawn), minlength=len(logits))
    expected = np.zeros(len(logits))
    for i, p in oracle(recipe, logits).items():
        expected[i] = p * DRAWS
    assert counts[expected == 0].sum() == 0
    often = expected >= 10
    seen, due = [*counts[often]], [*expected[often]]
    if expected[~often].sum() > 0:
        seen.append(counts[~often].sum())
        due.append(expected[~often].sum())
    if len(seen) > 1:
        assert stats.chisquare(seen, np.array(due) * sum(seen) / sum(due)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("recipe", RECIPES)
def test_draws_follow_the_oracle(recipe):
    check(recipe, np.random.default_rng(3).normal(scale=2, size=60).astype(np.float32), by_step=2_000)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_draws_follow_the_oracle_on_gpt2(recipe, gpt2):
    check(recipe, gpt2[RECIPES.index(recipe) % 3], by_step=100)


def test_the_check_notices_a_wrong_distribution(monkeypatch):
    monkeypatch.setitem(globals(), "oracle", lambda recipe, logits: honest(recipe.replace("0.7", "0.8"), logits))
    with pytest.raises(AssertionError):
        test_draws_follow_the_oracle("temperature(0.7)")


honest = oracle
