"""Pictures of the playground, made by `make screenshots`: each view, light and dark, wide and narrow; the widgets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright
from tests.notebook.conftest import Lab, command, opened
from tests.notebook.test_widgets import CELLS

ROOT = Path(__file__).parents[1]
ALL = ROOT / "build" / "screenshots"
SHOWN = {
    "why-light-wide": "play-why.png",
    "why-dark-narrow": "play-narrow.png",
    "compare-dark-wide": "play-compare.png",
    "replay-light-wide": "play-replay.png",
    "strip-light-wide": "play-temperatures.png",
    "notebook-light": "notebook.png",
}
"""Which of them the pages show."""

SCHEMES: tuple[Literal["light", "dark"], ...] = "light", "dark"


def views(browser: Browser, url: str, scheme: Literal["light", "dark"], name: str, width: int, height: int) -> None:
    """All views in one scheme and width."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    page.fill("#seed", "7")
    page.fill("#most", "40")
    page.click("#go")
    page.wait_for_selector("#go:not([disabled])")
    page.click(".token >> nth=11")
    page.select_option("#colour", "entropy")
    for tab in ("why", "compare", "replay", "strip"):
        if tab == "replay":
            page.fill("[aria-label='the recipe as text']", "temperature(0.8) | top_k(3)")
        page.click(f"#tab-{tab}")
        page.mouse.move(2, 2)
        page.wait_for_timeout(1500)
        page.screenshot(path=ALL / f"{tab}-{scheme}-{name}.png", full_page=name == "wide")
    page.close()


def notebook(browser: Browser) -> None:
    """The widgets in JupyterLab, in both schemes."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        try:
            with opened(browser, lab, "live.ipynb", *CELLS[:2]) as page:
                page.wait_for_selector(".waterfall tbody tr")
                page.evaluate("window.jupyterapp.shell.collapseLeft()")
                for scheme in SCHEMES:
                    command(page, "apputils:change-theme", theme=f"JupyterLab {scheme.capitalize()}")
                    page.locator(".waterfall tbody tr").nth(1).hover()
                    page.wait_for_timeout(1500)
                    page.locator(".jp-Notebook").screenshot(path=ALL / f"notebook-{scheme}.png")
        finally:
            lab.end()


def main() -> None:
    """Take them all, and copy those that are shown."""
    ALL.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "logitherm", "play", "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    found = re.search(r"http://\S+", server.stderr.readline())
    assert found
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in SCHEMES:
            views(browser, found[0], scheme, "wide", 1200, 800)
            views(browser, found[0], scheme, "narrow", 360, 740)
        notebook(browser)
        browser.close()
    server.kill()
    server.wait()
    server.stderr.close()
    for name, shown in SHOWN.items():
        shutil.copy(ALL / f"{name}.png", ROOT / "docs" / "figures" / shown)


if __name__ == "__main__":
    main()
