"""A real JupyterLab with a real kernel, in a real Chromium."""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.playground.conftest import watched

SETTINGS = {
    # its news would come from elsewhere, and it asks whether it may fetch them
    "page_config.json": {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    # cells below the window are drawn too
    "default_setting_overrides.json": {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}},
}
OPTIONS = """
--no-browser --allow-root --ip=127.0.0.1 --port=0 --IdentityProvider.token=known --LabApp.expose_app_in_browser=True
--LabApp.extension_manager=readonly
""".split()  # noqa: SIM905


class Lab:
    """JupyterLab in a process of its own, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        places = {name: str(folder / name.lower()) for name in ("config", "data", "runtime")}
        for name, settings in SETTINGS.items():
            file = folder / "config" / "labconfig" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *OPTIONS],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOGITHERM_PLAN": "plain", **{f"JUPYTER_{k.upper()}_DIR": v for k, v in places.items()}},
        )
        lines = self.process.stderr
        assert lines is not None
        said = []
        for line in lines:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self.port = found[1]
                break
        assert hasattr(self, "port"), "".join(said)
        threading.Thread(target=lambda: [*lines], daemon=True).start()  # so that it never waits for us

    def write(self, name, cells):
        """A notebook of these code cells; its address."""
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, self.folder / name)
        return f"http://127.0.0.1:{self.port}/lab/tree/{name}?token=known"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.process.stderr is not None:
            self.process.stderr.close()


expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    found = Lab(tmp_path_factory.mktemp("lab"))
    yield found
    found.end()


@contextmanager
def opened(browser, lab, name, *cells):
    """A notebook in the browser, its cells run one after another."""
    with watched(browser) as page:
        page.goto(lab.write(name, cells))
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        command(page, "notebook:run-all-cells")
        yield page


def command(page: Page, name: str, **given: Any) -> None:
    """One of JupyterLab's own commands, when it is ready for it."""
    page.wait_for_function("name => window.jupyterapp?.commands.isEnabled(name)", arg=name)
    page.evaluate("([name, given]) => void window.jupyterapp.commands.execute(name, given)", [name, given])


EXECUTE = """async (code) => {
  const asked = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code });
  let said = "";
  asked.onIOPub = ({ content }) => (said += content.text ?? content.evalue ?? "");
  await asked.done;
  return said;
}"""


def execute(page, code):
    """Run code in the notebook's kernel; what it printed, or its error."""
    return page.evaluate(EXECUTE, code)
