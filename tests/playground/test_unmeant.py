"""The page where people do what nobody meant: mistakes, haste, made-up links, fingers, scripts from right to left."""

import base64
import json

import pytest
from playwright.sync_api import expect

import logitherm as lt
from tests.playground.conftest import READY, watched, words, write

RECIPE = "[aria-label='the recipe as text']"
TEMPERATURE = "[aria-label='temperature.t']"
READ = "text => document.querySelector('#recipe .cards').dataset.recipe === text"
IDLE = "#go:not([disabled])"
EMPTIES = "allow([0, 1]) | ban([0, 1])"


def typed(page, text):
    """Type a recipe, and wait until the cards say it."""
    page.fill(RECIPE, text)
    page.wait_for_function(READ, arg=str(lt.parse(text)))


def put(page, row=0):
    """Put a token of the waterfall in front into the text; what it was."""
    chosen = page.locator(".waterfall tbody tr:not(.here)").nth(row)
    word = chosen.locator(".word").text_content()
    chosen.locator("button.put").click()
    page.wait_for_selector(IDLE)
    return word


def linked(url, **kept):
    data = json.dumps({"v": 1, "prompt": "Hello", "recipe": "top_k(5)", **kept})
    return url + "#" + base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")


@pytest.fixture
def rough(browser, server):
    """A page whose requests may be refused, which a browser calls an error; the page's own errors still count."""
    said = []
    with watched(browser, quiet=False) as page:
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector(READY)
        yield page
    assert said == []


def test_a_text_that_is_refused_leaves_the_one_that_is_there(rough):
    before, end = write(rough, tokens=6), rough.locator(".end").text_content()
    rough.fill("#prompt", "")
    rough.click("#go")
    expect(rough.locator("#notice")).to_contain_text("the prompt is empty")
    expect(rough.locator(".end")).to_have_text(end)
    assert words(rough) == before


def test_spaces_are_a_prompt(tab):
    assert len(write(tab, tokens=5, prompt="   ")) == 5


def test_compare_before_there_is_a_text_and_after_one_without_tokens(tab):
    tab.click("#tab-compare")
    expect(tab.locator(".compare")).to_have_text("Write something; then choose a token.")
    tab.fill("#most", "4")
    tab.click("#go")
    expect(tab.locator(".facts")).to_contain_text("total variation")
    expect(tab.locator(".compare")).not_to_contain_text("Write something")
    typed(tab, EMPTIES)
    tab.click("#go")
    expect(tab.locator(".end")).to_have_text(" ■ it could not go on")
    expect(tab.locator("#notice")).to_have_text(
        "every token was removed after 'ban([0, 1])'; the chain must leave at least one"
    )
    expect(tab.locator(".compare")).to_have_text("Write something; then choose a token.")
    typed(tab, "top_k(3)")
    tab.click("#go")
    expect(tab.locator(".facts")).to_contain_text("A 3, B 40")


def test_compare_says_of_a_rule_with_memory_what_the_waterfall_says(tab):
    typed(tab, "mirostat(2.0, eta=1.0)")
    write(tab, tokens=12)
    tab.click(".token >> nth=10")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 11")
    kept = tab.locator(".waterfall .stage").nth(1).locator(".faint").first.text_content()
    tab.click("#tab-compare")
    expect(tab.locator(".facts")).to_contain_text(f"A {kept.removesuffix(' kept')}, B 40")


def test_nothing_is_written_with_a_recipe_that_cannot_be_read(tab):
    before = write(tab, tokens=5)
    tab.fill(RECIPE, "top_p(2)")
    tab.click("#go")  # at once: what was typed is not read yet
    expect(tab.locator("#notice")).to_contain_text("the recipe cannot be read")
    expect(tab.locator("#recipe .trouble")).to_have_text("TopP.p must be in (0, 1]; got 2")
    tab.click("#more")
    expect(tab.locator("#notice")).to_contain_text("the recipe cannot be read")
    assert words(tab) == before
    tab.fill(RECIPE, "top_k(1)")
    tab.click("#go")
    tab.wait_for_selector(IDLE)
    expect(tab.locator("#notice")).to_be_empty()
    text = lt.generate(tab.input_value("#prompt"), "top_k(1)", seed=3, max_new_tokens=5)
    assert words(tab) == [f"“{token.text}”" for token in text.tokens]


