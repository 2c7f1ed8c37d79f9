"""The live widgets: what they are in Python, and what they do in a notebook."""

import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import logitherm as lt
from logitherm.errors import LogitsError, PromptError, RecipeError
from logitherm.notebook import RecipeEditor, Waterfall
from logitherm.notebook.modules import joined
from tests.notebook.conftest import command, execute, opened
from tests.playground.conftest import watched

PROMPT = "Once upon a time there was a"
ROWS = ".waterfall tbody tr"


def test_the_editor_is_a_recipe():
    editor = RecipeEditor("top_k(40)|temperature( 0.7 )")
    assert editor.recipe == "top_k(40) | temperature(0.7)"
    assert editor.sampler == lt.parse("top_k(40) | temperature(0.7)")
    heard = []
    editor.observe(lambda change: heard.append(change["new"]), "recipe")
    editor.recipe = "neutral"
    assert heard == [editor.recipe] == [lt.presets()["neutral"].recipe]
    with pytest.raises(RecipeError, match="did you mean 'top_k'"):
        editor.recipe = "topk(3)"
    assert heard == [editor.recipe]
    with pytest.raises(RecipeError, match=r"TopP\.p must be"):
        RecipeEditor("top_p(3)")


def test_the_waterfall_is_what_explain_says_and_follows_an_editor():
    editor = RecipeEditor("temperature(0.8) | top_p(0.9)")
    water = Waterfall(PROMPT, editor, seed=3, top=5)
    for recipe in ("temperature(0.8) | top_p(0.9)", "top_k(3)", "mirostat(3.0)"):
        editor.recipe = recipe
        assert water.recipe == recipe
        assert water.trace == lt.explain(PROMPT, recipe, seed=3, top=5)
        shown = [stage["p"] for stage in water._told["stages"][-1]["tokens"]]
        assert shown == [token.p for token in water.trace.stages[-1].tokens]
    water.recipe = "temperature(2.0)"
    assert editor.recipe == "mirostat(3.0)"


def test_logits_without_a_model():
    water = Waterfall(logits=[1.0, 2.0, 4.0], recipe="top_k(2)", seed=1)
    assert [token["text"] for token in water._told["stages"][0]["tokens"]] == ["#2", "#1", "#0"]
    named = Waterfall(logits=[1.0, 2.0], tokens=["no", "yes"], recipe="top_k(2)", seed=1)
    assert named._told["stages"][0]["tokens"][0]["text"] == "yes"
    assert named._answer({"token": 0})[0]["rule"] == "top_k"


def test_a_recipe_that_leaves_nothing_says_so_and_the_last_drawing_stays():
    water = Waterfall(logits=np.zeros(3), recipe="top_k(2)", seed=1)
    before = water._told
    water.recipe = "ban([0, 1, 2])"
    assert water._told == before
    assert "every token" in water._wrong
    water.recipe = "top_k(1)"
    assert (water._told["recipe"], water._wrong) == ("top_k(1)", "")


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({}, PromptError, "Waterfall needs either a prompt or logits"),
        ({"prompt": "a", "logits": [1.0]}, PromptError, "either"),
        ({"prompt": ""}, PromptError, "empty"),
        ({"logits": [[1.0], [2.0]]}, LogitsError, "one row"),
        ({"logits": [float("nan")]}, LogitsError, "NaN"),
        ({"logits": [1.0], "tokens": ["a", "b"]}, LogitsError, "tokens must name each"),
        ({"logits": [1.0], "top": 0}, RecipeError, "top must be"),
        ({"logits": [1.0], "top": 513}, RecipeError, "top must be"),
        ({"logits": [1.0], "recipe": "nothing"}, RecipeError, "unknown"),
    ],
)
def test_wrong_input_is_refused(given, error, why):
    with pytest.raises(error, match=why):
        Waterfall(**given)


def test_without_anywidget_it_says_what_to_install():
    code = "import sys; sys.modules['anywidget'] = None; import logitherm.notebook"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert "pip install 'logitherm[notebook]'" in said.splitlines()[-1]


def test_the_widgets_need_no_server():
    code = "import sys; sys.modules['starlette'] = None; import logitherm.notebook"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_widget_is_one_module():
    for name in ("recipe_editor", "waterfall"):
        lines = joined(name).splitlines()
        assert [line for line in lines if line.startswith("import ")] == []
        assert [line for line in lines if line.startswith("export ")] == ["export default { render };"]


