"""The page in a real browser: what a person does there, and what must hold while they do."""

import random
from itertools import pairwise

import pytest
from playwright.sync_api import expect

import logitherm as lt
from logitherm.rules import REGISTRY
from logitherm.show.table import number
from tests.playground.conftest import AXE, READY, Server, serving, watched, words, write

NAMES = "[...document.querySelectorAll('.waterfall .stage .name')].map(s => s.textContent)"
CELLS = """[...document.querySelectorAll('.waterfall tbody tr')].map(
    row => [...row.cells].map(cell => cell.querySelector('.word')?.textContent ?? cell.textContent))"""


def recipe(page):
    return page.input_value("[aria-label='the recipe as text']")


def set_recipe(page, text):
    page.fill("[aria-label='the recipe as text']", text)
    page.wait_for_function(
        "text => document.querySelector('#recipe .cards').dataset.recipe === text", arg=str(lt.parse(text))
    )


def stages(page):
    return page.eval_on_selector_all(".waterfall .stage .name", "all => all.map(s => s.textContent)")


def test_a_text_is_what_the_library_draws(tab):
    """The same prompt, recipe and seed as `lt.generate`."""
    found = write(tab, seed=11, tokens=25)
    prompt = tab.input_value("#prompt")
    text = lt.generate(prompt, "temperature(0.8) | top_p(0.95)", seed=11, max_new_tokens=25)
    assert found == [f"“{token.text}”" for token in text.tokens]
    assert tab.locator(".tokens").text_content() == text.text
    expect(tab.locator("#model")).to_contain_text("3.4 M parameters")


def test_hover_shows_what_else_could_have_come(tab):
    write(tab)
    tab.hover(".token >> nth=4")
    expect(tab.locator("#tip")).to_be_visible()
    assert tab.locator("#tip tr").count() >= 1
    tab.locator(".token").nth(4).focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".token[aria-selected=true]")).to_have_attribute("data-place", "5")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 6")
    for colour in ("p0", "p2", "surprise", "entropy", "temperature"):
        tab.select_option("#colour", colour)
        assert "rgb" in tab.locator(".token").nth(4).evaluate("t => t.style.background")


def test_force_another_token_branch_and_undo(tab):
    before = write(tab, tokens=20)
    tab.click(".token >> nth=6")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 7")
    row = tab.locator(".waterfall tbody tr:not(.here)").nth(2)
    put = row.locator(".word").text_content()
    row.locator("button.put").click()
    tab.wait_for_selector("#go:not([disabled])")
    after = words(tab)
    assert after[:6] == before[:6]
    assert after[6] == put != before[6]
    expect(tab.locator(".token").nth(6)).to_have_class("token forced")
    expect(tab.locator("#branches .branch")).to_have_count(2)
    tab.click("text=Undo: back to where it branched")
    assert words(tab) == before


def test_what_is_clicked_in_a_waterfall_is_about_the_step_it_shows(tab):
    write(tab, tokens=8)
    tab.click(".token >> nth=2")
    expect(tab.locator(".waterfall caption")).to_contain_text("Token 3")
    tab.route("**/api/step", lambda route: None)  # the answer for the next token stays away
    tab.click(".token >> nth=6")
    row = tab.locator(".waterfall tbody tr:not(.here)").nth(1)
    put = row.locator(".word").text_content()
    row.locator("button.put").click()
    tab.wait_for_selector("#go:not([disabled])")
    expect(tab.locator(".token.forced")).to_have_attribute("data-place", "2")
    assert words(tab)[2] == put
    tab.unroute("**/api/step")


def test_rules_are_dragged_switched_off_and_removed_by_mouse_and_keys(tab):
    write(tab, tokens=5)
    assert stages(tab) == ["raw", "temperature(0.8)", "top_p(0.95)"]
    first, second = (tab.locator("#recipe .grip").nth(i).bounding_box() for i in (0, 1))
    tab.mouse.move(first["x"] + 5, first["y"] + 5)
    tab.mouse.down()
    tab.mouse.move(second["x"] + 5, second["y"] + 60, steps=8)
    tab.mouse.up()
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("top_p(0.95) | temperature(0.8)")
    tab.wait_for_function("() => document.querySelectorAll('.waterfall .name')[1]?.textContent.startsWith('top_p')")
    tab.locator("#recipe .grip").nth(1).focus()
    tab.keyboard.press("ArrowUp")
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("temperature(0.8) | top_p(0.95)")
    tab.uncheck("[aria-label='temperature is on']")
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("top_p(0.95)")
    tab.select_option("[aria-label='Add a rule']", "top_k")
    expect(tab.locator("#recipe .card")).to_have_count(3)  # the one that is off stays
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("top_p(0.95) | top_k(1)")
    tab.click("[aria-label='Remove top_k']")
    tab.check("[aria-label='temperature is on']")
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("temperature(0.8) | top_p(0.95)")
    tab.fill("[aria-label='the recipe as text']", "min_p(0.1) | temprature(2)")
    expect(tab.locator("#recipe .trouble")).to_have_text("unknown rule 'temprature'; did you mean 'temperature'?")
    tab.fill("[aria-label='the recipe as text']", "top_k(20) | top_k(50)")
    expect(tab.locator("#recipe .remarks li")).to_have_count(1)
    tab.select_option("[aria-label='Presets']", label="greedy")
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("temperature(0.0)")


