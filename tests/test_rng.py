"""Philox-4x32-10 against the published known answers, and the numbers made of it."""

import numpy as np
import pytest
from scipy import stats

from logitherm.rng import lane, philox, uniform

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # the known-answer vectors of Random123 for philox4x32, 10 rounds
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, answer):
    assert philox(counter, key) == answer
    as_arrays = philox(tuple(np.array([c], np.uint64) for c in counter), tuple(np.array([k], np.uint64) for k in key))
    assert tuple(int(word[0]) for word in as_arrays) == answer


def test_where_the_bits_of_a_uniform_come_from():
    seed, position, number = 0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E
    assert uniform(seed, position, number) == ((0x94FDCCEB << 32 | 0xD16CFE09) >> 11) / 2**53


def test_uniforms_are_uniform_and_neighbours_are_independent():
    """Kolmogorov-Smirnov at 1e-4 for each of five streams, and no correlation between them beyond 5 sigma."""
    n = 20_000
    counts = np.arange(n, dtype=np.uint64)
    ones = np.ones(n, dtype=np.uint64)
    streams = [
        uniform(ones, counts),
        uniform(counts, ones),
        uniform(counts, ones, lane("xtc#1")),
        uniform(ones * 2, counts),
        uniform(ones, counts, lane("xtc#2")),
    ]
    for u in streams:
        assert stats.kstest(u, "uniform").pvalue > 1e-4
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 5 / n**0.5
    assert np.abs(np.corrcoef(streams) - np.eye(5)).max() < 5 / n**0.5


def test_lanes_are_fixed_for_ever_and_differ():
    assert lane("xtc#1") == 0xF585C9274CF3CC1F
    names = [f"{rule}#{i}" for rule in ("xtc", "draft", "mirostat", "top_p") for i in range(1, 65)]
    assert len({0, *map(lane, names)}) == 1 + len(names)
