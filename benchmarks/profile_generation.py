"""Where a step of `generate` goes: the model, what our code does around it, the sampler, the loop.

    python -m benchmarks.profile_generation

Random weights in the shape of GPT-2, and Nutshell; microseconds a step, on one thread. The best of several texts,
because whatever else the machine does only adds. The prompt's own pass is left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

import logitherm as lt
from logitherm.kernels.compiling import KERNELS
from logitherm.model import Model

RECIPE, PROMPT, TOKENS, TEXTS = "top_p(0.95)", "The cat slept on the mat", 100, 7
SHAPES = {"GPT-2, 2 × 32, V = 50,257": (2, 32), "GPT-2, 4 × 256, V = 50,257": (4, 256), "Nutshell": None}
"""Layers and width of a model; None for Nutshell."""

PARTS = ["step", "forward", "cache", "sampler", "loop"]


def gpt2(folder: Path, layers: int, width: int) -> Model:
    """A GPT-2 with random weights that never ends a text; its tokens are single bytes."""
    ids = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(ids, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    config = transformers.GPT2Config(
        n_layer=layers, n_embd=width, n_head=4, initializer_range=0.1, bos_token_id=None, eos_token_id=None
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return lt.load_model(folder)


class Clock:
    """Adds up how long some methods take, each from outside, while it is open; `spent` is in seconds."""

    def __init__(self, **methods: tuple[Any, str]) -> None:
        self._methods = methods
        self.spent: dict[str, float] = {}

    def __enter__(self) -> Clock:
        for part, (owner, name) in self._methods.items():
            setattr(owner, name, self._timed(part, getattr(owner, name)))
        return self

    def __exit__(self, *error: object) -> None:
        for owner, name in self._methods.values():
            delattr(owner, name)  # what the instance shadowed comes back

    def _timed(self, part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - begin

        return timed


class Watched:
    """A model, or a session of ONNX Runtime, whose methods a clock can shadow."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def profile(model: Any, rows: int) -> dict[str, float]:
    """Microseconds a step of each part, in the fastest of some texts."""
    inner = getattr(model, "_model", None)
    forward = (inner, "forward")
    if inner is None:
        model._session = Watched(getattr(model._session, "_inner", model._session))
        forward = (model._session, "run")
    best: dict[str, float] = {}
    for text in range(TEXTS + 1):
        run = lt.start([PROMPT] * rows, RECIPE, model=model, seed=text, max_new_tokens=TOKENS)
        steps = iter(run)
        for _ in range(rows):
            next(steps)  # the prompt's pass, and the first draw
        run._batch._sampler = Watched(run._batch._sampler)  # type: ignore[assignment]
        with Clock(forward=forward, model=(model, "step"), sampler=(run._batch._sampler, "step")) as clock:
            begin = time.perf_counter()
            for _ in steps:
                pass
            clock.spent["step"] = time.perf_counter() - begin
        now = {part: spent / (TOKENS - 1) * 1e6 for part, spent in clock.spent.items()}
        now["cache"] = now["model"] - now["forward"]
        now["loop"] = now["step"] - now["model"] - now["sampler"]
        if text and (not best or now["step"] < best["step"]):  # the first one warms up
            best = now
    return best


def main() -> None:
    """Print a line for each model and number of rows; arguments choose among the models by a part of their name."""
    torch.set_num_threads(1)
    KERNELS.load()
    table = Table("model", "rows", "tokens/s", *PARTS)
    for name, shape in SHAPES.items():
        if not any(word in name for word in sys.argv[1:] or [name]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            model = gpt2(Path(folder), *shape) if shape else lt.load_model()
        for rows in (1, 8):
            parts = profile(model, rows)
            table.add_row(name, str(rows), f"{rows / parts['step'] * 1e6:,.0f}", *(f"{parts[p]:,.0f}" for p in PARTS))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
