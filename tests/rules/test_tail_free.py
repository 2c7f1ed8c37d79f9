"""Tail-free sampling by hand: where its bend begins and ends, and rows that are short, straight or full of holes."""

import numpy as np
import pytest
import torch

from logitherm.rules import Tfs
from logitherm.rules.tail_free import bend
from tests.rows import apply, kept, logs

ROW = 0.5, 0.25, 0.15, 0.1  # bends by .15 and .05, of .2
HOLES = np.full((1, 2), -np.inf)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_the_bend_before_each_place(library):
    found = lambda *p, holes=0: bend(library(np.concatenate([logs(*p), HOLES[:, :holes]], axis=-1)))[0].tolist()
    assert found(*ROW) == pytest.approx([0, 0.75, 1, np.inf])
    assert found(*ROW, holes=2) == pytest.approx([0, 0.75, 1, *[np.inf] * 3])
    assert found(0.5, 0.3, 0.2, holes=1) == pytest.approx([0, 1, np.inf, np.inf])  # three: one bend, which is all
    assert found(0.3, 0.25, 0.2, 0.15, 0.1, holes=2) == pytest.approx([0, 1 / 3, 2 / 3, 1, *[np.inf] * 3])  # straight
    assert found(0.6, 0.4) == found(0.6, 0.4, holes=1)[:2] == [0, 0]
    assert found(1.0) == found(1.0, holes=2)[:1] == [0]


@pytest.mark.parametrize(
    ("z", "p", "expected"),
    [
        (1 - 1e-7, ROW, [1, 1, 1, 0]),  # the last never stays, however near z is to 1
        (1.0, ROW, [1, 1, 1, 1]),
        (0.99, (0.5, 0.3, 0.2), [1, 0, 0]),
        (0.499999, (0.4, 0.3, 0.2, 0.1), [1, 1, 0, 0]),  # a straight row's first half, met to a millionth
        (0.499998, (0.4, 0.3, 0.2, 0.1), [1, 0, 0, 0]),
        (0.0, (0.6, 0.4), [1, 1]),
    ],
)
def test_tables(z, p, expected):
    for holes in (0, 1, 2):
        row = np.concatenate([logs(*p), HOLES[:, :holes]], axis=-1)
        assert kept(Tfs(z), row) == [bool(x) for x in expected] + [False] * holes


def test_rows_of_few_tokens_in_a_batch():
    """Short and long rows, and one without holes, side by side: each as by itself."""
    x = np.concatenate([np.concatenate([logs(*p), HOLES], axis=-1)[:, :4] for p in ((0.6, 0.4), ROW, ROW[:2])])

    assert np.isfinite(apply(Tfs(0.8), x)).sum(axis=1).tolist() == [2, 2, 2]


def test_critical_values_at_the_ends():
    assert [Tfs(0.5).critical(logs(*ROW), token)[0, 0] for token in range(4)] == pytest.approx(
        [0, 0.75 - 1e-6, 1 - 1e-6, 1], abs=1e-9
    )
    for p in ((1.0,), (0.6, 0.4)):
        assert [Tfs(0.5).critical(logs(*p), token).tolist() for token in range(len(p))] == [[[0.0]]] * len(p)
