import numpy as np
import pytest

from logitherm import MinP, TopK, TopP
from tests.rows import apply, kept, logs

FOUR = logs(0.4, 0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (TopK(1), [1, 0, 0, 0]),
        (TopK(2), [1, 1, 0, 0]),
        (TopK(4), [1, 1, 1, 1]),
        (TopP(0.65), [1, 1, 0, 0]),
        (TopP(0.75), [1, 1, 1, 0]),
        (TopP(0.05), [1, 0, 0, 0]),
        (TopP(1e-9), [1, 0, 0, 0]),
        (MinP(0.2), [1, 1, 1, 1]),
        (MinP(0.3), [1, 1, 1, 0]),
        (MinP(0.6), [1, 1, 0, 0]),
        (MinP(1.0), [1, 0, 0, 0]),
    ],
    ids=str,
)
def test_four_tokens(rule, expected):
    assert kept(rule, FOUR) == [bool(x) for x in expected]
    turned = np.ascontiguousarray(FOUR[:, ::-1])
    assert kept(rule, turned) == [bool(x) for x in expected[::-1]]


def test_what_stays_is_untouched():
    assert apply(TopK(2), FOUR)[0, :2].tolist() == FOUR[0, :2].tolist()
    assert apply(TopP(0.65), FOUR)[0, 2:].tolist() == [-np.inf, -np.inf]


def test_ties_at_the_cutoff_all_stay():
    tied = logs(0.3, 0.2, 0.2, 0.2, 0.1)
    assert kept(TopK(2), tied) == [True, True, True, True, False]
    assert kept(TopP(0.4), tied) == [True, True, True, True, False]
    assert kept(MinP(1.0), [[1.0, 1.0, 0.0]]) == [True, True, False]


def test_top_p_stops_where_the_mass_is_exactly_p():
    assert kept(TopP(0.5), logs(0.5, 0.3, 0.2)) == [True, False, False]
    assert kept(TopP(0.5 + 2e-6), logs(0.5, 0.3, 0.2)) == [True, True, False]


def test_critical_values_end_where_parameters_do():
    assert [int(TopK(1).critical(FOUR, token)[0, 0]) for token in range(4)] == [1, 2, 3, 4]
    assert float(MinP(0.1).critical(FOUR, 0)[0, 0]) == 1.0
    assert float(TopP(0.1).critical(FOUR, 0)[0, 0]) == 0.0
    assert TopP(0.5).critical(logs(0.5, 0.3, 0.2), 1)[0, 0] == pytest.approx(0.5 / (1 - 1e-6), abs=1e-12)


def test_top_p_counts_mass_among_what_it_receives():
    assert kept(TopK(2) | TopP(0.5), FOUR) == [True, False, False, False]  # .4/.7 reaches .5
    assert kept(TopP(0.5), FOUR) == [True, True, False, False]


@pytest.mark.parametrize(
    ("p", "rows"), [(0.5, [(0.6, 0.3, 0.1), (0.4, 0.2, 0.2, 0.2), (0.5, 0.25, 0.25)]), (0.1, [(0.7, 0.07, 0.23)])]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_min_p_keeps_a_token_whose_ratio_is_exactly_p(p, rows, dtype):
    for row in rows:
        assert kept(MinP(p), np.log([row]).astype(dtype)) == [x >= p * max(row) - 1e-9 for x in row]


def test_errors_name_the_parameter():
    for build, message in [
        (lambda: MinP(1.5), "MinP.p must be in [0, 1]; got 1.5"),
        (lambda: TopP(0), "TopP.p must be in (0, 1]; got 0"),
        (lambda: TopK(2.5), "TopK.k must be a whole number >= 0 (0 = off); got 2.5"),
        (lambda: TopP([0.5, 2]), "TopP.p must be in (0, 1]; got 2"),
    ]:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
            build()
        assert str(caught.value) == message


def test_numbers_are_kept_in_one_type():
    assert TopK(40.0) == TopK(np.int64(40)) == TopK(40)
    assert isinstance(TopK(40.0).k, int)
    assert TopP(np.array([0.5, 0.25])) == TopP((0.5, 0.25))
    assert repr(TopP(1)) == "TopP(p=1.0)"
