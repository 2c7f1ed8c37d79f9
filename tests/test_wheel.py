"""The wheel alone, in an empty environment, with the network cut: it generates and explains."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST = 20_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel, record_property):
    record_property("wheel size", f"{wheel.stat().st_size / 1e6:.2f} MB")
    assert wheel.stat().st_size <= LARGEST
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"logitherm"}
    for file in ("py.typed", "presets.toml", "models/nutshell/model.onnx", "models/nutshell/tokenizer.json"):
        assert f"logitherm/{file}" in names
    page = {f"logitherm/playground/static/{path.name}" for path in (ROOT / "src/logitherm/playground/static").iterdir()}
    assert page <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_wheel_alone_generates_and_explains_without_a_network(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "100"}
    cut = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*cut, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let a process cut its own network (unshare --net)")
    alone = [*cut, python, "-m", "logitherm"]

    def run(*args):
        return subprocess.run([*alone, *args], capture_output=True, text=True, env=environment, check=True).stdout

    options = ["--seed", "4", "-r", "temperature(0.7) | top_p(0.9)", "--json"]
    text = json.loads(run("generate", "The cat slept on the", "--max-new-tokens", "12", *options))
    trace = json.loads(run("explain", "The cat slept on the", *options))
    assert len(text["text"].split()) > 3
    assert trace["draw"]["id"] == text["tokens"][0]["id"]
    assert "lands in" in run("explain", "The cat slept on the")
    assert "check: nutshell  right" in run("doctor")
    assert list(home.iterdir()) == []  # nothing is written
