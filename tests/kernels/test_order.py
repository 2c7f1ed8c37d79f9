"""The rules of `kernels.cpu.order`, and conformal, where they have to look closely: far down, or at a bound."""

import numpy as np
import pytest

from logitherm import parse
from logitherm.arrays import entropy
from logitherm.kernels.codes import ASK, FINE
from logitherm.kernels.cpu import workspace
from logitherm.kernels.cpu.chain import UNCUT
from logitherm.kernels.cpu.largest import first_k
from logitherm.kernels.cpu.rows import read
from logitherm.kernels.cpu.weights import LOWEST
from logitherm.kernels.cpu.workspace import divided
from tests.kernels.test_cut import kernel, rows


def kept(recipe, row):
    """How many tokens the plain rules keep."""
    sampler = parse(recipe)
    return int(np.isfinite(sampler.apply(row[None].astype(np.float64), sampler.start([[]], seed=1))).sum())


def served(recipe, row):
    """How many the kernel keeps; None if it leaves the row to the plain rules."""
    outcome, _, _, count, *_ = kernel(recipe, row, 0.5)
    assert outcome in (FINE, ASK)
    left = int((row > -np.inf).sum()) if count == UNCUT else count
    return left if outcome == FINE else None


@pytest.mark.parametrize("size", [9000, 50257])
def test_first_k_finds_any_number_of_tokens(size):
    """More than there are chunks, too, and ties with the last; a place to begin never costs one."""
    none = np.empty(0)
    rng = np.random.default_rng(size)
    abyss = np.where(rng.random(size) < 0.1, rng.random(size), -1e6).astype(np.float32)
    for name, row in {**rows(size, rng), "abyss": abyss}.items():
        memory = workspace.memory(size, True)
        work = divided(size, *memory[:3], np.empty(0, np.int32), none.astype(np.float32), none, none)
        _, chunks, _ = read(row, work.maxima, work.tail)
        live = np.sort(row[row > -np.inf])[::-1]
        for k in (1, 60, *range(71, 2200, 31), size // 4 - 1, size // 4, size - 1):
            n = first_k(row, work.tail, work.maxima, chunks, LOWEST, k, work.values, work.ids, work.spare)
            expected = (live >= live[k - 1]).sum() if k <= len(live) else len(live)
            assert n == expected, (name, k)
            assert np.array_equal(np.sort(row[work.ids[:n]]), np.sort(live)[-n:])


def test_a_place_to_begin_is_near(gpt2):
    """On a real row hardly more tokens than wanted are read."""
    row = gpt2[0]
    memory = workspace.memory(len(row))  # room for an eighth: more would be told as OVERFULL
    for k in (500, 1000, 2000, 4000, 8000):
        outcome, _, _, count, *_ = kernel(f"top_k({k})", row, 0.5, memory=memory)
        assert (outcome, count) == (FINE, k)


@pytest.mark.parametrize(("recipe", "depth"), [("top_h({})", 3000), ("tfs({})", 300)])
def test_cuts_of_any_depth(recipe, depth):
    """Down a rough slope: the deeper the cut, the more of it is looked at, 64 tokens, 256, 1,024, 4,096."""
    rng = np.random.default_rng(0)
    row = (rng.permutation(-np.arange(20_000) / depth) - rng.random(20_000)).astype(np.float32)
    seen = {}
    for part in [*np.linspace(0.05, 0.95, 31), 0.985, 0.99, 0.995]:
        true, found = kept(recipe.format(part), row), served(recipe.format(part), row)
        assert found in (true, None), part
        seen[true] = found is not None
    for low, high in ((0, 64), (64, 256), (256, 1024), (1024, 4096)):
        there = [served for true, served in seen.items() if low < true <= high]
        assert sum(there) > 0.5 * len(there) > 0
    assert not any(served for true, served in seen.items() if true > 4096)


def test_the_bends_that_were_not_looked_at_are_counted():
    """A hundred tokens, then a plateau of noise that holds half of the bend: the first 64 alone would keep too few."""
    rng = np.random.default_rng(3)
    row = np.full(20_000, -40.0)
    row[:100] = np.linspace(0.0, -2.0, 100)
    row[100:2000] = -4.0 - rng.random(1900) * 2
    row = rng.permutation(row).astype(np.float32)
    for z in np.linspace(0.02, 0.99, 98):
        recipe = f"tfs({z:.3f})"
        assert served(recipe, row) in (kept(recipe, row), None), recipe


def test_the_last_place_of_what_is_left_never_stays():
    row = np.full(9000, -np.inf, np.float32)
    row[[5, 100, 101, 7000]] = np.log([0.5, 0.25, 0.15, 0.1])
    for recipe, count in (("tfs(0.9999995)", 3), ("tfs(0.99)", 2), ("tfs(0.5)", 1), ("top_k(3) | tfs(0.9999995)", 2)):
        assert kept(recipe, row) == served(recipe, row) == count
    row[101] = row[7000] = -np.inf
    assert kept("tfs(0.1)", row) == 2  # fewer than three are left as they are
    assert kernel("tfs(0.1)", row, 0.99)[1] == 100


def test_top_h_by_hand():
    row = np.full(9000, -np.inf, np.float32)
    row[[5, 100, 101, 7000]] = np.log([0.4, 0.3, 0.2, 0.1])
    for recipe, count in (
        ("top_h(0.6)", 2),
        ("top_h(0.4)", 1),
        ("top_h(0.9)", 3),
        ("top_h(0.9, form='transformers')", 3),
        ("top_h(0.6, form='transformers')", 2),
        ("top_k(3) | top_h(0.9)", 2),
    ):
        assert kept(recipe, row) == served(recipe, row) == count, recipe


def test_a_bound_that_is_met_is_left_to_the_plain_rules():
    """And near it the entropy is computed exactly."""
    row = (np.random.default_rng(5).normal(size=9000) * 2).astype(np.float32)
    down = np.sort(row.astype(np.float64))[::-1]
    for count in (2, 5, 90):
        met = float(entropy(down[None, :count])[0, 0] / entropy(down[None])[0, 0] / (1 + 1e-6))
        for off, exact in ((1e-3, False), (-1e-3, False), (1e-8, True), (-1e-8, True)):
            recipe = f"top_h({met * (1 + off)!r})"
            assert served(recipe, row) == kept(recipe, row) == (count if off > 0 else count - 1)
            assert kernel(recipe, row, 0.5)[-1] == exact
        assert served(f"top_h({met!r})", row) is None
    p = np.exp(down[:100]) / np.exp(down[:100]).sum()
    terms = np.cumsum(-p * np.log(p))
    met = float(terms[4] / terms[-1] / (1 + 1e-6))
    for off in (1e-9, -1e-9):
        recipe = f"top_h({met * (1 + off)!r}, form='transformers')"
        assert served(recipe, row) == kept(recipe, row) == (5 if off > 0 else 4)
    assert served(f"top_h({met!r}, form='transformers')", row) is None


def test_an_entropy_of_hardly_anything_is_rounding():
    """Of two tokens 36 apart: 8e-15 nats, to which a sum in float64 may add a tenth or take it away."""
    for gap in np.linspace(20, 45, 101):
        row = np.array([7.0, 7.0 - gap], np.float32)
        for recipe in ("top_h(0.8)", "top_h(0.99)", "top_h(0.9, form='transformers')", "tfs(0.5)"):
            assert served(recipe, row) in (kept(recipe, row), None), (recipe, gap)
        h = float(entropy(row[None].astype(np.float64))[0, 0])
        recipe = f"conformal([0.3, 1.0], edges=[{h * 1.1!r}])"
        assert served(recipe, row) in (kept(recipe, row), None), gap


def test_ties_with_the_last_stay_and_count_once():
    rng = np.random.default_rng(6)
    row = rng.permutation(np.round(-np.arange(9000) / 30) / 8).astype(np.float32)
    for alpha in np.linspace(0.03, 1.0, 20):
        for form in ("paper", "transformers"):
            recipe = f"top_h({alpha:.3f}, form='{form}')"
            assert served(recipe, row) in (kept(recipe, row), None), recipe
    for recipe in ("top_h(0.01)", "top_h(0.001, form='transformers')"):
        assert served(recipe, np.zeros(9000, np.float32)) == 9000


def test_transformers_form_never_keeps_more_than_a_hundred():
    row = np.random.default_rng(1).permutation(-np.arange(9000) / 1000).astype(np.float32)
    recipe = "top_h(1.0, form='transformers')"
    assert kept(recipe, row) == served(recipe, row) == 100


def test_conformal_takes_the_mass_of_its_range():
    rng = np.random.default_rng(2)
    for width in (0.5, 2.0, 4.0, 9.0):
        row = (rng.normal(size=9000) * width).astype(np.float32)
        h = float(entropy(row[None].astype(np.float64))[0, 0])
        for edges in ([h + 0.1], [h - 0.1], [h - 0.2, h - 0.1], [h - 0.1, h + 0.1], [h + 0.1, h + 0.2, h + 0.3]):
            recipe = f"conformal({[0.3, 0.6, 0.9, 0.99][: len(edges) + 1]}, edges={edges})"
            assert served(recipe, row) == kept(recipe, row), recipe


def test_a_range_whose_mass_is_one_keeps_all():
    row = np.random.default_rng(7).normal(size=9000).astype(np.float32)
    assert served("conformal([1.0, 0.5], edges=[20.0])", row) == 9000
    assert not kernel("conformal([1.0, 0.5], edges=[20.0])", row, 0.5)[-1]


def test_an_entropy_at_an_edge_is_computed_exactly_or_left():
    row = (np.random.default_rng(4).normal(size=9000) * 2).astype(np.float32)
    h = float(entropy(row[None].astype(np.float64))[0, 0])
    for edge, exact in ((h + 1e-3, False), (h - 1e-3, False), (h + 1e-8, True), (h - 1e-8, True)):
        recipe = f"conformal([0.3, 0.9], edges=[{edge!r}])"
        assert served(recipe, row) == kept(recipe, row)
        assert kernel(recipe, row, 0.5)[-1] == exact
    assert served(f"conformal([0.3, 0.9], edges=[{h!r}])", row) is None


def test_ranges_beyond_room_are_plain():
    masses = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert parse(f"conformal({masses[:4]}, edges=[1.0, 2.0, 3.0])").plan().kernel == "cut"
    for verb in ("step", "apply"):
        assert parse(f"conformal({masses}, edges=[1.0, 2.0, 3.0, 4.0])").plan(verb).kernel is None
