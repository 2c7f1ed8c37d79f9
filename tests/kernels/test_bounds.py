"""The bounds on which kernels rely: each is stated where it is used, and measured here."""

import math

import numpy as np
import pytest
from numba import njit

from logitherm.kernels.cpu import first
from logitherm.kernels.cpu.blocks import exact_weights, rough_weights
from logitherm.kernels.cpu.candidates import draw, nucleus_of, weigh_candidates
from logitherm.kernels.cpu.rows import ROUGH_SUM, drift, weigh
from logitherm.kernels.cpu.weights import LOG2E, ROUGH, scales
from logitherm.kernels.cpu.workspace import divided, memory


@pytest.mark.parametrize("t", [0.05, 0.3, 0.8, 1.0, 1.7, 5.0, 30.0])
def test_the_error_of_rough_weights_is_within_its_bound(t, record_property):
    """Measured against long doubles, over arguments of all sizes."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for spread in (0.1, 1.0, 10.0, 60.0):
        x = (rng.normal(size=160_000) * spread).astype(np.float32)
        fast, slow, able = scales(x.max(), t)
        fast = tuple(map(np.float32, fast))
        rough, exact = np.zeros(len(x), np.float32), np.zeros(len(x))
        block(rough_weights, x, rough, (np.float32(1.0), *fast))
        block(exact_weights, x, exact, slow)
        wide = x.astype(np.longdouble) * (np.longdouble(LOG2E) / np.longdouble(t))
        true = np.exp2(wide - np.longdouble(np.rint(np.float64(x.max()) * (LOG2E / t))))
        counts = true > 2.0**-60
        if able:
            worst = max(worst, float(np.abs(rough[counts] / true[counts] - 1).max()))
        assert np.abs(exact[counts] / true[counts] - 1).max() < 1e-11
    record_property(f"rough error at T = {t}", f"{worst:.2e}")
    assert worst < ROUGH


def block(function, x, out, constants):
    @njit
    def call(x, out, constants):
        function((x, out), len(x) // 16, constants)

    call(x, out, constants)


@njit
def unedited():
    return np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0), np.empty(0)


@njit
def weighed(row, t, floats, doubles, ids, patched, exact):
    work = divided(row.shape[0], floats, doubles, ids, *unedited())
    top, chunks, _ = first.read_and_weigh(row, t, work.maxima, work.tail, work.sums)
    if exact:
        fast, slow, _ = scales(top, t)
        weigh(row, work.tail, chunks, fast, slow, True, work.sums)
    else:
        first.settled(top, t, work.maxima, work.sums)
    return work.sums[:chunks].copy()


@njit
def measured(row, t, floats, doubles, ids, patched):
    work = divided(row.shape[0], floats, doubles, ids, *unedited())
    top, _, _ = first.read_and_measure(row, t, work.maxima, work.tail, work.sums, work.gaps)
    return first.entropy(top, t, work.maxima, work.sums, work.gaps)


def lines():
    """Rows of several shapes, some with holes, and offsets that float32 feels."""
    rng = np.random.default_rng(4)
    for size in (300, 6021, 50_257):
        for spread in (0.1, 0.8, 3.0, 12.0):
            for offset in (0.0, -7.3, 40.0, 900.0):
                row = (rng.normal(size=size) * spread + offset).astype(np.float32)
                yield row
                holed = row.copy()
                holed[rng.random(size) < 0.6] = -np.inf
                yield holed


def test_sums_from_the_first_look_are_within_their_bound(record_property):
    worst = 0.0
    for row in lines():
        for t in (0.3, 1.0, 4.0):
            rough, exact = (weighed(row, t, *memory(len(row)), flag) for flag in (False, True))
            counts = exact > exact.max() * 2.0**-60
            worst = max(worst, float(np.abs(rough[counts] / exact[counts] - 1).max()))
    record_property("worst", f"{worst:.2e} of {ROUGH_SUM:.2e}")
    assert worst < ROUGH_SUM


def test_the_rough_entropy_is_within_its_own_bound(record_property):
    """Against float64 sums; the bound comes out of the rough sums themselves."""
    worst, widest = 0.0, 0.0
    for row in lines():
        for t in (0.3, 1.0, 4.0):
            found, most, doubt, off = measured(row, t, *memory(len(row)))
            d = (row[np.isfinite(row)].astype(np.float64) - np.float64(row.max())) / t
            w = np.exp(d)
            true = math.log(w.sum()) - (w * d).sum() / w.sum()
            assert abs(found - true) <= doubt, (len(row), t, found, true)
            assert abs(most - 1 / w.sum()) <= off
            worst, widest = max(worst, abs(found - true) / doubt), max(widest, doubt)
    record_property("worst", f"{worst:.2f} of its bound, which was {widest:.1e} nats at most")
    assert widest < 1e-4  # a bound that says nothing would hold, too


def test_a_chunk_far_below_the_others_does_no_harm():
    """Its sums are so small that no float64 would hold them on the scale of the row."""
    for deep in (-450.0, -620.0, -640.0, -690.0, -2000.0):
        row = np.full(1024, -3000.0, np.float32)
        row[:100] = np.linspace(-3, 0, 100)
        row[200] = deep
        found, _, doubt, _ = measured(row, 1.0, *memory(len(row)))
        w = np.exp(row[:100].astype(np.float64))
        true = math.log(w.sum()) - (w * row[:100]).sum() / w.sum()
        assert abs(found - true) <= doubt < 1e-5, deep


def test_shares_drift_with_the_temperature_by_no_more_than_stated(record_property):
    """Upper sets, lower sets, sets in token order and sets at random, whatever the row."""
    rng = np.random.default_rng(3)
    tightest = 0.0
    for row in lines():
        d = row[np.isfinite(row)].astype(np.float64) - np.float64(row.max())
        for t, slip in ((0.7, 1e-6), (1.0, 1e-4), (3.0, 1e-5)):
            before, after = (np.exp(d / (t * factor)) for factor in (1.0, 1.0 + slip))
            order = np.argsort(-d)
            for ids in (order, order[::-1], np.arange(len(d)), rng.permutation(len(d))):
                run = np.cumsum(before[ids]) / before.sum()
                moved = np.abs(np.cumsum(after[ids]) / after.sum() - run)
                for place in rng.integers(0, len(d) - 1, 10):
                    bound = drift.py_func(slip, run[place], len(d), before.sum())
                    assert moved[place] <= bound + 1e-13
                    tightest = max(tightest, moved[place] / (bound + 1e-13))
    record_property("tightest", f"{tightest:.2f} of the bound")
    assert tightest > 0.1


@njit
def candidates(row, t, u, p, slip, floats, doubles, ids, patched):
    work = divided(row.shape[0], floats, doubles, ids, *unedited())
    n = row.shape[0]
    work.values[:n], work.ids[:n] = row, np.arange(n)
    top = row.max()
    slow = scales(top, t)[1]
    weigh_candidates(work.values, n, slow, work.weights)
    cut = nucleus_of(work.values, work.weights, n, top, p, slip, slow, work.spare, work.spare_weights)
    return draw(work.ids, work.weights, n, u, slip, slow), cut


def test_candidates_say_when_the_temperature_is_not_certain_enough():
    row = np.log(np.array([4.0, 3.0, 2.0, 1.0])).astype(np.float32)
    for slip, near, certain in ((0.0, 1e-6, True), (1e-4, 1e-6, False), (1e-4, 1e-2, True)):
        (token, _, sure), _ = candidates(row, 1.0, 0.7 - near, 0.5, slip, *memory(4))
        assert (token, sure) == (1, certain)
        (token, _, sure), _ = candidates(row, 1.0, 0.7 + near, 0.5, slip, *memory(4))
        assert (token, sure) == (2, certain)
        _, (cut, settled) = candidates(row, 1.0, 0.5, 0.7 - near, slip, *memory(4))
        assert (cut, settled) == (row[1], True) if certain else not settled