def test_what_was_wrong_and_is_not_any_more_is_not_said_any_more(tab):
    write(tab, tokens=3)
    typed(tab, EMPTIES)
    expect(tab.locator("#notice")).to_contain_text("every token was removed")
    typed(tab, "top_k(5)")
    expect(tab.locator("#notice")).to_be_empty()
    tab.fill(TEMPERATURE.replace("temperature.t", "top_k.k, tokens"), "many")
    tab.keyboard.press("Tab")
    expect(tab.locator("#recipe .trouble")).to_contain_text("got 'many'")
    tab.fill(TEMPERATURE.replace("temperature.t", "top_k.k, tokens"), "7")
    tab.keyboard.press("Tab")
    expect(tab.locator(RECIPE)).to_have_value("top_k(7)")
    expect(tab.locator("#recipe .trouble")).to_be_empty()
    expect(tab.locator("#notice")).to_be_empty()


@pytest.mark.parametrize(
    ("given", "recipe"),
    [
        (".5", "temperature(0.5)"),
        (" 1e-3 ", "temperature(0.001)"),
        ("linear(1.2, 0.6, steps=50)", "temperature(linear(1.2, 0.6, steps=50))"),
        ("nan", 'temperature("nan")'),
        ("1e999", 'temperature("1e999")'),
        ("0.5) | top_k(3", 'temperature("0.5) | top_k(3")'),
        ("", "temperature(None)"),
    ],
)
def test_fields_take_numbers_as_people_write_them_and_hand_on_what_is_none(tab, given, recipe):
    typed(tab, "temperature(0.9)")
    tab.fill(TEMPERATURE, given)
    tab.keyboard.press("Tab")
    expect(tab.locator(RECIPE)).to_have_value(recipe)
    expect(tab.locator("#recipe .card")).to_have_count(1)
    if "None" in recipe or '"' in recipe:
        expect(tab.locator("#recipe .trouble")).to_contain_text("Temperature.t must be a finite number")


def test_words_in_a_field_stay_words(tab):
    """A breaker that looks like a schedule; a grammar of two lines."""
    typed(tab, 'dry(0.8, breakers=["f(x)", "\\n"])')
    tab.fill("[aria-label='dry.multiplier, logits']", "0.7")
    tab.keyboard.press("Tab")
    expect(tab.locator(RECIPE)).to_have_value("dry(0.7, breakers=['f(x)', '\\n'])")
    typed(tab, "grammar('start: \"a\"\\n', kind='lark')")
    field = tab.locator("[aria-label='grammar.text, text']")
    expect(field).to_have_value('start: "a"\n')
    field.fill('start: "a"\n  | "b"\n')
    tab.keyboard.press("Tab")
    expect(tab.locator(RECIPE)).to_have_value("grammar('start: \"a\"\\n  | \"b\"\\n', kind='lark')")
    expect(tab.locator("#recipe .trouble")).to_be_empty()


def test_rules_are_dragged_by_a_finger(browser, server):
    with watched(browser, viewport={"width": 360, "height": 740}, has_touch=True) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        typed(page, "temperature(0.8) | top_k(40) | top_p(0.95)")
        page.locator("#recipe .grip").last.scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        first, last = (page.locator("#recipe .grip").nth(i).bounding_box() for i in (0, 2))
        touch = page.context.new_cdp_session(page)

        def finger(kind, y=None, more=()):
            points = [] if y is None else [{"x": first["x"] + 8, "y": y, "id": 1}, *more]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        finger("touchStart", first["y"] + 8)
        for part in range(1, 9):
            finger("touchMove", first["y"] + 8 + part / 8 * (last["y"] + 60 - first["y"]))
        expect(page.locator("#recipe .card").first).to_have_class("card dragged")
        finger("touchEnd")
        expect(page.locator(RECIPE)).to_have_value("top_k(40) | top_p(0.95) | temperature(0.8)")
        assert page.evaluate("scrollY") == scrolled
        page.locator("#recipe .grip").nth(1).tap()  # and a tap moves nothing
        expect(page.locator(RECIPE)).to_have_value("top_k(40) | top_p(0.95) | temperature(0.8)")


