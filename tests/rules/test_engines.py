"""What grammar engines are told of a vocabulary, and their masks, bit by bit."""

import numpy as np
import pytest

from logitherm import RecipeError
from logitherm.rules.engines import ENGINES, Words, llguidance, pieces


class Spelt:
    """A vocabulary whose texts begin with a token of their own, and that splits a and b alone."""

    size, eos = 7, (5,)
    bytes = b"<s>", b"a", b"b", b"ab", b"abc", b"</s>", b"\xc3"

    def encode(self, text):
        return [0, *(1 + "ab".index(c) for c in text if c in "ab")]

    def bytes_of(self, token):
        return self.bytes[token] if token else b""


class Signs:
    """As many signs as wanted, the last of which ends a text."""

    def __init__(self, size):
        self.size, self.eos = size, (size - 1,)

    def encode(self, text):
        return [ord(c) - 0x4E00 for c in text]

    def bytes_of(self, token):
        return chr(0x4E00 + token).encode()


def test_what_tokens_add_to_a_text():
    assert pieces(Spelt()) == [b"", b"a", b"b", b"ab", b"abc", b"", b"\xc3"]
    words = Words(Spelt())
    assert words.tokens == [*pieces(Spelt()), b""]  # and an end of its own
    assert words.eos_token_id == 7
    assert words.special_token_ids == [0, 5, 7]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("ab", [1, 2]),  # as the tokenizer splits it, without the token that texts begin with
        (b"ab", [1, 2]),
        ("", []),
        ("abc", [4]),  # of this the tokenizer makes a and b: the longest first
        ("abcab!", [4, 3]),  # nothing spells the rest
        (b"abab\xc3", [3, 3, 6]),  # no text
        (b"a\xc3b", [1, 6, 2]),
        (b"\xc3", [6]),
        (b"!", []),
    ],
)
def test_how_a_text_is_spelt(text, ids):
    assert Words(Spelt())(text) == ids


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [2, 31, 32, 33, 63, 64, 65, 1024])
def test_masks_of_vocabularies_of_any_size(engine, size):
    """Around the words of 32 bits in which engines count: every sign but the first and the last, and only those."""
    start, _ = ENGINES[engine]
    signs = Signs(size)
    matcher = start("regex", f"[{chr(0x4E00 + 1)}-{chr(0x4E00 + size)}]*", signs)
    assert matcher.allowed().shape == (size,)
    assert np.flatnonzero(matcher.allowed()).tolist() == list(range(1, size - 1))
    assert matcher.ends()


def test_what_an_engine_says_is_one_line_of_300_signs_at_most():
    with pytest.raises(RecipeError, match="says: ") as caught:
        llguidance("regex", "\n".join("(" * 400), Signs(4))
    said = str(caught.value).partition("says: ")[2]
    assert len(said) == 300
    assert "\n" not in said


def test_an_engine_writes_nothing_on_the_terminal(capfd):
    matcher = llguidance("regex", f"{chr(0x4E00)}*", Signs(4)).after(1)  # which it does not allow
    assert not matcher.allowed().any()
    assert capfd.readouterr() == ("", "")
