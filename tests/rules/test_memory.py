"""Rules with a memory in whole texts: alone and in a batch, explained, stored and derived again."""

import pytest

import logitherm as lt

RECIPES = [
    "temperature(0.9) | mirostat(3.0)",
    "mirostat(3.0, version=1, surprise='sampled') | dry(1.5)",
    "min_p(0.02) | adaptive_p(0.4)",
    "entropy_rate(1.5, 0.05) | top_p(0.95)",
    "entropy_rate(1.5, 0.05, of='final') | top_k(20)",
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_texts_are_the_same_alone_and_derive_again(recipe, tmp_path):
    path = tmp_path / "text.trace"
    settings = {"recipe": recipe, "model": "toy", "max_new_tokens": 30}
    together = lt.generate(["The cat slept on the", "The dog"], seed=1, save_trace=path, **settings)
    assert lt.generate("The dog", seed=2, **settings).text == together[1].text
    assert "right:" in str(lt.verify(path))
    trace = lt.explain("The cat slept on the", recipe=recipe, model="toy", seed=1, step=20)
    assert trace.draw.id == together[0].tokens[19].id


def test_the_temperature_of_a_controller_is_shown():
    trace = lt.explain("The cat", recipe="entropy_rate(1.5, 0.05)", model="toy", seed=1, step=6)
    assert trace.stages[-1].temperature != 1.0