def test_another_token_is_put_while_the_text_is_written(tab):
    tab.fill("#most", "400")
    tab.fill("#seed", "3")
    tab.click("#go")
    tab.wait_for_selector(".token >> nth=5")
    tab.wait_for_selector(".waterfall")
    tab.fill("#most", "12")
    word = put(tab)
    expect(tab.locator(".token.forced")).to_have_attribute("data-place", "0")
    assert words(tab)[0] == word
    assert len(words(tab)) == 12
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "0")
    expect(tab.locator("#branches .branch")).to_have_count(2)


def test_a_text_goes_on_from_its_end_as_if_it_had_not_ended(tab):
    whole = write(tab, tokens=24, seed=8)
    write(tab, tokens=12, seed=8)
    tab.click("#more")
    tab.wait_for_selector(IDLE)
    assert words(tab) == whole
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "12")
    tab.click("text=Undo: back to where it branched")
    assert words(tab) == whole[:12]


def test_the_end_of_a_text_can_be_put_and_ends_it(tab):
    typed(tab, "top_k(50)")
    assert len(write(tab, tokens=6)) == 6
    typed(tab, "bias([[0, 30.0]])")  # which would draw the end, so that it is listed
    tab.locator(".waterfall tbody tr", has_text="<0>").locator("button.put").click()
    expect(tab.locator(".end")).to_have_text(" ■ the model ended it")
    assert words(tab) == ["“<0>”"]
    expect(tab.locator("#more")).to_be_disabled()


def test_a_token_put_at_the_last_place(tab):
    write(tab, tokens=4)
    tab.click(".token >> nth=3")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 4")
    word = put(tab)
    assert (len(words(tab)), words(tab)[3]) == (4, word)
    expect(tab.locator(".end")).to_have_text(" … as many tokens as asked for")
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "3")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 4, put here by hand")


def test_what_cannot_be_saved_is_said_on_the_page(rough):
    write(rough, tokens=4)
    put(rough)
    rough.click("#save-trace")
    expect(rough.locator("#notice")).to_contain_text("in this text tokens were put in by hand")
    typed(rough, "grammar('[a-z ]+', kind='regex')")
    write(rough, tokens=4)
    rough.click("#save-trace")
    expect(rough.locator("#notice")).to_contain_text("a trace file cannot carry grammar")
    assert len(words(rough)) > 0


def test_a_reload_and_a_link_keep_branches_of_several_recipes(tab, browser, server):
    write(tab, tokens=10, seed=5, prompt="The fox")
    tab.click(".token >> nth=4")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 5")
    typed(tab, "temperature(1.3) | top_k(60)")
    expect(tab.locator(".why .told")).to_be_visible()
    put(tab, 2)
    typed(tab, "top_p(0.7)")
    tab.click("#more")
    tab.wait_for_selector(IDLE)
    typed(tab, "top_k(9)")
    text = words(tab)
    assert len(text) == 20
    tab.click("#share")
    address = tab.evaluate("location.href")
    tab.reload()
    tab.wait_for_selector(READY)
    assert words(tab) == text
    expect(tab.locator("#branches .branch")).to_have_count(3)
    expect(tab.locator(".token.forced")).to_have_attribute("data-place", "4")
    with watched(browser) as page:
        page.goto(address)
        page.wait_for_selector(READY)
        assert words(page) == text
        expect(page.locator(RECIPE)).to_have_value("top_k(9)")


def test_a_reload_keeps_the_text_that_nobody_shared(tab):
    text = write(tab, tokens=7, seed="")
    tab.click(".token >> nth=3")
    tab.wait_for_function("() => location.hash.length > 50 && JSON.parse(atob(location.hash.slice(1))).at === 3")
    tab.reload()
    tab.wait_for_selector(READY)
    assert words(tab) == text
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "3")


