"""Caches that share their buffers: old values stay true whatever grows from them, and nothing is copied needlessly."""

import gc
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from logitherm import load_model
from logitherm.models.places import Places

CLOSE = {"rtol": 0, "atol": 2e-4}


@pytest.fixture(params=["gpt2", "nutshell"])
def model(request):
    if request.param == "nutshell":
        return load_model()
    pytest.importorskip("transformers")
    return load_model(request.getfixturevalue("gpt2_folder"))


def buffers(cache):
    """Where the memory of a cache lies."""
    if hasattr(cache, "tensors"):
        return [t.untyped_storage().data_ptr() for t in cache.tensors]
    return [cache.array.__array_interface__["data"][0]]


def anew(model, rows):
    """Logits of each row, read alone from its first token."""
    return np.concatenate([np.asarray(model.prefill([row])[0]) for row in rows])


def grow(model, cache, rows, draw):
    new = [draw.randrange(300) for _ in rows]
    logits, cache = model.step(new, cache)
    rows = [[*row, token] for row, token in zip(rows, new, strict=True)]
    np.testing.assert_allclose(logits, anew(model, rows), **CLOSE)
    return cache, rows


def start(model, draw, rows):
    prompts = [[draw.randrange(300) for _ in range(draw.randint(1, 9))] for _ in range(rows)]
    return model.prefill(prompts)[1], prompts


@pytest.mark.parametrize("seed", range(4))
def test_any_value_that_is_alive_stays_true(model, seed):
    """A random family of values, each of which may be grown, taken from, cropped, joined or forgotten at any time."""
    draw = random.Random(seed)
    family = [start(model, draw, 3)]
    for _ in range(60):
        cache, rows = draw.choice(family)
        kind = draw.choice(["grow", "grow", "grow", "take", "join", "crop", "crop all", "forget"])
        if kind == "grow":
            cache, rows = grow(model, cache, rows, draw)
        elif kind == "take":
            places = draw.choices(range(len(rows)), k=draw.randint(1, len(rows)))
            cache, rows = cache.take(places), [rows[place] for place in places]
        elif kind == "join" and len(rows) < 5:
            other, others = draw.choice([draw.choice(family), start(model, draw, 1)])
            cache, rows = cache.join(other), rows + others
        elif kind == "crop":
            cut = [draw.randint(1, len(row)) for row in rows]
            cache, rows = cache.crop(cut), [row[:n] for row, n in zip(rows, cut, strict=True)]
        elif kind == "crop all" and min(map(len, rows)) > 1:
            cache, rows = cache.crop([len(row) - 1 for row in rows]), [row[:-1] for row in rows]
        elif kind == "forget" and len(family) > 1:
            family.pop(draw.randrange(len(family)))
            continue
        family = [*family[-7:], (cache, rows)]
    for cache, rows in family:
        grow(model, cache, rows, draw)


def test_a_step_copies_nothing_while_there_is_room(model):
    _, cache = model.prefill([[1, 2, 3], [4]])
    seen = []
    for token in range(100):
        _, cache = model.step([token, token], cache)
        seen.append(tuple(buffers(cache)))
    assert len(set(seen)) <= 3
    assert len(set(seen[-30:])) == 1


def test_rows_leave_and_join_without_copying_the_others(model):
    draw = random.Random(5)
    cache, rows = start(model, draw, 4)
    cache, rows = grow(model, cache, rows, draw)
    for _ in range(10):
        cache, rows = grow(model, cache, rows, draw)
    home = buffers(cache)
    for gone in (0, 2, 3):
        stay = [place for place in range(4) if place != gone]
        if gone < 3:
            stay = [stay[-1] if place == gone else place for place in range(3)]  # the last takes the free place
        cache, rows = cache.take(stay), [rows[place] for place in stay]
        cache, rows = grow(model, cache, rows, draw)
        other, others = start(model, draw, 1)
        cache, rows = cache.join(other), rows + others
        assert buffers(cache) == home
        cache, rows = grow(model, cache, rows, draw)
        assert buffers(cache) == home


def test_rows_side_by_side_stay_where_they_are_even_if_the_others_live_on(model):
    _, cache = model.prefill([[1, 2], [3], [4, 5]])
    _, cache = model.step([6, 7, 8], cache)
    assert buffers(model.step([9, 9], cache.take([1, 2]))[1]) == buffers(cache)
    assert buffers(model.step([9, 9], cache.take([0, 2]))[1]) != buffers(cache)


def test_two_continuations_of_one_value_part_ways(model):
    _, cache = model.prefill([[1, 2, 3]])
    _, cache = model.step([4], cache)
    _, one = model.step([5], cache)
    _, two = model.step([6], cache)
    assert buffers(one) == buffers(cache) != buffers(two)
    del one
    gc.collect()
    _, three = model.step([7], cache)  # nobody sees what the first wrote any more
    assert buffers(three) == buffers(cache)
    again = three.crop([4])
    del three
    gc.collect()
    assert buffers(model.step([8], again)[1]) == buffers(cache)


def test_a_row_that_left_a_nan_harms_nobody_who_takes_its_place(model):
    draw = random.Random(9)
    cache, rows = start(model, draw, 3)
    cache, rows = grow(model, cache, rows, draw)
    for buffer in cache.tensors if hasattr(cache, "tensors") else cache.array:
        np.asarray(buffer)[2] = np.nan
    cache, rows = cache.take([0, 1]), rows[:2]
    home = buffers(cache)
    other, others = model.prefill([[5]])[1], [[5]]
    cache, rows = cache.join(other), rows + others
    assert buffers(cache) == home
    grow(model, cache, rows, draw)


def test_threads_that_grow_one_value_never_write_the_same_place():
    def claims(places):
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: places.claim(places.slots, places.ends, (4, 4)), range(64)))

    for _ in range(50):
        places = Places((0, 1), (3, 3))
        made = claims(places)
        assert sum(place is not None for place in made) == 1


def test_a_row_may_be_taken_more_often_than_there_were_rows(model):
    cache, rows = start(model, random.Random(5), 1)
    for _ in range(2):
        cache, rows = grow(model, cache, rows, random.Random(6))
    grow(model, cache.take([0, 0, 0]), rows * 3, random.Random(7))
