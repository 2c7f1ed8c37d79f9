"""Rules that look back or learn, against llama.cpp: the same tokens left, with the same probabilities to 1e-5.

llama.cpp's penalties and its dry count what was accepted, so here every token is drawn and none is a prompt's; their
window holds the whole text.
"""

import ctypes

import gguf
import llama_cpp
import numpy as np
import pytest

from logitherm import Sampler, parse
from logitherm.rules import Dry
from tests.engines.llama import Chain
from tests.rows import probabilities

CLOSE = 1e-5
LONG = 10_000
"""A window that holds every text here."""


def ours(sampler, batch, texts):
    """The probabilities (rows, vocabulary) after the sampler, where these tokens were drawn."""
    state = sampler.start([[]] * len(batch), seed=0)
    for tokens in np.transpose(texts):
        state = sampler.observe(batch, state, tokens).state
    return probabilities(sampler.apply(batch, state))


def theirs(make, batch, texts):
    found = []
    for row, tokens in zip(batch, texts, strict=True):
        with Chain(*make()) as chain:
            chain.accept(*tokens)
            found.append(chain.apply(row)[0])
    return np.stack(found)


def texts_for(batch, most):
    """A text of 30 tokens below `most` for each row."""
    return np.random.Generator(np.random.Philox(len(batch))).integers(0, most, size=(len(batch), 30))


# -- penalties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "numbers"),
    [
        ("repetition(1.3)", (1.3, 0.0, 0.0)),
        ("repetition(0.7)", (0.7, 0.0, 0.0)),
        ("frequency(0.4)", (1.0, 0.4, 0.0)),
        ("frequency(-0.2)", (1.0, -0.2, 0.0)),
        ("presence(1.5)", (1.0, 0.0, 1.5)),
        ("repetition(1.2) | frequency(0.3) | presence(0.5)", (1.2, 0.3, 0.5)),
    ],
)
def test_penalties(recipe, numbers, batches):
    for batch in batches:
        texts, size = texts_for(batch, 20), batch.shape[1]
        texts[:, -5:] = np.argsort(-batch)[:, :5]  # and the likeliest of each row, so that it shows
        a = ours(parse(recipe), batch, texts)
        b = theirs(lambda n=size: [llama_cpp.llama_sampler_init_penalties(n, LONG, *numbers)], batch, texts)
        assert np.abs(a - b).max() < CLOSE
        assert (np.abs(a - probabilities(batch)).max(axis=1) > 1e-3).mean() > 0.9


def test_a_prompt_counts_for_frequency_and_presence_there():
    """docs/differences.md: llama.cpp penalises whatever it accepted; ours what was drawn."""
    row = np.array([[2.0, 1.0, 0.5]], np.float32)
    with Chain(llama_cpp.llama_sampler_init_penalties(3, LONG, 1.0, 0.5, 0.25)) as chain:
        chain.accept(0, 0)
        got = chain.apply(row[0])[0]
    assert got == pytest.approx(probabilities(row - [1.25, 0, 0])[0], abs=CLOSE)
    sampler = parse("frequency(0.5) | presence(0.25)")
    assert np.array_equal(sampler.apply(row, sampler.start([[0, 0]], seed=0)), row)


# -- dry: llama.cpp reads its breakers from a vocabulary ---------------------------------------------------------------

WORDS = ["<unk>", "<s>", "</s>", *(chr(97 + i) for i in range(26)), "ab", "xyz", "zx"]


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory):
    """The pointer to a vocabulary of the 26 letters and three longer words, in a file without a model."""
    path = tmp_path_factory.mktemp("vocabulary") / "letters.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(WORDS)
    writer.add_token_scores([0.0] * len(WORDS))
    normal, unknown, control = gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL
    writer.add_token_types([unknown, control, control] + [normal] * (len(WORDS) - 3))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    options = llama_cpp.llama_model_default_params()
    options.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
    assert model
    yield llama_cpp.llama_model_get_vocab(model)
    llama_cpp.llama_model_free(model)


