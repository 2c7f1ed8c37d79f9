"""Characters and stop strings, however the bytes and texts are cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logitherm import RecipeError
from logitherm.generation.detokenise import Detokeniser
from logitherm.generation.stop import StopStrings


def cut(data, places):
    ends = [*sorted(p for p in places if p < len(data)), len(data)]
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@given(text=st.text(max_size=40), places=st.lists(st.integers(0, 160)))
def test_characters_are_never_split(text, places):
    characters = Detokeniser()
    pieces = [characters.feed(part) for part in cut(text.encode(), places)]
    assert "".join(pieces) == text
    assert all("\ufffd" not in p or "\ufffd" in text for p in pieces)


def test_bytes_that_are_no_text():
    characters = Detokeniser()
    assert characters.feed(b"a\xffb") == "a\ufffdb"
    assert characters.feed("é".encode()[:1]) == ""
    assert characters.feed(b"x") == "\ufffdx"
    assert characters.feed("🐭".encode()[:3]) == ""


def earliest(text, strings):
    """What should come out: the text before the stop string that ends first, the longest of those that end there."""
    for end in range(len(text) + 1):
        ending = [s for s in strings if text[:end].endswith(s)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(
    text=st.text("ab\n", max_size=14),
    strings=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
    places=st.lists(st.integers(0, 14)),
)
def test_stop_strings_across_any_borders(text, strings, places):
    ends = StopStrings(strings)
    shown = ""
    expected, found = earliest(text, strings)
    for piece in cut(text, places):
        shown += ends.feed(piece)
        assert expected.startswith(shown)  # nothing is ever shown that must be taken back
    if ends.found is None:
        shown += ends.flush()
    assert (shown, ends.found) == (expected, found)


@pytest.mark.parametrize(
    ("strings", "text", "shown", "found"),
    [
        (["b", "d"], "abcd", "a", "b"),
        (["d", "b"], "abcd", "a", "b"),
        (["c", "bc", "abc"], "xabcx", "x", "abc"),
        (["abc", "bc", "c"], "xabcx", "x", "abc"),
        (["abcd", "bc"], "abcd", "a", "bc"),
        (["cde", "z"], "abcd", "abcd", None),
    ],
)
def test_the_string_that_ends_first_counts_and_the_longest_of_those(strings, text, shown, found):
    for pieces in ([text], list(text)):
        ends = StopStrings(strings)
        got = "".join(map(ends.feed, pieces))
        assert (got + ("" if ends.found else ends.flush()), ends.found) == (shown, found)


def test_text_is_held_back_only_while_it_may_begin_a_stop_string():
    ends = StopStrings(["END"])
    assert [ends.feed(c) for c in "a EE"] == ["a", " ", "", "E"]
    assert ends.feed("N") == ""
    assert ends.feed("x") == "ENx"


@pytest.mark.parametrize("wrong", ["abc", [""], [1], ["a", None]])
def test_wrong_stop_strings(wrong):
    with pytest.raises(RecipeError, match="stop must be a list of non-empty strings; got"):
        StopStrings(wrong)
