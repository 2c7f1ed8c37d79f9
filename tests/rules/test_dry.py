"""DRY by hand, against a slow reference, and its cost counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logitherm import RecipeError, Sampler, generate, load_model, parse
from logitherm.rules import Dry
from logitherm.rules.dry import by_first, longest, repeats, unbroken
from tests.rules.test_history import after


def slowly(tokens, allowed, breakers):
    """The same as `longest`, in three loops, from the definition."""
    n = len(tokens)
    limit = n
    for start in range(n - 1, -1, -1):  # the last place at which a breaker begins that is complete
        ended = [len(b) for b in breakers if tuple(tokens[start : start + len(b)]) == tuple(b)]
        if ended:
            limit = n - start - max(ended)
            break
    found = {}
    if limit < allowed:
        return found
    for place in range(1, n):  # the token here, were it drawn, would go on with the repeat that ends before it
        r = 0
        while r < place and r < limit and tokens[place - 1 - r] == tokens[n - 1 - r]:
            r += 1
        if r >= allowed and (tokens[place],) not in {tuple(b) for b in breakers}:
            found[tokens[place]] = max(r, found.get(tokens[place], 0))
    return found


def test_the_example():
    text, flat = [0, 1, 2, 3, 0, 1, 2], [0.0] * 4
    assert after(Dry(0.8, breakers=[]), flat, text) == [0.0, 0.0, 0.0, pytest.approx(-1.4, abs=1e-15)]
    assert after(Dry(0.8, breakers=[[1]]), flat, text) == flat
    assert after(Dry(0.8, breakers=[[1]], allowed_length=1), flat, text) == [0.0, 0.0, 0.0, -0.8]


def test_the_example_in_llama_cpps_source():
    """ "a b c c b c y a b c": c would go on with 3 tokens, b with 1, y with 2; llama-sampler.cpp, step 3."""
    a, b, c, y = range(4)
    text = [a, b, c, c, b, c, y, a, b, c]
    assert longest(text, 1, {}) == {c: 3, b: 1, y: 2}
    assert longest(text, 2, {}) == {c: 3, y: 2}
    assert longest(text, 3, {}) == {c: 3}
    assert longest(text, 4, {}) == {}


tokens = st.lists(st.integers(0, 3), max_size=40)
broken = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple), max_size=3)


@given(text=tokens, allowed=st.integers(0, 5), breakers=broken)
def test_it_equals_the_slow_reference(text, allowed, breakers):
    assert longest(text, allowed, by_first(tuple(breakers))) == slowly(text, allowed, breakers)


@given(text=st.lists(st.integers(0, 1), min_size=1, max_size=80), times=st.integers(1, 4))
def test_it_equals_the_slow_reference_on_texts_that_repeat(text, times):
    assert longest(text * times, 2, {}) == slowly(text * times, 2, [])


class Counted(int):
    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return int(self) == int(other)

    __hash__ = int.__hash__


@pytest.mark.parametrize("pattern", [[0], [0, 1], [0, 0, 1], [0, 1, 0, 0, 1, 0, 1, 2]])
@pytest.mark.parametrize("n", [100, 1000, 4000])
def test_the_comparisons_grow_with_the_length(pattern, n):
    """At most two a token, on texts where comparing each place from anew would take about n² / 2."""
    text = [Counted(t) for t in (pattern * n)[:n]]
    Counted.compared = 0
    lengths = repeats(text)
    assert Counted.compared <= 2 * n
    assert lengths[len(pattern)] == n - len(pattern)


def test_breakers_of_several_tokens():
    breakers = by_first(((5, 6), (5,), (7, 8, 9)))
    assert unbroken([1, 5, 6, 2, 3], breakers) == 2  # the longest that begins there
    assert unbroken([1, 5, 2, 3], breakers) == 2
    assert unbroken([1, 7, 8, 9], breakers) == 0
    assert unbroken([1, 7, 8], breakers) == 3  # not complete
    assert unbroken([], breakers) == 0


def test_a_breaker_is_never_penalised_and_the_window_forgets():
    text = [0, 1, 2, 0, 1, 2, 0, 1]
    assert after(Dry(1.0, base=1.0, breakers=[]), [0.0] * 3, text) == [0.0, 0.0, -1.0]
    assert after(Dry(1.0, base=1.0, breakers=[[2]]), [0.0] * 3, text) == [0.0] * 3
    assert after(Dry(1.0, base=1.0, breakers=[], window=4), [0.0] * 3, text) == [0.0] * 3
    assert after(Dry(1.0, base=1.0, breakers=[], window=5), [0.0] * 3, text) == [0.0, 0.0, -1.0]
    assert after(Dry(1.0, base=1.0, breakers=[]), [0.0, 0.0], [9, 8, 9, 8, 9]) == [0.0, 0.0]  # ids beyond the logits


def test_a_very_long_repeat_stays_finite():
    x = after(Dry(1.0, base=10.0, breakers=[]), [0.0, 1.0], [0] * 500)
    assert x == [-(10.0**38), 1.0]


@pytest.mark.parametrize(("base", "most"), [(np.e, 88), (1.5, 218), (1.25, 397)])
def test_where_the_power_stops(base, most):
    """At the largest whole power that is at most e^88.7: 88.7 / log(base), rounded down."""
    assert after(Dry(1.0, base=base, breakers=[]), [0.0, 1.0], [0] * 500) == [-(base**most), 1.0]


def test_how_many_of_the_last_tokens_also_stand_earlier():
    assert repeats([]) == []
    assert repeats([5, 5, 5]) == [0, 2, 1]
    assert repeats([1, 2, 1, 2, 1]) == [0, 0, 3, 0, 1]
    assert longest([0, 1, 0, 1, 0], 3, {}) == {1: 3}  # all that may be looked at is as long as what it takes
    assert longest([0, 1, 0, 1, 0], 4, {}) == {}
    assert longest([0, 0], 2, {}) == {}


def test_an_id_just_beyond_the_logits():
    assert after(Dry(1.0, breakers=[]), [0.0, 0.0], [2, 1, 2, 1, 2, 1]) == [0.0, 0.0]


def test_long_breakers():
    """40 bytes may be a breaker, of which the first token and twenty more are looked at."""
    toy = load_model("toy").vocabulary
    assert Dry(0.8, breakers=["x" * 40]).bind(toy).breakers == ((120,) * 21,)
    assert Dry(0.8, breakers=["x" * 21]).bind(toy).breakers == ((120,) * 21,)
    assert Dry(0.8, breakers=["x" * 20]).bind(toy).breakers == ((120,) * 20,)


def test_texts_are_bound_to_the_vocabulary():
    toy = load_model("toy").vocabulary
    assert Dry(0.8).bind(toy).breakers == ((10,), (34,), (42,), (58,))
    assert Dry(0.8, breakers=["ab", [7, 7]]).bind(toy).breakers == ((7, 7), (97, 98))
    bound = Sampler(Dry(0.8).bind(toy))
    assert parse(str(bound)) == bound
    assert Dry(0.8, breakers=[]).bind(toy) == Dry(0.8, breakers=[])
    with pytest.raises(RecipeError, match=r"Dry\.breakers must be runs of ids by now"):
        after(Dry(0.8), [0.0, 0.0], [])


def test_a_bound_recipe_reads_as_itself():
    """The ids that a model's vocabulary gave stand in the text, as the ends of min_new_tokens do."""
    for model in ("toy", "nutshell"):
        bound = parse("dry(0.8) | xtc(0.5) | min_new_tokens(3)").bind(load_model(model).vocabulary)
        assert parse(str(bound)) == bound
        assert not any(isinstance(b, str) for b in bound.rules[0].breakers)
        assert bound.bind(load_model(model).vocabulary) == bound


