"""llama.cpp's own chain of samplers, through llama-cpp-python's low-level interface, where that is installed."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np

from benchmarks.peers import Peer
from benchmarks.recipes import Recipe

try:
    import llama_cpp
    from llama_cpp._internals import LlamaTokenDataArray
except ImportError:
    THERE = False
else:
    THERE = True


def llama_peer(recipe: Recipe, size: int) -> Peer | None:
    """Its samplers in the order of the recipe, then its draw; None where it is not installed.

    Before they run, its array of candidates must be filled from the logits, which takes a while of its own: the draw
    returns how long. It has another rule that follows the entropy: for that recipe it is top_p alone here.
    """
    if not THERE:
        return None
    array = LlamaTokenDataArray(n_vocab=size)
    candidates, data = array.candidates, array.candidates.data
    shaping, drawing = _chain(recipe), _chain(recipe)
    llama_cpp.llama_sampler_chain_add(drawing, llama_cpp.llama_sampler_init_dist(1))

    def run(chain: Any, row: np.ndarray) -> float:
        """Fill the array and run a chain on it; the seconds that filling took."""
        begun = time.perf_counter()
        array.copy_logits(row)
        candidates.data, candidates.selected = data, -1
        filled = time.perf_counter() - begun
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(candidates))
        return filled

    def draw(rows: np.ndarray) -> float:
        filled = 0.0
        for row in rows:
            filled += run(drawing, row)
            _ = candidates.data[candidates.selected].id
        return filled

    def probabilities(row: np.ndarray) -> np.ndarray:
        run(shaping, row)
        kept = np.ctypeslib.as_array(candidates.data, shape=(candidates.size,))
        logits = kept["logit"].astype(np.float64)
        found = np.zeros(size)
        weights = np.exp(logits - logits.max())
        found[kept["id"]] = weights / weights.sum()
        return found

    return Peer(draw, probabilities, lambda rows: rows, close=1e-3)  # it sums all of a row in float32, one by one


def _chain(recipe: Recipe) -> Any:
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    samplers = [llama_cpp.llama_sampler_init_temp(recipe.t)] if recipe.t != 1 else []
    samplers += [llama_cpp.llama_sampler_init_top_k(recipe.k)] if recipe.k else []
    samplers += [llama_cpp.llama_sampler_init_top_p(recipe.p, 1)] if recipe.p < 1 else []
    samplers += [llama_cpp.llama_sampler_init_min_p(recipe.min_p, 1)] if recipe.min_p else []
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain
