"""One step on a graphics card: the kernel against torch, FlashInfer and the memory floor; `make bench-gpu`.

Needs a CUDA device, and says so where there is none. Times are medians between CUDA events, in microseconds, all
contenders in turns; logits are bfloat16 and lie on the card. It prints a table in Markdown and writes nothing.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

import logitherm as lt

SIZES, BATCHES = [32_000, 128_256], [1, 8, 64, 256]
WARM, TURNS = 5, 50
"""Runs before the first that counts, and runs that count."""

Contender = Callable[[torch.Tensor], Any]


def masked(logits: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """A draw among what is kept."""
    return torch.multinomial(torch.softmax(logits.masked_fill(~keep, float("-inf")), dim=-1), 1)


def torch_temperature(logits: torch.Tensor) -> torch.Tensor:
    """Softmax at 0.8, then multinomial."""
    return torch.multinomial(torch.softmax(logits.float() / 0.8, dim=-1), 1)


def torch_top_k(logits: torch.Tensor) -> torch.Tensor:
    """What is at or above the 50th largest."""
    x = logits.float()
    return masked(x, x >= torch.topk(x, 50).values[:, -1:])


def torch_top_p(logits: torch.Tensor) -> torch.Tensor:
    """A full sort and a running sum; the draw is among the sorted tokens."""
    x, ids = torch.sort(logits.float(), dim=-1, descending=True)
    p = torch.softmax(x, dim=-1)
    return ids.gather(-1, masked(x, p.cumsum(-1) - p < 0.95))


def torch_min_p(logits: torch.Tensor) -> torch.Tensor:
    """What is at least 0.05 as likely as the likeliest."""
    p = torch.softmax(logits.float(), dim=-1)
    return masked(logits.float(), p >= 0.05 * p.amax(-1, keepdim=True))


TORCH: dict[str, Contender | None] = {
    "temperature(0.8)": torch_temperature,
    "top_k(50)": torch_top_k,
    "top_p(0.95)": torch_top_p,
    "min_p(0.05)": torch_min_p,
    "dynamic_temperature(0.5, entropy=0.1) | top_p(0.95)": None,
}
"""A recipe and the plain torch of it; None where nobody else has it."""


def flashinfer() -> dict[str, Contender]:
    """The same by FlashInfer, if it is installed; probabilities are made by torch, as its users do."""
    try:
        theirs = importlib.import_module("flashinfer.sampling")
    except ImportError:
        return {}
    return {
        "temperature(0.8)": lambda x: theirs.sampling_from_probs(torch.softmax(x.float() / 0.8, dim=-1)),
        "top_k(50)": lambda x: theirs.top_k_sampling_from_probs(torch.softmax(x.float(), dim=-1), 50),
        "top_p(0.95)": lambda x: theirs.top_p_sampling_from_probs(torch.softmax(x.float(), dim=-1), 0.95),
        "min_p(0.05)": lambda x: theirs.min_p_sampling_from_probs(torch.softmax(x.float(), dim=-1), 0.05),
    }


def kernel(recipe: str, rows: int) -> tuple[Contender, Contender]:
    """The bare kernel with everything on the card, and the step that a loop calls."""
    from logitherm.kernels.gpu import chain
    from logitherm.kernels.gpu.entry import together

    sampler = lt.parse(recipe)
    told = sampler.plan()._told
    assert told is not None
    kinds, numbers = (torch.from_numpy(x).cuda() for x in together(told, rows))
    seeds = torch.arange(rows, device="cuda")
    state = sampler.start([[]] * rows, seed=0)
    return (
        lambda x: chain.draws(x, seeds, torch.zeros_like(seeds), kinds, numbers),
        lambda x: sampler.step(x, state),
    )


def timed(functions: dict[str, Contender], logits: torch.Tensor) -> dict[str, float]:
    """The median microseconds of each, in turns."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(WARM + TURNS):
        for name, function in functions.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record()
            function(logits)
            end.record()
            torch.cuda.synchronize()
            if turn >= WARM:
                found[name].append(1e3 * begin.elapsed_time(end))
    return {name: median(times) for name, times in found.items()}


def agreed(recipe: str, logits: torch.Tensor, own: Contender) -> str:
    """How many rows the kernel decides, and on how many of them its token is that of the plain rules."""
    sampler = lt.parse(recipe)
    answers = own(logits).cpu().numpy()
    expected = sampler.step(logits.double().cpu().numpy(), sampler.start([[]] * len(logits), seed=0)).tokens
    fine = answers[:, 0] == 0
    return f"{int((answers[fine, 1] == expected[fine]).sum())} of {int(fine.sum())}, {int((~fine).sum())} asked"


def cases() -> Any:
    """Every size, batch, kind of row and recipe, with its logits."""
    for size in SIZES:
        for batch in BATCHES:
            for kind, spread in (("peaked", 3.0), ("flat", 0.8)):
                rng = np.random.default_rng(size + batch)
                x = torch.from_numpy((rng.normal(size=(batch, size)) * spread).astype(np.float32))
                for recipe in TORCH:
                    yield size, batch, kind, recipe, x.cuda().to(torch.bfloat16)


def compiled() -> float:
    """Compile the kernel; how many seconds it took, or Triton read it from its cache."""
    from logitherm.kernels.gpu.entry import CARDS

    begun = time.perf_counter()
    CARDS.load((torch.device("cuda", torch.cuda.current_device()), torch.bfloat16))
    if "compiled" not in CARDS.standing:
        sys.exit(f"there is no kernel to time{CARDS.standing}")
    return time.perf_counter() - begun


def main() -> None:
    """Print the table, or why there is none."""
    if not torch.cuda.is_available():
        sys.exit("bench-gpu needs a CUDA device; torch sees none on this machine. Nothing was timed.")
    seconds, theirs = compiled(), flashinfer()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {platform.python_version()};")
    print(f"the kernel was there after {seconds:.1f} s; FlashInfer is {'' if theirs else 'not '}installed.\n")
    heads = "V", "batch", "rows", "recipe", "kernel", "`Sampler.step`", "torch", "FlashInfer", "amax", "same tokens"
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for size, batch, kind, recipe, x in cases():
        own, step = kernel(recipe, batch)
        others = {"torch": TORCH[recipe], "FlashInfer": theirs.get(recipe)}
        functions: dict[str, Contender] = {"kernel": own, "step": step}
        functions |= {name: function for name, function in others.items() if function is not None}
        t = timed(functions | {"amax": lambda x: torch.amax(x, dim=-1)}, x)
        times = [f"{t[name]:,.1f}" if name in t else "" for name in ("kernel", "step", "torch", "FlashInfer", "amax")]
        cells = [f"{size:,}", str(batch), kind, f"`{recipe}`".replace("|", "\\|"), *times, agreed(recipe, x, own)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