class Letters:
    """The same vocabulary for us; `encode` takes one letter at a time, as llama.cpp does where no merge scores more."""

    size, eos = len(WORDS), (2,)

    def bytes_of(self, token):
        return b"" if token < 3 else WORDS[token].encode()

    def encode(self, text):
        return [WORDS.index(letter) for letter in text]


@pytest.mark.parametrize("breakers", [[], ["a"], ["x"], ["xy"], ["xyz", "b"]], ids=" ".join)
@pytest.mark.parametrize(("allowed", "base", "window"), [(2, 1.75, None), (1, 1.3, None), (2, 1.75, 12)])
def test_dry(vocabulary, breakers, allowed, base, window):
    random = np.random.Generator(np.random.Philox(7))
    batch = (random.normal(size=(500, len(WORDS))) * 2).astype(np.float32)
    letters = [WORDS.index(word) for word in ("a", "b", "x", "y", "z", "ab", "xyz", "zx")]
    texts = random.choice(letters, size=(500, 40), p=[0.3, 0.3, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    texts[:100, 20:] = texts[:100, :20]  # long repeats
    rule = Sampler(Dry(0.8, base=base, allowed_length=allowed, window=window, breakers=breakers)).bind(Letters())
    array = (ctypes.c_char_p * len(breakers))(*[b.encode() for b in breakers])

    def make():
        last = LONG if window is None else window
        dry = llama_cpp.llama_sampler_init_dry(vocabulary, 0.8, base, allowed, last, array, len(breakers))
        return [dry]

    a, b = ours(rule, batch, texts), theirs(make, batch, texts)
    assert np.abs(a - b).max() < CLOSE
    assert (np.abs(a - probabilities(batch)).max(axis=1) > 1e-3).mean() > 0.04  # the rule acted


# -- streams: they draw, ours observes -------------------------------------------------------------------------------

STREAMS = {
    "mirostat(4.0, eta=0.3, surprise='sampled')": lambda n: [llama_cpp.llama_sampler_init_mirostat_v2(11, 4.0, 0.3)],
    "mirostat(2.0, eta=0.1, surprise='sampled')": lambda n: [llama_cpp.llama_sampler_init_mirostat_v2(5, 2.0, 0.1)],
    "mirostat(4.0, eta=0.3, version=1, surprise='sampled')": lambda n: [
        llama_cpp.llama_sampler_init_mirostat(n, 11, 4.0, 0.3, 100)
    ],
    "min_p(0.02) | adaptive_p(0.35, decay=0.8)": lambda n: [
        llama_cpp.llama_sampler_init_min_p(0.02, 1),
        llama_cpp.llama_sampler_init_adaptive_p(0.35, 0.8, 11),
    ],
    "top_k(40) | temperature(0.8) | adaptive_p(0.6)": lambda n: [
        llama_cpp.llama_sampler_init_top_k(40),
        llama_cpp.llama_sampler_init_temp(0.8),
        llama_cpp.llama_sampler_init_adaptive_p(0.6, 0.9, 3),
    ],
}


@pytest.mark.parametrize("source", ["random", "gpt2"])
@pytest.mark.parametrize("recipe", STREAMS)
def test_fifty_tokens(recipe, source, rows, gpt2):
    lines = rows[:50] if source == "random" else np.stack([gpt2[i % 3] for i in range(50)])
    sampler = parse(recipe)
    state = sampler.start([[]], seed=0)
    told = set()
    with Chain(*STREAMS[recipe](lines.shape[1])) as chain:
        for row in lines:
            a = probabilities(sampler.apply(row[None], state))[0]
            b, token = chain.apply(row)
            assert np.array_equal(a > 0, b > 0)
            assert np.abs(a - b).max() < CLOSE
            chain.accept(token)
            state = sampler.observe(row[None], state, [token]).state
            told.add(round(float(np.ravel(state.memory[-1])[0]), 4))
    assert len(told) > 40  # it learnt something from nearly every token
