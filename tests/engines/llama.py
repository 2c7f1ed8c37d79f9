"""llama.cpp's own samplers, one after another, on one row: what is left, and with which probabilities."""

import ctypes

import llama_cpp
import numpy as np

from tests.rows import probabilities

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Chain:
    """A chain of llama.cpp's samplers, in their order; it owns them."""

    def __init__(self, *samplers):
        self.pointer = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for sampler in samplers:
            assert sampler, "llama.cpp refused to make a sampler"
            llama_cpp.llama_sampler_chain_add(self.pointer, sampler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        llama_cpp.llama_sampler_free(self.pointer)

    def accept(self, *tokens):
        """Tell every sampler that these tokens came."""
        for token in tokens:
            llama_cpp.llama_sampler_accept(self.pointer, int(token))

    def apply(self, row):
        """The probabilities (vocabulary,) float64 after the chain, 0 where removed, and the token drawn or -1."""
        row = np.asarray(row, np.float32)
        candidates = np.empty(len(row), CANDIDATE)
        candidates["id"], candidates["logit"], candidates["p"] = np.arange(len(row)), row, 0
        data = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data, len(row), -1, False)
        llama_cpp.llama_sampler_apply(self.pointer, ctypes.byref(array))
        left = np.ctypeslib.as_array(array.data, shape=(array.size,))
        found = np.zeros(len(row))
        found[left["id"]] = probabilities(left["logit"][None])[0]
        drawn = int(left["id"][array.selected]) if array.selected >= 0 else -1
        return found, drawn
