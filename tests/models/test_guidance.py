"""Guidance against hand-made tables, against transformers' processor, and as models among models."""

import numpy as np
import pytest
import torch

import logitherm as lt
from logitherm import CallableModel, LogitsError, ModelError, RecipeError, load_model
from logitherm.models.guidance import Contrasted, Guided
from tests.rows import probabilities


class Four:
    size = 4
    eos = (3,)

    def encode(self, text):
        return ["abc".index(c) for c in text]

    def bytes_of(self, token):
        return b"abc"[token : token + 1]


FOUR = Four()


def table(rows, name="table"):
    """A model that looks at the last token and at how many there are."""
    return CallableModel(lambda ids: np.log(np.array(rows[min(len(ids), len(rows)) - 1])), FOUR, name=name)


PAIR = table([[0.5, 0.5, 1e-300, 1e-300], [0.6, 0.4, 1e-300, 1e-300]])
EXPERT, AMATEUR = table([[0.6, 0.3, 0.08, 0.02]], "expert"), table([[0.4, 0.1, 0.4, 0.1]], "amateur")


def test_guidance_by_hand():
    logits, _ = Guided(PAIR, 2.0).prefill([[0, 1]])  # two tokens with the prompt, one without
    assert probabilities(logits)[0, :2] == pytest.approx([9 / 13, 4 / 13])
    assert logits[0, 0] == pytest.approx(np.log(0.72))  # log-probabilities, not normalised again
    logits, _ = Guided(PAIR, 0.0).prefill([[0, 1]])
    assert probabilities(logits)[0, :2] == pytest.approx([0.5, 0.5])
    logits, _ = Guided(PAIR, 2.0, negative=[0, 0, 0]).prefill([[0, 1]])
    assert probabilities(logits)[0, :2] == pytest.approx([0.6, 0.4])
    assert Guided(PAIR, 2.0, negative="a").prefill([[0, 1]])[0][0, 0] == pytest.approx(np.log(0.72))


def test_contrast_by_hand():
    logits, _ = Contrasted(EXPERT, AMATEUR, 0.1).prefill([[0]])
    assert probabilities(logits)[0] == pytest.approx([15 / 47, 30 / 47, 2 / 47, 0])
    logits, _ = Contrasted(EXPERT, AMATEUR, 0.5).prefill([[0]])  # .3 is exactly half of .6, and stays
    assert np.isfinite(logits)[0].tolist() == [True, True, False, False]
    assert np.isfinite(Contrasted(EXPERT, AMATEUR, 1).prefill([[0]])[0]).sum() == 1
    assert np.isfinite(Contrasted(EXPERT, AMATEUR, 0).prefill([[0]])[0]).all()
    logits, _ = Contrasted(EXPERT, AMATEUR, 0.1, temperature=0.5).prefill([[0]])  # .16, .01, .16, .01, over .34
    assert probabilities(logits)[0] == pytest.approx(np.array([3.75, 30, 0.5, 0]) / 34.25)


def test_removed_tokens_stay_removed():
    with np.errstate(divide="ignore"):
        none = table([[0.5, 0.5, 0, 0]])
        both = Guided(none, 1.5).prefill([[0, 1]])[0], Contrasted(none, AMATEUR, 0).prefill([[0]])[0]
    for logits in both:
        assert np.isneginf(logits[0, 2:]).all()
        assert np.isfinite(logits[0, :2]).all()


@pytest.mark.parametrize("negative", [None, [0, 2]])
def test_scale_one_is_the_model_bit_for_bit(negative):
    model = load_model()
    guided = Guided(model, 1.0, negative)
    rows = [model.vocabulary.encode(text) for text in ("Once upon a time", "The cat")]
    ours, cache = guided.prefill(rows)
    theirs, other = model.prefill(rows)
    assert ours.astype(np.float32).tobytes() == theirs.tobytes()
    ours, theirs = guided.step([5, 6], cache)[0], model.step([5, 6], other)[0]
    assert ours.astype(np.float32).tobytes() == theirs.tobytes()


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5, 3.0])
def test_transformers_gives_the_same_scores(gpt2_folder, scale):
    from transformers import GPT2LMHeadModel
    from transformers.generation.logits_process import UnbatchedClassifierFreeGuidanceLogitsProcessor

    ours = load_model(gpt2_folder)
    theirs = GPT2LMHeadModel.from_pretrained(gpt2_folder).eval()
    ids = [3, 14, 15, 92, 65]
    for negative in (None, [7, 9]):
        given = None if negative is None else torch.tensor([negative])
        processor = UnbatchedClassifierFreeGuidanceLogitsProcessor(scale, theirs, given)
        logits, cache = Guided(ours, scale, negative).prefill([ids])
        row = list(ids)
        for new in (11, 12, None):
            with torch.no_grad():
                scores = theirs(torch.tensor([row])).logits[:, -1]
                expected = processor(torch.tensor([row]), scores)
            np.testing.assert_allclose(logits.numpy(), expected.numpy(), rtol=0, atol=2e-4)
            if new is not None:
                row.append(new)
                logits, cache = Guided(ours, scale, negative).step([new], cache)