@pytest.mark.parametrize(
    ("kept", "trouble", "count"),
    [
        ({"v": 2, "seed": "1"}, "", 0),
        ({"recipe": "my_rule(3) | top_p(0.9)", "seed": "1"}, "unknown rule 'my_rule'", 0),
        ({"seed": "1", "n": 3, "tab": "constructor", "at": "x", "colour": "<b>", "put": [5, [1], ["a", 2]]}, "", 3),
        ({"seed": "1", "n": 3, "put": [[1, 7], [2, 9]]}, "", 3),
        ({"seed": "1", "n": 3, "put": [[1, 7], [9, 9]]}, "", 3),
        ({"seed": "-1", "n": 3}, "", 0),
        ({"seed": 5, "n": -2, "other": {}, "wrote": 7}, "", 0),
    ],
)
def test_links_that_somebody_made_up(rough, server, kept, trouble, count):
    rough.goto(linked(server.url, **kept))
    rough.reload()
    rough.wait_for_selector(READY)
    assert len(words(rough)) == count
    expect(rough.locator("#recipe .trouble")).to_contain_text(trouble)
    if trouble:
        expect(rough.locator(RECIPE)).to_have_value(kept["recipe"])
    expect(rough.locator("#tab-why")).to_have_attribute("aria-selected", "true")
    assert len(write(rough, tokens=3, prompt="Hello") if not trouble else "   ") == 3


def test_a_link_of_another_model_says_so_and_back_goes_to_the_link_before(tab, server):
    tab.goto(linked(server.url, seed="1", n=3, model="nutshell"))
    expect(tab.locator(".token")).to_have_count(3)
    tab.goto(linked(server.url, seed="1", n=5, model="gpt2", other="temperature(0.0)", tab="compare"))
    expect(tab.locator(".token")).to_have_count(5)
    expect(tab.locator("#notice")).to_contain_text("made with gpt2, and here is nutshell")
    expect(tab.locator("[aria-label='recipe B as text']")).to_have_value("temperature(0.0)")
    tab.go_back()
    expect(tab.locator(".token")).to_have_count(3)


def test_an_answer_about_another_text_is_not_drawn(tab):
    write(tab, tokens=5)
    held = []
    tab.route("**/api/replay", lambda route: route.continue_() if held else held.append(route))
    with tab.expect_request("**/api/replay"):
        tab.click("#tab-replay")
    tab.fill("#most", "400")
    tab.click("#go")
    expect(tab.locator(".replay")).to_have_text("The text is being written.")
    with tab.expect_response("**/api/replay"):
        held[0].continue_()
    tab.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done)))")
    assert tab.locator(".replay").text_content() == "The text is being written."
    tab.click("#stop")
    expect(tab.locator("#replay-said")).to_contain_text("The seed draws the same text.")


def test_all_of_it_by_keys(tab):
    tab.focus("#prompt")
    tab.keyboard.press("Control+a")
    tab.keyboard.type("The old king")
    tab.fill("#most", "5")
    tab.focus("#prompt")
    tab.keyboard.press("Control+Enter")
    expect(tab.locator(".end")).not_to_be_empty()

    def reach(selector):
        for _ in range(60):
            if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            tab.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by Tab")

    reach(".token")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 2")
    reach("#tab-why")
    reach(".waterfall button.put")
    tab.keyboard.press("Enter")
    expect(tab.locator(".token.forced")).to_have_attribute("data-place", "1")
    tab.wait_for_selector(IDLE)
    reach("#tab-why")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#tab-compare")).to_be_focused()
    reach("[aria-label='the recipe as text']")


@pytest.mark.parametrize(("prompt", "direction"), [("היה היה פעם", "rtl"), ("昔々あるところに", "ltr")])
def test_a_text_runs_as_its_script_does_and_the_arrow_keys_with_it(tab, prompt, direction):
    write(tab, tokens=6, prompt=prompt)
    assert tab.locator("#text").evaluate("t => getComputedStyle(t).direction") == direction
    tab.locator(".token").first.focus()
    tab.keyboard.press("ArrowLeft" if direction == "rtl" else "ArrowRight")
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "1")


def test_markup_in_a_prompt_is_text(tab):
    prompt = "<img src=x onerror=alert(1)> & <b>\u202e"
    write(tab, tokens=3, prompt=prompt)
    assert tab.locator(".prompt").text_content() == prompt
    tab.click("#more")
    tab.wait_for_selector(IDLE)
    assert tab.locator("#text img, #branches img, #view img").count() == 0


def test_bytes_that_are_no_character_yet_can_be_put_and_seen(tab):
    typed(tab, "allow([163, 164, 165, 166, 167]) | temperature(2.0)")  # single bytes
    found = write(tab, tokens=8)
    assert all("\\x" in word for word in found)
    assert tab.locator(".token").first.text_content() != ""
    put(tab)
    tab.click("#tab-replay")
    expect(tab.locator("#replay-said")).to_contain_text("Of 8 tokens")