def test_breakers_in_tokens_of_several_letters():
    """As llama.cpp reads them: a token with the breaker inside; one that ends as it begins, then the rest."""

    class Words:
        size, eos = 6, ()
        words = (b"<s>", b"a::b", b"x:", b":", b"y", b"::")

        def encode(self, text):
            return [0] + [{":": 3, "y": 4}[letter] for letter in text]

        def bytes_of(self, token):
            return self.words[token] if token else b""

    assert Dry(0.8, breakers=["::"]).bind(Words()).breakers == ((1,), (2, 3), (3, 3), (5,))


def test_it_breaks_loops_in_generation():
    plain = generate("The cat slept on the", "temperature(0)", model="toy", seed=1, max_new_tokens=200)
    broken = generate("The cat slept on the", "dry(4.0) | temperature(0)", model="toy", seed=1, max_new_tokens=200)
    assert plain.text != broken.text


@pytest.mark.parametrize("wrong", [[""], ["x" * 41], [[]], [[-1]], [[1.5]], "\n", [3]])
def test_wrong_breakers(wrong):
    with pytest.raises(RecipeError, match=r"Dry\.breakers must be"):
        Dry(0.8, breakers=wrong)


def test_rows_have_their_own_settings():
    sampler = Sampler(Dry((1.0, 0.0, 2.0), base=1.0, allowed_length=(1, 1, 2), breakers=[]))
    state = sampler.start([[0, 1, 0]] * 3, seed=0)
    assert sampler.apply(np.zeros((3, 2)), state).tolist() == [[0.0, -1.0], [0.0, 0.0], [0.0, 0.0]]