def combined():
    model = load_model()
    last = CallableModel(lambda ids: model.prefill([ids[-1:]])[0][0], model.vocabulary, name="last")
    return [
        Guided(model, 1.5),
        Guided(model, 1.5, "The dog"),
        Contrasted(model, last),
        Guided(Contrasted(model, last), 2),
    ]


@pytest.mark.parametrize("model", combined(), ids=lambda model: model.name)
def test_caches_are_values(model):
    """Rows taken, joined and cropped give the logits of rows that were read anew, step by step."""
    rows = [model.vocabulary.encode(text) for text in ("Once upon a time", "The cat", "A")]
    _, cache = model.prefill(rows)
    one, grown = model.step([5, 6, 7], cache)
    two, more = model.step([8, 9, 10], grown)
    close = {"rtol": 0, "atol": 1e-3}
    np.testing.assert_allclose(model.step([8, 9, 10], grown)[0], two, **close)
    np.testing.assert_allclose(model.step([10, 8], grown.take([2, 0]))[0], two[[2, 0]], **close)
    joined = more.take([1]).join(more.take([0, 2]))
    np.testing.assert_allclose(model.step([3, 3, 3], joined)[0], model.step([3, 3, 3], more)[0][[1, 0, 2]], **close)
    back = more.crop([len(row) + length for row, length in zip(rows, (1, 0, 1), strict=True)])
    np.testing.assert_allclose(model.step([8, 6, 10], back)[0], np.stack([two[0], one[1], two[2]]), **close)


def test_guidance_writes_texts():
    model = load_model()
    guided = Guided(model, 1.5)
    texts = lt.generate(["Once upon a time", "The cat"] * 3, "temperature(0.8)", model=guided, seed=1, batch_size=2)
    assert all(text.error is None and len(text.tokens) > 5 for text in texts)
    assert lt.generate("The cat", "temperature(0.8)", model=guided, seed=4).text == texts[3].text
    plain = lt.generate("The cat", "temperature(0.8)", model=model, seed=4)
    assert lt.generate("The cat", "temperature(0.8)", model=Guided(model, 1), seed=4).text == plain.text
    assert plain.text != texts[3].text
    assert lt.explain("The cat", "temperature(0.8)", model=guided, seed=4).draw.id == texts[3].tokens[0].id


def test_context_name_and_fingerprint():
    model = load_model()
    endless = CallableModel(lambda ids: np.zeros(model.vocabulary.size), model.vocabulary)
    assert Contrasted(endless, model).context == model.context
    assert Contrasted(endless, endless).context is None
    assert Contrasted(model, endless).fingerprint is None
    assert str(model.fingerprint) in Guided(model, 1.5).fingerprint
    assert Guided(model, 1.5).fingerprint != Guided(model, 1.6).fingerprint


def test_wrong_settings():
    for scale in (float("nan"), float("inf"), "2", True, None):
        with pytest.raises(RecipeError, match=r"Guided\.scale must be a finite number; got "):
            Guided(PAIR, scale)
    with pytest.raises(RecipeError, match=r"Guided\.negative must have a token or more; got ''"):
        Guided(PAIR, 2, "")
    with pytest.raises(RecipeError, match=r"Contrasted\.alpha must be in \[0, 1\]; got 1\.5"):
        Contrasted(EXPERT, AMATEUR, 1.5)
    with pytest.raises(RecipeError, match=r"Contrasted\.temperature must be > 0; got 0"):
        Contrasted(EXPERT, AMATEUR, temperature=0)
    with pytest.raises(ModelError, match="nutshell and toy must have the same tokens; they have other sizes"):
        Contrasted(load_model(), load_model("toy"))

    class Other(Four):
        def bytes_of(self, token):
            return b"abd"[token : token + 1]

    with pytest.raises(ModelError, match="must have the same tokens; token 2 differs"):
        Contrasted(EXPERT, CallableModel(lambda ids: np.zeros(4), Other()))
    wrong = CallableModel(lambda ids: np.full(4, np.nan), FOUR)
    with pytest.raises(LogitsError, match="NaN in the logits"):
        lt.generate("a", "temperature(1.0)", model=Guided(wrong, 2))
