"""Any function as a model: without memory, with its own, and the toy."""

import numpy as np
import pytest
import torch

from logitherm import CallableModel, LogitsError, generate, load_model
from logitherm.models.toy import Bytes, Toy

TEXT = "The cat slept on the mat. The dog"


def next_byte(ids):
    """A model without memory: it recites TEXT after the last byte's first place."""
    logits = np.full(257, -20.0)
    logits[TEXT.encode()[(len(ids)) % len(TEXT)]] = 0.0
    return logits


def reciter(ids, memory):
    """The same with memory: how many bytes were read; checks that each byte comes once, as S3's loop did not."""
    read = (memory or 0) + len(ids)
    assert memory is None or len(ids) == 1
    return torch.from_numpy(next_byte([0] * read)), read


@pytest.mark.parametrize("model", [CallableModel(next_byte, Bytes()), CallableModel(reciter, Bytes(), stateful=True)])
def test_a_function_is_a_model(model):
    text = generate("The cat", "greedy", model=model, max_new_tokens=15)
    assert text.text == TEXT[7:22]
    both = generate(["The cat", "The cat slept"], "greedy", model=model, max_new_tokens=6, batch_size=1)
    assert [t.text for t in both] == [" slept", " on th"]


@pytest.mark.parametrize("model", [Toy(), CallableModel(reciter, Bytes(), stateful=True)])
def test_caches_take_join_and_crop(model):
    ids = [list(b"The cat"), list(b"The dog sle")]
    first, cache = model.prefill(ids)
    second, after = model.step([32, 33], cache)
    np.testing.assert_array_equal(model.step([33, 32], cache.take([1, 0]))[0][1], model.prefill([[*ids[0], 32]])[0][0])
    np.testing.assert_array_equal(model.step([32, 33], after.crop([7, 11]))[0], second)
    joined = cache.take([1]).join(cache.take([0]))
    np.testing.assert_array_equal(
        model.step([33, 32], joined)[0], second[[1, 0]] if isinstance(second, np.ndarray) else second.flip(0)
    )
    assert first.shape == (2, 257)


def test_wrong_logits_are_named():
    model = CallableModel(lambda ids: np.zeros(5), Bytes(), name="mine")
    with pytest.raises(LogitsError, match=r"mine must return logits of shape \(257,\); got \(5,\)"):
        generate("a", model=model)


def test_the_toy_speaks():
    toy = load_model("toy")
    assert toy is load_model("toy")
    text = generate("The cat ", "temperature(0.3)", model=toy, seed=1, max_new_tokens=200)
    assert text.text.startswith(("slept", "came", "woke", "dreamt"))
    mouse = generate("the na", "greedy", model=toy, max_new_tokens=5)
    assert mouse.text == "ïve "  # two bytes make the first character
    assert Bytes().encode("é") == [0xC3, 0xA9]
