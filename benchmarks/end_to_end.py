"""Text to text: our `generate` against transformers' own, the same model, recipe, prompts and thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import logitherm as lt
from benchmarks.shapes import Shape, model, save, tokenizer
from benchmarks.turns import Found, described
from logitherm.models.transformers import TransformersModel

OURS, THEIRS, GREEDY = "lt.generate, top_p(0.95)", "model.generate, top_p 0.95", "model.generate, greedy"
PROMPTS = [f"Once upon a time, {letter}" for letter in "abcdefgh"]


def end_to_end(shape: Shape, kind: str, batch: int, tokens: int, rounds: int) -> Found:
    """Time whole generations in turns; what is found is the time of a step, in which each row gets a token."""
    torch.set_num_threads(1)
    prompts, own, gpt, words = PROMPTS[:batch], _own(shape, kind), model(shape, kind), tokenizer()

    def theirs(**how: Any) -> int:
        read = words(prompts, return_tensors="pt")
        ids = gpt.generate(**read, max_new_tokens=tokens, pad_token_id=0, **how)
        words.batch_decode(ids[:, read["input_ids"].shape[1] :])
        return int(ids.shape[1] - read["input_ids"].shape[1])

    def mine() -> int:
        texts = lt.generate(prompts, "top_p(0.95)", model=own, max_new_tokens=tokens, seed=1)
        return min(len(text.tokens) for text in texts)

    functions: dict[str, Callable[[], int]] = {
        OURS: mine,
        THEIRS: lambda: theirs(do_sample=True, top_p=0.95, top_k=0),
        GREEDY: lambda: theirs(do_sample=False),
    }
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            made = function()
            seconds = (time.perf_counter() - begun) / tokens
            assert made == tokens, f"{name} made {made} tokens instead of {tokens}"
            if turn:  # the first does not count
                times[name].append(seconds)
    return {name: described(found) for name, found in times.items()}


@cache
def _own(shape: Shape, kind: str) -> TransformersModel:
    """The same model as we read it."""
    with TemporaryDirectory() as folder:
        save(shape, kind, Path(folder))
        return TransformersModel(folder, device="cpu")