def test_a_walk_of_few_clicks(browser, server):
    """Make the model loop, stop it with one rule, and find what removed a token: at most six clicks each."""
    with watched(browser) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        page.fill("#most", "120")
        page.select_option("[aria-label='Presets']", label="greedy")  # two clicks
        expect(page.locator("[aria-label='the recipe as text']")).to_have_value("temperature(0.0)")
        page.click("#go")
        page.wait_for_selector(".end:not(:empty)", timeout=60_000)
        looped = words(page)
        assert repeated(looped) > 0.3
        page.select_option("[aria-label='Add a rule']", "no_repeat_ngram")
        expect(page.locator("[aria-label='the recipe as text']")).to_have_value("no_repeat_ngram(2) | temperature(0.0)")
        page.click("#go")
        page.wait_for_selector("#go:not([disabled])", timeout=60_000)
        free = words(page)
        assert repeated(free) == 0
        parts = next(i for i, (a, b) in enumerate(zip(looped, free, strict=False)) if a != b)
        page.click(f".token >> nth={parts}")
        expect(page.locator(".waterfall caption")).to_contain_text(f"Token {parts + 1}")
        row = page.locator(".waterfall tbody tr", has_text=looped[parts]).first
        removed = [i for i, cell in enumerate(row.locator("td").all()) if "out" in (cell.get_attribute("class") or "")]
        assert page.locator(".waterfall .stage .name").nth(removed[0]).text_content() == "no_repeat_ngram(2)"


def repeated(found):
    """The part of neighbouring pairs that came before."""
    pairs = list(pairwise(found))
    return 1 - len(set(pairs)) / len(pairs)


def test_a_slider_changes_the_waterfall(tab):
    write(tab, tokens=5)
    slide = tab.locator("[aria-label='top_p.p, slider']")
    slide.focus()
    tab.keyboard.press("Home")
    expect(tab.locator("[aria-label='the recipe as text']")).to_have_value("temperature(0.8) | top_p(0.005)")
    expect(tab.locator(".waterfall .stage").nth(2)).to_contain_text("1 kept")
    assert tab.evaluate("() => performance.getEntriesByName('redraw').length") >= 2


def test_compare_replay_and_temperatures(tab):
    write(tab, seed=5, tokens=30)
    tab.click("#tab-compare")
    expect(tab.locator(".facts")).to_contain_text("total variation")
    tab.fill("[aria-label='recipe B as text']", "temperature(0.0)")
    expect(tab.locator(".facts")).to_contain_text("B 1")
    tab.click("#tab-replay")
    expect(tab.locator("#replay-said")).to_contain_text("30 same")
    tab.fill("[aria-label='the recipe as text']", "temperature(0.8) | top_k(1)")
    expect(tab.locator("#replay-said")).to_contain_text("The seed would draw another token")
    assert tab.locator(".column.impossible").count() == tab.locator(".column.other").count() > 0
    tab.locator(".column.impossible").first.click()
    tab.click("#tab-strip")
    expect(tab.locator("table.strip thead th")).to_have_count(11)


def test_hovering_a_row_says_the_setting_at_which_it_leaves(tab):
    write(tab, tokens=4)
    tab.locator(".waterfall tbody tr").nth(1).hover()
    expect(tab.locator(".limits")).to_contain_text("top_p: ")


def test_a_link_restores_all_of_it(browser, server):
    with watched(browser) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        set_recipe(page, "top_k(7) | temperature(0.9)")
        write(page, seed=18446744073709551615, tokens=12, prompt="Die Königin 王 שלום said")
        page.click(".token >> nth=3")
        expect(page.locator(".waterfall caption")).to_contain_text("Token 4")
        page.locator(".waterfall tbody tr:not(.here) button.put").first.click()
        page.wait_for_selector("#go:not([disabled])")
        expect(page.locator(".token.forced")).to_have_attribute("data-place", "3")
        page.click("#tab-replay")
        page.fill("[aria-label='the recipe as text']", "top_k(3)")
        expect(page.locator("#recipe .card")).to_have_count(1)
        page.click("#share")
        address, text = page.evaluate("location.href"), words(page)
        page.reload()
        page.wait_for_selector(READY)
        assert words(page) == text
    with watched(browser) as page:
        page.goto(address)
        page.wait_for_selector(READY)
        assert words(page) == text
        assert recipe(page) == "top_k(3)"
        expect(page.locator("#tab-replay")).to_have_attribute("aria-selected", "true")
        page.goto(server.url + "#nonsense")
        page.reload()
        page.wait_for_selector(READY)