CELLS = (
    "from logitherm.notebook import RecipeEditor, Waterfall\n"
    "editor = RecipeEditor('temperature(0.8) | top_p(0.9)')\n"
    "editor",
    f"water = Waterfall({PROMPT!r}, editor, seed=3, top=6)\nwater",
    "editor",
)


def test_in_a_notebook(browser, lab):
    with opened(browser, lab, "live.ipynb", *CELLS) as page:
        page.wait_for_selector(ROWS)
        stages = page.locator(".waterfall thead .name")
        text, again = (page.locator("[aria-label='the recipe as text']").nth(i) for i in (0, 1))
        expect(again).to_have_value("temperature(0.8) | top_p(0.9)")
        expect(stages).to_have_text(["raw", "temperature(0.8)", "top_p(0.9)"])
        page.locator("input[type=range]").first.fill("1.5")
        expect(stages).to_have_text(["raw", "temperature(1.5)", "top_p(0.9)"])
        expect(again).to_have_value("temperature(1.5) | top_p(0.9)")
        expect(page.locator(".remarks").first).to_contain_text("temperature(1.5)")
        page.locator(ROWS).nth(1).hover()
        expect(page.locator(".limits")).to_contain_text("top_p: stays while p > ")
        page.locator("[aria-label='Add a rule']").first.select_option("top_k")
        expect(stages).to_have_count(4)
        page.get_by_label("Move top_k, rule 3 of 3").first.press("ArrowUp")
        expect(stages).to_have_text(["raw", "temperature(1.5)", "top_k(1)", "top_p(0.9)"])
        expect(text).to_have_value("temperature(1.5) | top_k(1) | top_p(0.9)")
        expect(again).to_have_value("temperature(1.5) | top_k(1) | top_p(0.9)")
        text.fill("top_q(0.5)")
        expect(page.get_by_role("alert").first).to_contain_text("did you mean 'top_p'?")
        text.fill("ban([0]) | top_k(2)")
        expect(page.locator(f"{ROWS}.gone")).to_have_count(4)
        assert execute(page, "print(editor.recipe, water.recipe)") == "ban([0]) | top_k(2) ban([0]) | top_k(2)\n"
        execute(page, "editor.recipe = 'min_p(0.5)'")
        expect(text).to_have_value("min_p(0.5)")
        expect(stages).to_have_text(["raw", "min_p(0.5)"])
        execute(page, "water.recipe = 'allow([1]) | ban([1])'")
        expect(page.get_by_text("every token was removed")).to_be_visible()
        again.fill("top_k(5)")
        expect(text).to_have_value("top_k(5)")
        expect(page.get_by_text("every token was removed")).to_have_count(0)
        clamp = "editor.observe(lambda c: c['new'] == 'top_k(9)' and setattr(editor, 'recipe', 'top_k(7)'), 'recipe')"
        assert execute(page, clamp) == ""
        text.fill("top_k(9)")
        expect(text).to_have_value("top_k(7)")
        expect(again).to_have_value("top_k(7)")
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        expect(page.locator("[data-theme=dark]")).to_have_count(3)
        command(page, "docmanager:save")
        page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")
    saved = [cell.outputs[0].data["text/html"] for cell in nbformat.read(lab.folder / "live.ipynb", 4).cells]
    assert "<code>temperature(0.8) | top_p(0.9)</code>" in saved[0]
    assert "after top_p(0.9)" in saved[1]
    assert "<script" not in "".join(saved)


TWO_VIEWS = """async ([source, values]) => {
  const listeners = [];
  window.questions = [];
  window.tell = (event, said) => listeners.filter(([name]) => name === event).forEach(([, listener]) => listener(said));
  window.take = (recipe) => ((values.recipe = recipe), tell("change:recipe"));
  const model = {
    get: (name) => values[name],
    on: (name, listener) => listeners.push([name, listener]),
    send: (question) => questions.push(question),
  };
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  for (const el of [document.createElement("div"), document.createElement("div")]) {
    document.body.append(el);
    module.default.render({ model, el });
  }
}"""


class Slow:
    """Two views of an editor whose kernel answers when it is told to."""

    def __init__(self, page, editor):
        self.page, self.editor, self.said = page, editor, []
        editor.send = self.said.append
        editor.observe(lambda change: page.evaluate("take", change["new"]), "recipe")
        page.evaluate(TWO_VIEWS, [editor._esm, {"recipe": editor.recipe, "_offered": editor._offered}])

    def answer(self, most=10_000):
        """Answer the questions that wait, and those that the answers lead to; at most so many."""
        while most and (question := self.page.evaluate("questions.shift()")):
            self.editor._asked(None, question, None)
            self.page.evaluate("said => tell('msg:custom', said)", self.said.pop())
            most -= 1

    def wait(self, recipe):
        """Wait until that text is among the questions."""
        self.page.wait_for_function("text => questions.some(({ data }) => data.recipe === text)", arg=recipe)


