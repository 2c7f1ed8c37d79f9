import numpy as np
import pytest

from logitherm import RecipeError, Sampler, uniform
from logitherm.rng import lane
from logitherm.rules import Xtc
from tests.rows import kept, logs

FOUR = logs(0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Xtc(1.0, 0.15, protect=[]), [0, 0, 1, 1]),
        (Xtc(1.0, 0.15, protect=[1]), [1, 1, 1, 1]),  # it would go, so nothing does
        (Xtc(1.0, 0.15, protect=[2, 3]), [0, 0, 1, 1]),  # these stay anyhow
        (Xtc(1.0, 0.2, protect=[]), [0, 0, 1, 1]),  # exactly at the threshold
        (Xtc(1.0, 0.21, protect=[]), [0, 1, 1, 1]),
        (Xtc(1.0, 0.35, protect=[]), [1, 1, 1, 1]),  # one alone reaches it: nothing is left out
        (Xtc(1.0, 0.6, protect=[]), [1, 1, 1, 1]),
        (Xtc(0.0), [1, 1, 1, 1]),
    ],
    ids=str,
)
def test_four_tokens(rule, expected):
    assert kept(rule, FOUR) == [bool(x) for x in expected]


def test_edges():
    rule = Xtc(1.0, 0.05, protect=[])
    assert kept(rule, [[0.0] * 5]) == [True] * 5  # all tie with the least likely
    assert kept(rule, logs(0.5, 0.2, 0.2, 0.1)) == [False, False, False, True]
    assert kept(Xtc(1.0, 0.15, protect=[]), logs(0.5, 0.2, 0.2, 0.1)) == [False, True, True, True]
    assert kept(rule, [[-np.inf, 3.0, -np.inf]]) == [False, True, False]
    assert kept(rule, [[7.0]]) == [True]
    assert kept(Xtc(1.0, 0.15, protect=[]), np.concatenate([FOUR, [[-np.inf]]], axis=1)) == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_coin_is_of_its_lane_and_falls_as_often_as_asked():
    rows, chance = 4000, 0.3
    sampler = Sampler(Xtc(chance, 0.15, protect=[]))
    state = sampler.start([[]] * rows, seed=[*range(rows)])
    acted = ~np.isfinite(sampler.apply(np.repeat(FOUR, rows, axis=0), state))[:, 0]
    assert acted.tolist() == [uniform(seed, 0, lane("xtc#1")) < chance for seed in range(rows)]
    assert abs(acted.mean() - chance) < 0.03  # four standard deviations
    later = sampler.step(np.repeat(FOUR, rows, axis=0), state).state
    again = ~np.isfinite(sampler.apply(np.repeat(FOUR, rows, axis=0), later))[:, 0]
    assert (again != acted).any()


def test_a_chance_and_a_threshold_a_row():
    sampler = Sampler(Xtc((1.0, 0.0, 1.0), (0.15, 0.15, 0.25), protect=[]))
    out = sampler.apply(np.repeat(FOUR, 3, axis=0), sampler.start([[]] * 3, seed=1))
    assert np.isfinite(out).tolist() == [[False, False, True, True], [True] * 4, [False, True, True, True]]


class Words:
    """A vocabulary of four: a start token, a word, a line break, an end."""

    size, eos = 4, (3,)

    def encode(self, text):
        return [0, *({"\n": [2]}.get(text, [1]))]

    def bytes_of(self, token):
        return [b"", b"word", b"\n", b""][token]


def test_what_is_protected_comes_from_the_vocabulary():
    assert Xtc(0.5).bind(Words()).protect == (2, 3)
    assert Xtc(0.5, protect=[1]).bind(Words()).protect == (1,)

    class Breakless(Words):
        def encode(self, text):
            return [0, 1]

    assert Xtc(0.5).bind(Breakless()).protect == (3,)
    with pytest.raises(RecipeError, match=r"Xtc\.protect must say which ids never go: protect=\[…\]"):
        kept(Xtc(0.5), FOUR)
    with pytest.raises(RecipeError, match=r"Xtc\.protect must be ids in \[0, 4\), the vocabulary; got 9"):
        kept(Xtc(1.0, protect=[9]), FOUR)