def test_what_is_taken_away_opens_elsewhere(tab, tmp_path):
    write(tab, seed=4, tokens=6)
    for name in ("trace", "html"):
        with tab.expect_download() as coming:
            tab.click(f"#save-{name}")
        coming.value.save_as(tmp_path / coming.value.suggested_filename)
    assert lt.verify(tmp_path / "text.trace").right
    page = (tmp_path / "text.html").read_text()
    assert "<script" not in page
    assert "Logitherm" in page or "logitherm" in page


def test_stop_in_the_middle(tab):
    tab.fill("#most", "400")
    tab.click("#go")
    tab.wait_for_selector(".token >> nth=5")
    tab.click("#stop")
    expect(tab.locator(".end")).to_have_text(" ■ stopped")
    assert 5 < len(words(tab)) < 400
    count = len(words(tab))
    tab.wait_for_timeout(300)
    assert len(words(tab)) == count
    write(tab, tokens=3)


def test_the_server_dies_in_the_middle_and_comes_back(browser):
    first = Server()
    with watched(browser, quiet=False) as page:
        page.goto(first.url)
        page.wait_for_selector(READY)
        page.fill("#most", "400")
        page.click("#go")
        page.wait_for_selector(".token >> nth=5")
        first.kill()
        expect(page.locator("#notice")).to_contain_text("the server does not answer")
        expect(page.locator("#go")).to_be_enabled()
        page.click("#go")
        expect(page.locator("#notice")).to_contain_text("the server does not answer")
        with serving(port=first.port):
            page.click(".token >> nth=2")
            expect(page.locator("#notice")).to_contain_text("write it again")
            write(page, tokens=5)
            expect(page.locator("#notice")).to_be_empty()


def test_two_tabs_at_once(browser, server):
    with watched(browser) as one, watched(browser) as two:
        for page in (one, two):
            page.goto(server.url)
            page.wait_for_selector(READY)
            page.fill("#most", "60")
        one.fill("#seed", "1")
        two.fill("#seed", "2")
        one.click("#go")
        two.click("#go")
        for page in (one, two):
            page.wait_for_selector(".end:not(:empty)")
        assert words(one) != words(two)
        assert words(one) == write(two, seed=1, tokens=60)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1300])
def test_nothing_serious_for_axe_and_nothing_wider_than_the_screen(browser, server, scheme, width):
    with watched(browser, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        write(page, tokens=12)
        drawn = {"why": ".waterfall", "compare": ".facts", "replay": "#replay-said", "strip": "table.strip"}
        for tab, sign in drawn.items():
            page.click(f"#tab-{tab}")
            page.wait_for_selector(sign)
            page.evaluate(AXE.read_text("utf-8"))
            found = page.evaluate("axe.run()")["violations"]
            serious = [
                (v["id"], [n["html"][:120] for n in v["nodes"][:3]])
                for v in found
                if v["impact"] in ("serious", "critical")
            ]
            assert serious == [], tab
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab


def test_the_waterfall_says_what_explain_says(tab, server):
    """Every number of it, at the precision shown, for fifty random recipes."""
    rng = random.Random(0)
    ours = [rule for rule in REGISTRY.values() if rule.__module__.startswith("logitherm.")]  # tests may make others
    known = [rule(**e) for rule in ours for e in rule.examples]
    usable = [rule for rule in known if not rule.per_row() and "linear(" not in str(rule) and rule.name != "forced_eos"]
    write(tab, seed=9, tokens=3)
    prompt = tab.input_value("#prompt")
    tried = 0
    while tried < 50:
        text = " | ".join(str(rng.choice(usable)) for _ in range(rng.randint(1, 4)))
        try:
            told = lt.explain(prompt, text, seed=9, top=24).to_dict()
        except lt.LogithermError:
            continue
        tried += 1
        tab.evaluate("() => { document.querySelector('.waterfall').dataset.old = 'yes'; }")
        set_recipe(tab, text)
        tab.wait_for_function(
            "() => document.querySelector('.waterfall') && !document.querySelector('.waterfall').dataset.old"
        )
        tab.wait_for_function(f"text => {NAMES}.slice(1).join(' | ') === text", arg=told["recipe"])
        shown = tab.evaluate(CELLS)
        drawn = told["draw"]["id"]
        expected = []
        for i, raw in enumerate(told["stages"][0]["tokens"][:24]):
            cells = [stage["tokens"][i] for stage in told["stages"]]
            line = [f"“{raw['text']}”".replace("\n", "⏎")]
            for place, cell in enumerate(cells):
                before = cells[place - 1] if place else None
                if cell["logit"] is not None:
                    line.append(number(cell["p"]))
                else:
                    line.append("" if before and before["logit"] is None else number(before["p"]) if before else "✗")
            expected.append(line)
        assert shown[: len(expected)] == expected, text
        assert tab.locator(".draw b").text_content() == f"“{told['draw']['text']}”".replace("\n", "⏎"), (text, drawn)


def test_ready_soon_and_light(server):
    from logitherm.playground.app import STATIC

    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 300_000
    assert not [path for path in STATIC.iterdir() if "://" in path.read_text("utf-8").replace("http://127", "")]
