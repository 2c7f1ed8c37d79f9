"""Cutoffs and shapes against transformers' processors: the same kept sets on random rows and on GPT-2's.

Exempt: what lies within float32 of the cutoff, counted. TopHLogitsWarper is our form="transformers", not the paper's.
"""

import numpy as np
import pytest

from logitherm.rules import Epsilon, Eta, TopH, Typical
from tests.rows import probabilities
from tests.test_transformers import batches, ours, rows, theirs

processors = pytest.importorskip("transformers.generation.logits_process")

__all__ = ["batches", "rows"]

NEAR = 1e-5


def entropies(p):
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1, keepdims=True)


def close_to_the_floor(rule, p):
    """Tokens whose probability is the floor but for float32."""
    floor = rule.epsilon
    if isinstance(rule, Eta):
        floor = np.minimum(floor, np.sqrt(floor) * np.exp(-entropies(p)))
    return np.abs(p / floor - 1) < NEAR


def close_to_the_mass(rule, p):
    """Tokens before which, in the order of typicality, the mass is p but for float32; and those that nearly tie."""
    away = np.abs(-np.log(np.where(p > 0, p, 1e-300)) - entropies(p))
    order = np.argsort(away, axis=-1)
    before = np.cumsum(np.take_along_axis(p, order, axis=-1), axis=-1) - np.take_along_axis(p, order, axis=-1)
    close = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(close, order, np.abs(before - rule.p) < NEAR, axis=-1)
    last = np.take_along_axis(away, order, axis=-1)[np.arange(len(p)), (before < rule.p).sum(axis=-1) - 1]
    return close | (np.abs(away - last[:, None]) < NEAR)


@pytest.mark.parametrize(
    ("rule", "processor", "close"),
    [
        (Epsilon(3e-4), lambda: processors.EpsilonLogitsWarper(3e-4), close_to_the_floor),
        (Epsilon(0.02), lambda: processors.EpsilonLogitsWarper(0.02), close_to_the_floor),
        (Epsilon(0.5), lambda: processors.EpsilonLogitsWarper(0.5), close_to_the_floor),
        (Eta(3e-4), lambda: processors.EtaLogitsWarper(3e-4), close_to_the_floor),
        (Eta(4e-3), lambda: processors.EtaLogitsWarper(4e-3), close_to_the_floor),
        (Eta(0.3), lambda: processors.EtaLogitsWarper(0.3), close_to_the_floor),
        (Typical(0.2), lambda: processors.TypicalLogitsWarper(0.2), close_to_the_mass),
        (Typical(0.5), lambda: processors.TypicalLogitsWarper(0.5), close_to_the_mass),
        (Typical(0.95), lambda: processors.TypicalLogitsWarper(0.95), close_to_the_mass),
    ],
    ids=lambda value: str(value) if hasattr(value, "name") else "",
)
def test_kept_sets(rule, processor, close, batches, record_property):
    excused = compared = 0
    for logits in batches:
        a, b = np.isfinite(ours(rule, logits)), np.isfinite(theirs(processor(), logits))
        near = close(rule, probabilities(logits))
        assert not ((a != b) & ~near).any(), str(rule)
        excused += int((a != b).sum())
        compared += a.size
    record_property(f"{rule}: tokens excused", excused)
    assert excused < 20
    assert compared > 500_000


@pytest.mark.parametrize("alpha", [0.2, 0.4, 0.7, 0.95])
def test_top_h_in_the_form_of_transformers_keeps_its_sets(alpha, batches, record_property):
    """The same sets on 500 random rows and on GPT-2's, and not those of the paper's form."""
    excused = differ = 0
    for logits in batches:
        ours_too = np.isfinite(ours(TopH(alpha, form="transformers"), logits))
        b = np.isfinite(theirs(processors.TopHLogitsWarper(alpha), logits))
        assert b.sum(axis=-1).max() <= 100
        down = -np.sort(-logits.astype(np.float64), axis=-1)[:, :100]
        p = probabilities(down)
        part = np.cumsum(-p * np.log(np.where(p > 0, p, 1)), axis=-1)
        near = np.abs(part / part[:, -1:] - alpha).min(axis=-1) < NEAR  # only float32 decides
        near |= np.array([len(set(line)) < 100 for line in down])  # tokens of one logit, of which topk takes some
        assert np.array_equal(ours_too[~near], b[~near])
        excused += int((ours_too != b).any(axis=-1).sum())
        differ += int((np.isfinite(ours(TopH(alpha), logits)) != b).any(axis=-1).sum())
    assert np.array_equal(ours_too, b)  # GPT-2's rows, without excuse
    record_property(f"top_h({alpha}): rows excused", excused)
    assert excused < 20
    assert differ > 250


def test_top_h_of_transformers_where_fewer_are_left():
    """Removed tokens among the first 100, rows of one token, of equal ones; and alpha = 1."""
    row = np.full(300, -np.inf)
    row[:7] = np.log([0.3, 0.2, 0.16, 0.14, 0.1, 0.06, 0.04])
    flat, wide = np.zeros(60), np.linspace(5, 0, 250)
    for x in (row, row[:1], flat, wide):
        for alpha in (0.3, 0.6, 0.97):  # at 1 the last bit of a float32 decides there
            form = TopH(alpha, form="transformers")
            a = np.isfinite(ours(form, x[None].astype(np.float32))).sum()
            b = np.isfinite(theirs(processors.TopHLogitsWarper(alpha), x[None].astype(np.float32))).sum()
            assert a == (60 if x is flat else b), (len(x), alpha)  # what ties stays together here
    assert np.isfinite(ours(TopH(1.0, form="transformers"), wide[None])).sum() == 100
    assert np.isfinite(ours(TopH(1.0), wide[None])).sum() == 250


def test_where_the_two_top_h_part():
    """[.5, .3, .1, .1] at .6: the bound is .701; the first two have .662 nats, and terms that add up to .708."""
    for row, alpha, counts in [
        ([0.5, 0.3, 0.1, 0.1], 0.6, (2, 1)),
        (np.linspace(1.01, 0.99, 60), 0.5, (7, 29)),  # flat: about the square root of 60, and half of 60
    ]:
        x = np.log(np.array([row], dtype=np.float32))
        mine, other = ours(TopH(alpha), x), theirs(processors.TopHLogitsWarper(alpha), x)
        assert (np.isfinite(mine).sum(), np.isfinite(other).sum()) == counts
        assert entropies(probabilities(mine))[0, 0] <= alpha * entropies(probabilities(x))[0, 0]