def test_what_one_view_hears_late_does_not_undo_what_the_other_did_since(browser):
    with watched(browser) as page:
        slow = Slow(page, RecipeEditor("temperature(0.8) | top_p(0.9)"))
        slow.answer()
        first, second = (page.locator("ol.cards").nth(i) for i in (0, 1))
        page.locator("[aria-label='Add a rule']").first.select_option("top_k")
        slow.wait("temperature(0.8) | top_p(0.9) | top_k(1)")
        slow.answer(1)
        slow.wait("temperature(0.8) | top_p(0.9) | top_k(1)")  # the second view asks what that is
        first.locator(".grip").nth(2).press("ArrowUp")
        slow.wait("temperature(0.8) | top_k(1) | top_p(0.9)")
        slow.answer()
        for cards in (first, second):
            expect(cards.locator("summary")).to_have_text(["temperature", "top_k", "top_p"])
        assert slow.editor.recipe == "temperature(0.8) | top_k(1) | top_p(0.9)"


def test_a_key_reaches_its_rule_after_somebody_else_changed_another(browser):
    with watched(browser) as page:
        slow = Slow(page, RecipeEditor("temperature(0.8) | top_p(0.9)"))
        slow.answer()
        page.get_by_label("Move top_p, rule 2 of 2").first.focus()
        slow.editor.recipe = "temperature(0.5) | top_p(0.9)"
        slow.answer()
        expect(page.locator("[aria-label='the recipe as text']").first).to_have_value("temperature(0.5) | top_p(0.9)")
        page.keyboard.press("ArrowUp")
        slow.wait("top_p(0.9) | temperature(0.5)")


def asked(widget, **data):
    """What the page would be answered."""
    said = []
    widget.send = said.append
    widget._asked(None, {"id": 1, "data": data}, None)
    return said


def test_every_question_has_an_answer_whatever_happens():
    editor = RecipeEditor("top_k(2)")
    assert asked(editor, recipe="top_k(3)", take=True) == [{"id": 1, "answer": "top_k(3)"}]
    assert "unknown rule" in asked(editor, recipe="nothing(3)")[0]["wrong"]
    editor.observe(lambda _: 1 / 0, "recipe")
    said = []
    editor.send = said.append
    with pytest.raises(ZeroDivisionError):
        editor._asked(None, {"id": 7, "data": {"recipe": "top_k(4)", "take": True}}, None)
    assert [(one["id"], "division" in one["wrong"]) for one in said] == [(7, True)]


def test_what_is_hovered_and_kept_is_about_what_is_drawn():
    water = Waterfall(logits=[1.0, 2.0, 3.0], recipe="top_k(2)", seed=1)
    before = water._answer({"token": 0})
    water.recipe = "ban([0, 1, 2])"
    assert before
    assert water._answer({"token": 0}) == before
    assert "after top_k(2)" in water._repr_mimebundle_()[0]["text/html"]


def test_the_logits_are_those_that_were_given():
    row = np.array([1.0, 2.0, 3.0])
    water = Waterfall(logits=row, recipe="top_k(2)", seed=1)
    row[:] = 9.0
    assert water.trace == lt.explain(logits=[1.0, 2.0, 3.0], recipe="top_k(2)", seed=1, top=24)
    half = Waterfall(logits=torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16), recipe="top_k(2)", seed=1)
    assert half._answer({"token": 0}) == water._answer({"token": 0})
    assert lt.explain(logits=[1.0, 2.0], tokens=np.array(["a", "b"]), recipe="top_k(1)").draw.text == "b"


def test_a_closed_waterfall_follows_nobody():
    editor = RecipeEditor("top_k(2)")
    water = Waterfall(logits=[1.0, 2.0, 3.0], recipe=editor, seed=1)
    water.close()
    editor.recipe = "top_k(1)"
    assert water.recipe == "top_k(2)"


def test_a_seed_reaches_the_page_whole():
    water = Waterfall(logits=[1.0, 2.0], recipe="top_k(2)", seed=2**64 - 1)
    assert water._told["seed"] == "18446744073709551615"
