"""How long a command takes to its first piece of text, with and without kernels that an earlier one compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.shapes import SMALL, save
from benchmarks.turns import Found, described

FRESH, KEPT = "kernels never compiled", "kernels compiled before"
SHIPPED, LARGER = "the shipped model", "a model of 50,257 tokens"

LOAD = "import time; from logitherm.kernels.compiling import KERNELS; a = time.perf_counter(); KERNELS.load(); " + (
    "print(time.perf_counter() - a, KERNELS.standing)"
)


def cold_start(which: str, repeats: int) -> Found:
    """Time `logitherm generate` from its start to the first byte of text in a pipe, in turns."""
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        if which == LARGER:
            save(SMALL, "peaked", model)
        times: dict[str, list[float]] = {FRESH: [], KEPT: []}
        kept = Path(folder) / "kept"
        compiling(kept)
        for turn in range(repeats):
            times[FRESH].append(first_byte(Path(folder) / f"fresh{turn}", model if which == LARGER else None))
            times[KEPT].append(first_byte(kept, model if which == LARGER else None))
    return {name: described(found) for name, found in times.items()}


def compile_times(repeats: int) -> Found:
    """Time how long the background thread needs until the kernels are there."""
    times: dict[str, list[float]] = {FRESH: [], KEPT: []}
    with TemporaryDirectory() as folder:
        for turn in range(repeats):
            for name in times:
                times[name].append(compiling(Path(folder) / str(turn)))
    return {name: described(found) for name, found in times.items()}


def compiling(cache: Path) -> float:
    """The seconds in which another process has kernels, with this folder as Numba's cache."""
    said = subprocess.run([sys.executable, "-c", LOAD], env=_environment(cache), capture_output=True, text=True)
    seconds, _, standing = said.stdout.strip().partition(" ")
    if standing != "compiled":
        raise RuntimeError(f"the kernels could not be compiled: {standing}{said.stderr[-300:]}")
    return float(seconds)


def first_byte(cache: Path, model: Path | None) -> float:
    """The seconds from the start of a command to its first byte of text."""
    command = [sys.executable, "-m", "logitherm", "generate", "Once upon a time", "--seed", "7", "--quiet"]
    command += ["--max-new-tokens", "5", *(["--model", str(model)] if model else [])]
    begun = time.perf_counter()
    with subprocess.Popen(command, env=_environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        first = running.stdout.read(1)
        seconds = time.perf_counter() - begun
        running.stdout.read()
        complaint = running.stderr.read().decode()
    if running.returncode or not first.strip(b"\r\n"):
        raise RuntimeError(f"{' '.join(command[2:])} wrote no text: {complaint[-300:]}")
    return seconds


def _environment(cache: Path) -> dict[str, str]:
    """This process's, with another cache for kernels."""
    cache.mkdir(parents=True, exist_ok=True)
    return os.environ | {"NUMBA_CACHE_DIR": str(cache)}
