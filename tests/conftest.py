"""What several tests share: where the field data lies, and rows of logits that make trouble."""

import os

# One thread a test: several workers share the machine, and for tiny models torch is many times slower on two.
# It must be said before numpy or torch is imported; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Triton looks at it when it is imported, which torch may do: kernels for graphics cards are tested without one.
os.environ["TRITON_INTERPRET"] = "1"

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ours", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

# No test asks a hub, or finds what this machine's user once got from one; processes that tests start inherit this.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir()) / "logitherm-tests-without-models")

DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_terminal_summary(terminalreporter):
    """What tests measured (`record_property`), also when they pass and on which worker they ran."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and report.user_properties:
            measured = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {measured}")


CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SILENT = "--disable-background-networking", "--disable-component-update", "--disable-sync"


@pytest.fixture(scope="session")
def browser():
    """A real Chromium; one for all tests of a worker, for playwright cannot run twice in a thread."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "these tests need Chromium: apt-get install chromium, or CHROMIUM=PATH"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", *SILENT],
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def gpt2():
    """Three rows of next-token logits of GPT-2 124M, (3, 50257) float32."""
    path = DATA / "logits" / "gpt2_124m.npz"
    if not path.is_file():
        pytest.skip("needs ../shared/data/logits/gpt2_124m.npz, which a clone of the project alone does not have")
    stored = np.load(path)
    return np.stack([stored[f"logits_{i}"] for i in range(3)])
