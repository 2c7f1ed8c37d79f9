"""A real server with Nutshell; `tab` is a page of it in a real Chromium."""

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from tests.cli.test_cli import mind_ctrl_c

READY = "html[data-ready]"


class Server:
    """`logitherm play` in a process of its own."""

    def __init__(self, port=0, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logitherm", "play", "--no-browser", "--port", str(port), *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOGITHERM_PLAN": "plain", "COLUMNS": "200"},
            preexec_fn=mind_ctrl_c,
        )
        line = self.process.stderr.readline()
        found = re.search(r"at (http://\S+:(\d+)/\S*)", line)
        assert found, line + self.process.stderr.read()
        self.url, self.port = found[1], int(found[2])
        self._lines = []
        self._reader = threading.Thread(target=lambda: self._lines.extend(self.process.stderr), daemon=True)
        self._reader.start()  # a pipe that nobody empties is full at some time, and then the server waits

    def said(self):
        """What the server said in its window so far, but for the greeting."""
        return [line for line in self._lines if "Ctrl-C" not in line]

    def kill(self):
        self.process.kill()
        self.process.wait(20)
        self._reader.join(20)
        self.process.stderr.close()


@contextmanager
def serving(*options, port=0):
    server = Server(port, *options)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def server():
    with serving() as found:
        yield found


@pytest.fixture
def tab(browser, server):
    """A page that must log no error and ask nobody but the server."""
    with watched(browser) as page:
        page.goto(server.url)
        page.wait_for_selector(READY)
        yield page


@contextmanager
def watched(browser, quiet=True, **options):
    context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **options})
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    context.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(30_000)
    try:
        yield page
        assert not quiet or said == []
        assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
    finally:
        context.close()


def write(page, seed=3, tokens=30, prompt=None):
    """Write a text and wait for its end."""
    if prompt is not None:
        page.fill("#prompt", prompt)
    page.fill("#seed", str(seed))
    page.fill("#most", str(tokens))
    page.click("#go")
    page.wait_for_selector("#go:not([disabled])")
    page.wait_for_selector(".waterfall")
    return words(page)


def words(page):
    return page.eval_on_selector_all(".token", "all => all.map(t => t.getAttribute('aria-label'))")


AXE = Path(str(files("axe_playwright_python").joinpath("axe.min.js")))
