"""bfloat16 and float16 logits, read where they lie: every number of them, and the tokens that float32 would give."""

import numpy as np
import pytest
import torch

from logitherm import LogitsError, parse, set_num_threads
from logitherm.kernels.codes import BFLOAT16, FLOAT16, FLOAT32
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.cpu.narrow import widen
from logitherm.kernels.given import float32_rows, in_place

KINDS = {BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_widened_as_torch_widens_it(kind):
    bits = np.arange(2**16, dtype=np.uint16).view(np.int16)
    found = np.empty(2**16, np.float32)
    widen(bits, kind, found)
    true = torch.from_numpy(bits.copy()).view(KINDS[kind]).float().numpy()
    numbers = ~np.isnan(true)
    assert np.array_equal(np.isnan(found), ~numbers)
    assert np.array_equal(found.view(np.uint32)[numbers], true.view(np.uint32)[numbers])
    for size in (16, 17, 31, 32, 129):
        some, into = bits[-size:].copy(), np.full(size + 8, -1.0, np.float32)
        widen(some, kind, into[:size])
        assert np.array_equal(into[:size].view(np.uint32) << 1, found[-size:].view(np.uint32) << 1), size
        assert (into[size:] == -1.0).all()


@pytest.mark.parametrize("dtype", KINDS.values())
@pytest.mark.parametrize("size", [3, 16, 9001, 50257])
def test_a_step_draws_what_it_draws_from_float32(dtype, size):
    KERNELS.load()
    logits = (torch.from_numpy(np.random.default_rng(size).normal(size=(5, size))) * 2).to(dtype)
    for recipe in (
        "temperature(0.8) | top_p(0.95)",
        "repetition(1.2) | top_k(20)",
        "top_n_sigma(1.0)",
        "dynatemp(0.5, 1.5)",
    ):
        sampler = parse(recipe)
        state = sampler.start([[1], [2], [0, 1], [2], []], seed=3)
        wide, narrow = logits.float(), logits
        for threads in (1, 3):
            set_num_threads(threads)
            a, b = state, state
            for _ in range(5):
                first, second = sampler.step(wide, a), sampler.step(narrow, b)
                assert first.tokens.tolist() == second.tokens.tolist(), recipe
                assert np.array_equal(first.final_logprobs, second.final_logprobs), recipe
                assert np.array_equal(first.raw_logprobs, second.raw_logprobs), recipe
                a, b = first.state, second.state
        set_num_threads(1)


def test_what_is_read_where_it_lies_and_what_is_not():
    row = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 40))).to(torch.bfloat16)
    half = row.to(torch.float16).numpy()
    for given, kind in ((row, BFLOAT16), (half, FLOAT16), (torch.from_numpy(half), FLOAT16), (row.float(), FLOAT32)):
        rows, narrow, found = in_place(given)
        assert found == kind
        mine, theirs = narrow if kind else rows, given if isinstance(given, np.ndarray) else given.data_ptr()
        assert mine.ctypes.data == (theirs.ctypes.data if isinstance(theirs, np.ndarray) else theirs)
    strided = (row.T.contiguous().T, row[:, ::2], half[:, ::2], row.clone().requires_grad_(), row.float()[:, 1::2])
    for given in strided:
        floats = given.detach().float().numpy() if torch.is_tensor(given) else given.astype(np.float32)
        assert np.array_equal(float32_rows(given), floats)
        sampler = parse("top_p(0.9)")
        state = sampler.start([[], []], seed=2)
        KERNELS.load()
        assert (
            sampler.step(given, state).tokens.tolist() == sampler.step(floats.astype(np.float64), state).tokens.tolist()
        )
    for refused in (row[0], row.double(), row.int(), row.to("meta"), "logits", None):
        assert in_place(refused) is None


def test_what_is_wrong_is_said_as_ever():
    KERNELS.load()
    sampler = parse("top_p(0.9)")
    for dtype in KINDS.values():
        for bad in (np.nan, np.inf):
            row = torch.zeros((1, 9000), dtype=dtype)
            row[0, 8999] = bad
            with pytest.raises(LogitsError, match="first at token 8999"):
                sampler.step(row, sampler.start([[]], seed=1))
