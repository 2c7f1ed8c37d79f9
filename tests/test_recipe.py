"""Recipes: what is read, what is refused, and how it is said."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from logitherm import (
    DynamicTemperature,
    MinP,
    RecipeError,
    Sampler,
    Temperature,
    TopK,
    TopP,
    from_json,
    from_params,
    from_toml,
    load_recipe,
    parse,
    presets,
    to_json,
    to_toml,
)


def test_canonical_text():
    assert str(parse(" temperature( t = .7 )|top_p(0.9) ")) == "temperature(0.7) | top_p(0.9)"
    assert str(parse("dynamic_temperature(.1, entropy=0.8, t_max=1.5, t_min=0)")) == (
        "dynamic_temperature(0.1, entropy=0.8, t_max=1.5)"
    )
    assert str(parse("top_k([5, 40]) | min_p((.1,))")) == "top_k([5, 40]) | min_p([0.1])"
    assert parse("dynamic_temperature(1, t_max=inf, of='kept')").rules == (DynamicTemperature(1.0, of="kept"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature(0.7)", "unknown rule 'temprature'; did you mean 'temperature'?"),
        ("temperature", "temperature needs parentheses"),
        ("temperature()", "temperature needs t: temperature(t=…)"),
        ("top_p(q=1)", "top_p has no parameter 'q'; it takes p"),
        ("dynamic_temperature(.1, entrpy=2)", "no parameter 'entrpy'; did you mean 'entropy'?"),
        ("top_p(0.5, 0.6)", "top_p takes at most 1 values; got 2"),
        ("temperature(0.1, t=0.2)", "temperature got t twice"),
        ("temperature(t=0.1, t=0.2)", "temperature got t twice"),
        ("temperature(linear(1, 2, steps=3, steps=4))", "linear got a parameter twice"),
        ("temperature(-1)", "Temperature.t must be a finite number >= 0 (0 = always the likeliest token); got -1"),
        ("temperature(-inf)", "got -inf"),
        ("dynamic_temperature(1, of='final')", "DynamicTemperature.of must be one of 'raw', 'kept'; got 'final'"),
        ("temperature(1", "cannot read 'temperature(1'"),
        ("top_k(1) || top_p(.1)", "there is no rule between two bars"),
        ("top_k(1) |", "there is no rule between two bars"),
        ("temperature(0.7) # don't | top_p(0.5)", "a recipe has no comments"),
        ("greedy | top_k(1)", "'greedy' is a preset, which stands alone"),
        ("TopP(0.9)", "unknown rule 'TopP'; did you mean 'top_p'?"),
        ("temperature(linear(1, -2, steps=4))", "Temperature.t must be a finite number >= 0"),
        ("temperature(linear(1, 2, steps=0))", "linear.steps must be a whole number >= 1; got 0"),
        ("temperature(linear(1, 2))", "cannot read a value in"),
        ("top_k(linear(1, 2, steps=4))", "whole numbers have no schedule"),
        ("temperature(wave(1, 2, steps=4))", "cannot read a value in"),
        ("__import__('os').system('true')", "cannot read"),
        ("temperature(__import__('os'))", "cannot read a value in"),
        ("temperature(**{'t': 1})", "cannot read"),
        ("temperature(*[1])", "cannot read a value in"),
        ("lambda: 1", "cannot read"),
        ("", "the recipe is empty"),
        (" | ".join(["top_k(1)"] * 65), "a recipe must have 1 to 64 rules; got 65"),
        ("|".join(["top_k(1)"] * 3000), "a recipe must have 1 to 64 rules; got 3000"),
        ("(" * 5000, "cannot read"),
        ("temperature(" + "-" * 50_000 + "1)", "cannot read"),
        ("temperature(" + "[" * 300 + "]" * 300 + ")", "cannot read"),
        ("top_k(" + "9" * 6000 + ")", "cannot read"),
        ("x" * 1_000_001, "at most 1,000,000 characters"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(RecipeError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_bar_inside_a_string_is_no_border():
    with pytest.raises(RecipeError, match=r"must be one of 'raw', 'kept'; got 'a\|b'"):
        parse("top_k(1) | dynamic_temperature(1, of='a|b') | top_p(0.5)")
    with pytest.raises(RecipeError, match=r"""must be one of 'raw', 'kept'; got '\)\|"\('"""):
        parse("""top_k(1) | dynamic_temperature(1, of=')|"(') | top_p(0.5)""")
    with pytest.raises(RecipeError, match=r"must be one of 'raw', 'kept'"):
        parse(r"""dynamic_temperature(1, of=")\")|") | top_p(0.5)""")


def test_what_is_no_text_is_no_recipe():
    with pytest.raises(RecipeError, match="a recipe must be text; got None"):
        parse(None)
    assert from_toml(to_toml(TopK(3))) == from_json(to_json(TopK(3))) == Sampler(TopK(3))


def test_schedules_survive_every_form():
    sampler = parse("temperature(linear(1.2, 0.6, steps=50)) | top_p(cosine(0.9, 0.5, steps=9)) | bias([[3, -inf]])")
    assert str(sampler) == (
        "temperature(linear(1.2, 0.6, steps=50)) | top_p(cosine(0.9, 0.5, steps=9)) | bias([[3, -inf]])"
    )
    assert parse(str(sampler)) == from_json(to_json(sampler)) == from_toml(to_toml(sampler)) == sampler


def test_sixty_four_rules_are_allowed_however_they_come():
    chain = Sampler(*[TopK(3)] * 64)
    assert parse(str(chain)) == chain
    with pytest.raises(RecipeError, match="got 65"):
        chain | TopK(3)
    with pytest.raises(RecipeError, match="got 0"):
        Sampler()
    with pytest.raises(RecipeError, match="a sampler is made of rules; got 'top_k"):
        Sampler("top_k(1)")


def test_nested_samplers_splice():
    inner = Temperature(0.5) | TopK(3)
    assert (inner | TopP(0.9)).rules == (*(TopP(0.9) | inner).rules[1:], TopP(0.9))
    assert Sampler(inner, inner).rules == inner.rules * 2


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("transformers", "temperature(0.8) | top_k(20) | top_p(0.9) | min_p(0.05)"),
        ("vllm", "temperature(0.8) | min_p(0.05) | top_k(20) | top_p(0.9)"),
        ("llama.cpp", "top_k(20) | top_p(0.9) | min_p(0.05) | temperature(0.8)"),
    ],
)
def test_flat_parameters_enter_through_a_named_order(order, expected):
    assert str(from_params(order=order, temperature=0.8, top_k=20, top_p=0.9, min_p=0.05)) == expected


def test_from_params_leaves_out_what_is_not_given():
    assert from_params(top_p=0.9).rules == (TopP(0.9),)
    assert from_params().rules == (Temperature(1.0),)
    assert from_params(min_p=0).rules == (MinP(0.0),)
    with pytest.raises(RecipeError, match=r"order must be one of 'transformers', 'vllm', 'llama\.cpp'; got 'hf'"):
        from_params(order="hf", top_k=1)


def test_s2_do_sampling_is_a_recipe():
    """S2's pipeline with its defaults: temperature 1, top-k 20, top-p 0.8 on what top-k left."""
    sampler = from_params(temperature=1.0, top_k=20, top_p=0.8)
    x = np.random.default_rng(0).normal(scale=2, size=(1, 200))
    p = np.sort(np.exp(x[0]))[::-1][:20]
    reach = np.searchsorted(np.cumsum(p / p.sum()), 0.8) + 1
    assert np.isfinite(sampler.apply(x, sampler.start([[]]))).sum() == reach


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is not JSON"),
        ("[1]", "must say logitherm = 1"),
        ('{"logitherm": 2, "rules": []}', "must say logitherm = 1"),
        ('{"logitherm": 1}', "must have either recipe or rules"),
        ('{"logitherm": 1, "ruels": []}', "unknown key 'ruels'; did you mean 'rules'?"),
        ('{"logitherm": 1, "rules": [{"p": 1}]}', 'each with rule = "name"'),
        ('{"logitherm": 1, "rules": []}', "1 to 64 rules; got 0"),
        ('{"logitherm": 1, "rules": [{"rule": "topp", "p": 1}]}', "unknown rule 'topp'; did you mean 'top_p'?"),
        ('{"logitherm": 1, "rules": [{"rule": "top_p", "p": "0.9"}]}', "TopP.p must be in (0, 1]; got '0.9'"),
        ('{"logitherm": 1, "rules": [' + ",".join(['{"rule": "top_k", "k": 1}'] * 3000) + "]}", "got 3000"),
        ("[" * 100_000, "this is not JSON"),
        ('{"logitherm": 1, "rules": [{"rule": "top_k", "k": ' + "9" * 5000 + "}]}", "this is not JSON"),
    ],
)
def test_wrong_documents(text, message):
    with pytest.raises(RecipeError) as caught:
        from_json(text)
    assert message in str(caught.value)


