"""The solver of target_entropy and the budgets, on functions whose steps can be followed by hand."""

import numpy as np
import pytest
import torch

from logitherm.rules.root import root


def followed(f, low, high, start, known=False, library=np.asarray):
    """Where f was asked, and the answer; one row."""
    asked = []

    def heard(x):
        asked.append(float(x[0, 0]))
        return f(x)

    at = [library(np.array([[v]], dtype=np.float64)) for v in (low, high, start)]
    return asked, float(root(heard, *at, library(np.array([[known]])))[0, 0])


def square(x):
    return x * x - 2, 2 * x


def steps(x):
    """Half below 0, half above it, the place between them being .3, and flat: only the bracket can find it."""
    return np.where(x < 0.3, -0.5, 0.5), 0 * x


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_newtons_steps_to_the_root_of_two(library):
    asked, x = followed(square, 0, 4, 1, library=library)
    assert asked[:4] == pytest.approx([1, 3 / 2, 17 / 12, 577 / 408], abs=1e-15)
    assert len(asked) == 6
    assert x == pytest.approx(np.sqrt(2), abs=1e-15)


def test_where_newton_would_leave_the_bracket_it_is_halved():
    """From 3 the tangent of arctan says 3 - 12.49 < -5, so the middle of [-5, 3]; from there it is a step to .571."""
    f = lambda x: (np.arctan(x), 1 / (1 + x * x))
    second = np.pi / 2 - 1
    third = second - np.arctan(second) * (1 + second**2)
    asked, x = followed(f, -5, 20, 3)
    assert asked[:4] == pytest.approx([3, -1, second, third], abs=1e-14)
    assert x == pytest.approx(0, abs=1e-12)
    mirrored, y = followed(f, -20, 5, -3)
    assert mirrored == [-place for place in asked]
    assert y == -x


def test_without_slope_the_bracket_is_halved_until_it_is_closed():
    asked, x = followed(steps, 0, 1, 0.5)
    assert asked[:6] == [1 / 2, 1 / 4, 3 / 8, 5 / 16, 9 / 32, 19 / 64]
    assert x == pytest.approx(0.3, abs=1e-16)
    assert len(asked) < 60


def test_what_is_near_enough():
    assert followed(lambda x: (1e-12 + 0 * x, 1 + 0 * x), 0, 1, 0.5) == ([0.5], 0.5)
    assert len(followed(lambda x: (2e-12 + 0 * x, 1 + 0 * x), 0, 1, 0.5)[0]) > 1
    assert followed(lambda x: (0 * x, 0 * x), 0, 1, 0.5) == ([0.5], 0.5)  # no slope is no step either


def test_the_ends():
    assert followed(lambda x: (x - 2, 1 + 0 * x), 0, 1, 1) == ([1.0], 1.0)  # negative even at high
    assert followed(square, 0, 4, 3, known=True) == ([], 3.0)


def test_it_ends_after_a_hundred_passes():
    """A function that is one everywhere halves the bracket each time."""
    asked, x = followed(lambda x: (1 + 0 * x, 0 * x), 0, 1, 1)
    assert len(asked) == 100
    assert x == 2.0**-100


def test_a_row_that_is_solved_stays_while_others_go_on():
    """The roots of 2, 1 (where it begins), 3; a fourth row is known, though its value is not 0."""
    of = np.array([[2.0], [1.0], [3.0], [7.0]])
    one = np.ones((4, 1))
    x = root(lambda x: (x * x - of, 2 * x), 0 * one, 4 * one, one, np.array([[False], [False], [False], [True]]))
    alone = [followed(lambda x, a=a: (x * x - a, 2 * x), 0, 4, 1)[1] for a in (2, 1, 3)]
    assert x[:, 0].tolist() == [*alone, 1.0]
    assert alone[1] == 1.0


def test_a_step_too_small_to_move_is_no_root():
    """A slope of 1e34 makes Newton's first step 1e-17, which leaves 1 as it is; the root is at a quarter."""
    _, x = followed(lambda x: (1e17 * (x - 0.25), 1e34 + 0 * x), 0, 1, 1)
    assert x == pytest.approx(0.25, abs=1e-15)
