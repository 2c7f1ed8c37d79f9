"""A model with a chat template: the prompt may be a user's message."""

from playwright.sync_api import expect

import logitherm as lt
from tests.models.conftest import TEMPLATE, gpt2_config, save
from tests.playground.conftest import READY, serving, watched, words, write


def test_a_model_that_can_chat_is_asked_as_it_was_trained(browser, tmp_path):
    folder = str(save(tmp_path / "tiny-gpt2", gpt2_config(), chat_template=TEMPLATE))
    with serving("--model", folder) as server, watched(browser, quiet=False) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        plain = write(page, seed=2, tokens=8, prompt="The cat")
        page.check("#chat")
        found = write(page, seed=2, tokens=8)
        text = lt.generate(
            "The cat", page.input_value("[aria-label='the recipe as text']"), model=folder, chat=True, seed=2,
            max_new_tokens=8,
        )  # fmt: skip
        assert page.locator(".tokens").text_content().replace("·", "") == text.text  # a dot is a part of a character
        assert found != plain
        assert page.locator(".prompt").text_content() == "The cat\n\n"
        page.click("#share")
        page.reload()
        page.wait_for_selector(READY)
        assert words(page) == found
        expect(page.locator("#chat")).to_be_checked()
        with page.expect_download() as coming:
            page.click("#save-trace")
        coming.value.save_as(tmp_path / "text.trace")
        assert lt.verify(tmp_path / "text.trace").right
        page.fill("#prompt", "<|im_end|>")
        page.click("#go")
        expect(page.locator("#notice")).to_contain_text("a message must not spell the control token")


def test_one_that_cannot_is_offered_no_message(tab):
    expect(tab.locator("#chat")).to_be_hidden()