def test_toml_documents():
    assert from_toml('logitherm = 1\nrecipe = "top_k(3)"\nabout = "three"').rules == (TopK(3),)
    rules = from_toml('logitherm = 1\n[[rules]]\nrule = "dynamic_temperature"\na = 1\nt_max = inf\n').rules
    assert rules == (DynamicTemperature(1.0),)
    with pytest.raises(RecipeError, match="this is not TOML"):
        from_toml("logitherm = ")


def test_what_people_type(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('logitherm = 1\nrecipe = "top_k(3)"\n')
    assert load_recipe(str(file)) == load_recipe("top_k(3)") == load_recipe(TopK(3)) == Sampler(TopK(3))
    assert load_recipe("greedy").rules == (Temperature(0.0),)
    with pytest.raises(RecipeError, match=r"unknown preset 'gredy'; did you mean 'greedy'\?"):
        load_recipe("gredy")
    file.write_text('logitherm = 1\nrecipe = "top_kk(3)"\n')
    with pytest.raises(RecipeError, match=r"mine\.toml: unknown rule 'top_kk'; did you mean 'top_k'\?"):
        load_recipe(file)
    with pytest.raises(RecipeError, match=r"cannot read the recipe file .*nowhere\.json: No such file"):
        load_recipe(tmp_path / "nowhere.json")
    odd = tmp_path / "mine (1).json"
    odd.write_text('{"logitherm": 1, "recipe": "top_k(3)"}')
    assert load_recipe(odd) == load_recipe(str(odd)) == Sampler(TopK(3))
    (tmp_path / "huge.toml").write_text("#" * 1_000_001)
    with pytest.raises(RecipeError, match="at most 1,000,000 bytes"):
        load_recipe(tmp_path / "huge.toml")


def test_every_preset_is_a_recipe():
    assert {"default", "greedy", "neutral"} <= set(presets())
    for preset in presets().values():
        assert str(parse(preset.recipe)) == preset.recipe
        assert preset.about.endswith(".")


def test_a_plug_in_is_loaded_only_when_named_and_cannot_replace_a_built_in(tmp_path):
    """A real distribution on the path, in a process of its own: entry points are read from its metadata."""
    (tmp_path / "half_rule.py").write_text(
        textwrap.dedent("""
        from dataclasses import dataclass
        from logitherm import Rule
        @dataclass(frozen=True)
        class Half(Rule, name="half"):
            def apply(self, logits, at):
                return logits / 2
        """)
    )
    info = tmp_path / "half_rule-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: half-rule\nVersion: 1\n")
    points = "half = half_rule:Half\ntop_k = half_rule:Half\nbroken = half_rule:dataclass\n"
    (info / "entry_points.txt").write_text(f"[logitherm.rules]\n{points}")
    code = """
        import sys, logitherm as lt
        lt.parse("top_k(3)"); assert "half_rule" not in sys.modules
        print(type(lt.parse("top_k(3)").rules[0]).__name__, lt.parse("half() | top_k(3)"))
        try: lt.parse("broken()")
        except lt.RecipeError as error: print(error)
    """
    without = """
        import sys, logitherm as lt
        for text in ("half()", "half", "(half)()", "top_k(3) | ( half )()"):
            try: lt.parse(text, plugins=False)
            except lt.RecipeError as error: print(str(error).partition(";")[0])
        assert "half_rule" not in sys.modules
        print(lt.parse("top_k(3)", plugins=False))
    """
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def said(code):
        command = [sys.executable, "-c", textwrap.dedent(code)]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
        return run.stdout.splitlines() or run.stderr

    assert said(code) == [
        "TopK half() | top_k(3)",
        "the plug-in half_rule:dataclass must be a Rule with name='broken'",
    ]
    assert said(without) == ["unknown rule 'half'"] * 4 + ["top_k(3)"]
