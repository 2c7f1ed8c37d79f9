"""One step of one row: `Sampler.step` and the bare kernel against transformers, NumPy and the floor; `make bench`.

Everything is timed in one run, interleaved, so that a slow moment of the machine is everybody's. Times are medians of
what `time.perf_counter` says, in microseconds; ratios are of medians. The page docs/performance.md is what this prints.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.progress import track
from transformers.generation import logits_process as theirs

import logitherm as lt
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.cpu import calls, workspace
from logitherm.plan import VARIABLE

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
GPT2 = Path(__file__).parents[2] / "shared" / "data" / "logits" / "gpt2_124m.npz"
SIZES = [32_000, 50_257, 128_256]
ROUNDS, TURNS = 40, 12
"""How often each contender has its turn, and how many steps a turn takes; slow ones take one."""

RECIPES: dict[str, Callable[[], list[Any]] | None] = {
    "temperature(0.8)": lambda: [theirs.TemperatureLogitsWarper(0.8)],
    "top_k(50)": lambda: [theirs.TopKLogitsWarper(50)],
    "min_p(0.05)": lambda: [theirs.MinPLogitsWarper(0.05)],
    "top_p(0.95)": lambda: [theirs.TopPLogitsWarper(0.95)],
    "top_k(50) | top_p(0.95)": lambda: [theirs.TopKLogitsWarper(50), theirs.TopPLogitsWarper(0.95)],
    "dynamic_temperature(0.5, entropy=0.1) | top_p(0.95)": None,
}
"""A recipe and the processors of transformers that do the same; None where there are none: there its top_p alone."""


def rows(size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Four rows of each kind, float32."""
    rng = np.random.default_rng(size)
    yield "peaked", (rng.normal(size=(4, size)) * 3).astype(np.float32)
    yield "flat", (rng.normal(size=(4, size)) * 0.8).astype(np.float32)
    if size == 50_257 and GPT2.is_file():
        stored = np.load(GPT2)
        yield "gpt2", np.stack([stored[f"logits_{i % 3}"] for i in range(4)]).astype(np.float32)


def contenders(recipe: str, lines: np.ndarray) -> dict[str, Callable[[int], Any]]:
    """What is timed: a function of the number of the row."""
    sampler = lt.parse(recipe)
    told, memory = sampler.plan()._told, workspace.memory(lines.shape[1])
    states = [sampler.start([[]], seed=1)]
    tensors = [torch.from_numpy(line)[None] for line in lines]
    processors = (RECIPES[recipe] or RECIPES["top_p(0.95)"] or list)()
    assert told is not None

    def step(i: int) -> None:
        states[0] = sampler.step(lines[i : i + 1], states[0]).state

    def plain(i: int) -> None:
        os.environ[VARIABLE] = "plain"
        sampler.step(lines[i : i + 1], states[0])
        del os.environ[VARIABLE]

    def transformer(i: int) -> None:
        scores = tensors[i]
        for processor in processors:
            scores = processor(None, scores)
        torch.multinomial(torch.softmax(scores, dim=-1), 1)

    return {
        "step": step,
        "kernel": lambda i: calls.run(lines[i], 0.37, *told, *memory, False),
        "plain": plain,
        "transformers": transformer,
        "np.max": lambda i: lines[i].max(),
    }


def timed(functions: dict[str, Callable[[int], Any]]) -> dict[str, float]:
    """The median microseconds of a call of each, in turns."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function(0)
    for turn in range(ROUNDS):
        for name, function in functions.items():
            for step in range(1 if name in ("transformers", "plain") else TURNS):
                begun = time.perf_counter()
                function((turn + step) % 4)
                found[name].append(1e6 * (time.perf_counter() - begun))
    return {name: median(times) for name, times in found.items()}


def main() -> None:
    """Time everything and write the page."""
    KERNELS.load()
    if KERNELS.standing != "compiled":
        sys.exit(f"there is no kernel to time: {KERNELS.standing}")
    load, lines = os.getloadavg()[0], []
    cases = [(size, kind, x, recipe) for size in SIZES for kind, x in rows(size) for recipe in RECIPES]
    for size, kind, x, recipe in track(cases, "timing", console=Console(stderr=True)):
        t = timed(contenders(recipe, x))
        ratio, floor = t["transformers"] / t["step"], t["kernel"] / t["np.max"]
        cells = [f"{size:,}", kind, f"`{recipe}`".replace("|", "\\|"), *(f"{t[name]:,.1f}" for name in t)]
        lines.append(f"| {' | '.join(cells)} | {ratio:.0f}× | {t['transformers'] / t['kernel']:.0f}× | {floor:.1f} |")
    PAGE.write_text(_page(lines, load), "utf-8")
    print(PAGE.read_text("utf-8"))


def _page(lines: list[str], load: float) -> str:
    versions = ", ".join(
        f"{name} {version}"
        for name, version in [
            ("Python", platform.python_version()),
            ("NumPy", np.__version__),
            ("torch", torch.__version__),
            ("transformers", transformers.__version__),
        ]
    )
    heads = (
        "V | rows | recipe | `Sampler.step` | kernel | plain | transformers | np.max | step | kernel | kernel / np.max"
    )
    rule = "|---|---|---|---|---|---|---|---|---|---|---|"
    table = "\n".join([f"| {heads} |", rule, *lines])
    return TEXT.format(versions=versions, processor=_processor(), load=f"{load:.1f}", table=table)


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    names = [line.partition(": ")[2] for line in known.read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0]}" if names else platform.processor()


TEXT = """\
# Performance

Made by `make bench` on {processor}: {versions}; load average at the start {load}.
One row, one thread, medians in microseconds; all contenders in one run, in turns, four rows of each kind one after
another, so that a row of 128,256 logits is rarely in the fastest cache.

- `Sampler.step` is what a loop calls, with state, seed and history; the *kernel* is what it calls in turn.
- *plain* is the definition that the kernel is held to: the same tokens, in float64 throughout.
- *transformers* is its processors, softmax and multinomial; it has no entropy-driven temperature: there it is top_p.
- *np.max* is the floor, looking at every logit once.
- The last columns: how many times faster than transformers step and kernel are, and how many np.max a kernel takes.

{table}

Not here yet: rows in batches and in threads, llama.cpp, penalties in kernels, the GPU, and the whole step in one
compiled call: its Python still costs as much as the kernel, or more, on most of these rows.
"""


if __name__ == "__main__":
    main()
