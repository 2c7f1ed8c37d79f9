"""The playground in a real browser: from a slider to the waterfall redrawn, and how soon the page is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import uvicorn
from playwright.sync_api import Browser, ViewportSize, sync_playwright

import logitherm as lt
from benchmarks.machine import ROOT
from benchmarks.turns import Found, described
from logitherm.playground.app import STATIC, Playground
from logitherm.playground.guard import Guard

DATA = ROOT.parent / "shared" / "data" / "logits" / "gpt2_124m.npz"
RECIPE = "repetition(1.1) | temperature(0.8) | top_k(200) | top_p(0.95) | min_p(0.02)"
MOVES = 100
SLIDER, READY = "slider to waterfall", "command to page"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
WIDE: ViewportSize = {"width": 1300, "height": 900}


class Numbered:
    """A vocabulary of GPT-2's size without its words."""

    size, eos = 50_257, ()

    def encode(self, text: str) -> list[int]:
        """One token, whatever the text."""
        return [len(text)]

    def bytes_of(self, token: int) -> bytes:
        """The token's number."""
        return f" {token}".encode()


def gpt2() -> lt.CallableModel:
    """A model that gives GPT-2's stored rows, one after another; random ones where they are not at hand."""
    if DATA.is_file():
        with np.load(DATA) as stored:
            rows = [stored[name].astype(np.float32) for name in stored.files if name.startswith("logits_")]
    else:
        rows = list((np.random.default_rng(0).normal(size=(3, 50_257)) * 2.5).astype(np.float32))

    def logits(ids: Sequence[int]) -> np.ndarray:
        row: np.ndarray = rows[len(ids) % len(rows)]
        return row

    return lt.CallableModel(logits, Numbered(), name="GPT-2's stored logits")


def moved(browser: Browser) -> dict[str, float]:
    """What it takes from a slider's move to the next frame with the new waterfall, in microseconds."""
    app = Guard(Playground(gpt2()).app())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    page = browser.new_page(viewport=WIDE)
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("html[data-ready]")
    page.fill("[aria-label='the recipe as text']", RECIPE)
    page.wait_for_timeout(600)
    page.fill("#most", "5")
    page.click("#go")
    page.wait_for_selector(".waterfall")
    page.locator("[aria-label='top_p.p, slider']").focus()
    for move in range(MOVES):
        page.keyboard.press("ArrowLeft" if move % 40 < 20 else "ArrowRight")
        page.wait_for_function(f"() => performance.getEntriesByName('slider to waterfall').length > {move}")
    times = page.evaluate("performance.getEntriesByName('slider to waterfall').map(e => e.duration)")
    page.close()
    server.should_exit = True
    thread.join(10)
    found = described([t / 1e3 for t in times])
    return {**found, "p95": float(np.quantile(times, 0.95)) * 1e3}


def ready(browser: Browser) -> dict[str, float]:
    """From the command to the page that can be used, in microseconds."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "logitherm", "play", "--no-browser", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found
        page = browser.new_page(viewport=WIDE)
        page.goto(found[0])
        page.wait_for_selector("html[data-ready]")
        times.append(time.perf_counter() - begun)
        page.close()
        process.kill()
        process.wait()
        process.stderr.close()
    return described(times)


def playground() -> Found:
    """Both, in one browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = {SLIDER: moved(browser), READY: ready(browser)}
        browser.close()
    return found


def weight() -> int:
    """The bytes of the page: all its files."""
    return sum(path.stat().st_size for path in STATIC.iterdir())
