"""Speculative decoding with the caches of real models, which shrink where proposals are refused."""

import pytest

import logitherm as lt
from logitherm import load_model
from tests.generation.test_speculative import last_token


@pytest.mark.parametrize("kind", ["nutshell", "gpt2"])
def test_greedy_tokens_are_those_without_a_draft(kind, request):
    """One token has all the mass, so any draft must give it; what it proposes is mostly refused, and caches shrink."""
    model = load_model(request.getfixturevalue("gpt2_folder") if kind == "gpt2" else None)
    ask = {"model": model, "max_new_tokens": 20, "batch_size": 3}
    prompts = ["Once upon a time", "The cat", "A king had", "It", "There was once a"]
    recipe = "repetition(1.3) | temperature(0)"
    plain = lt.generate(prompts, recipe, **ask)
    texts = lt.generate(prompts, recipe, draft=last_token(model), **ask)
    assert [t.text for t in texts] == [t.text for t in plain]
    swapped = lt.generate(prompts, recipe, **{**ask, "model": model, "draft": lt.Guided(model, 1.5), "ahead": 2})
    assert [t.text for t in swapped] == [t.text for t in plain]
