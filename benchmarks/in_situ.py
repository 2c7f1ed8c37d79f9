"""A step right after a forward pass, which has just filled the caches with weights; and its share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import ours
from benchmarks.one_step import FLOOR, KERNEL, STEP, THEIRS, TORCH
from benchmarks.peers import torch_peer, transformers_peer
from benchmarks.recipes import Recipe
from benchmarks.rows import GPT2_SIZE
from benchmarks.shapes import Shape, model
from benchmarks.turns import Found, described

FORWARD = "forward pass"
PROMPT = 32

BLOCK = 6
"""So many steps in a row make a turn: in a real loop too, what samples ran a step before."""


def in_situ(shape: Shape, kind: str, batch: int, recipe: Recipe, passes: int) -> Found:
    """Time a forward pass of one more token a row, and after each what draws from its logits, in turns; one thread."""
    torch.set_num_threads(1)
    kernel = ours.bare_kernel(recipe, batch, GPT2_SIZE)
    drawing: dict[str, Callable[[Any], Any]] = {
        STEP: ours.step(recipe, batch),
        KERNEL: lambda logits: kernel(logits.numpy()),
        THEIRS: transformers_peer(recipe).draw,
        TORCH: torch_peer(recipe, GPT2_SIZE).draw,
        FLOOR: lambda logits: logits.numpy().max(axis=1),
    }
    forward, times = _forward(model(shape, kind), batch), {name: list[float]() for name in (FORWARD, *drawing)}
    for block in range(passes // BLOCK):
        for name, draw in drawing.items():
            for turn in range(BLOCK + 1):
                begun = time.perf_counter()
                logits = forward(block * BLOCK + turn)
                there = time.perf_counter()
                draw(logits)
                done = time.perf_counter()
                if turn:  # the first comes after somebody else's
                    times[FORWARD].append(there - begun)
                    times[name].append(done - there)
    return {name: described(found) for name, found in times.items()}


def _forward(gpt: Any, batch: int) -> Callable[[int], Tensor]:
    """A function that reads a token for each row after a prompt, always the same prompt, and gives their logits."""
    prompts = torch.arange(batch * PROMPT).reshape(batch, PROMPT) * 13 % GPT2_SIZE
    with torch.no_grad():
        cache = gpt(prompts, use_cache=True).past_key_values

    @torch.no_grad()
    def forward(turn: int) -> Tensor:
        ids = (torch.arange(batch)[:, None] * 101 + turn * 7) % GPT2_SIZE
        logits: Tensor = gpt(ids, past_key_values=cache, use_cache=True).logits[:, -1]
        cache.crop(-1)
        return logits

    return forward
