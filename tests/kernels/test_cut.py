"""The cut kernel against the plain rules: the same kept sets, the same tokens, whatever the row."""

import math
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from logitherm import DynamicTemperature, LogitsError, RecipeError, Temperature, parse, set_num_threads, uniform
from logitherm.kernels.codes import ASK, FINE, FULL, SPOILED
from logitherm.kernels.compiling import KERNELS
from logitherm.kernels.cpu import calls, workspace
from logitherm.kernels.cpu.chain import UNCUT
from logitherm.plan import VARIABLE, Plan
from tests.kernels import draws
from tests.rows import bf16

RECIPES = [
    "temperature(0.8)",
    "temperature(1.7)",
    "temperature(0.0)",
    "top_k(1)",
    "top_k(50)",
    "top_k(400)",
    "top_k(3000)",
    "top_p(0.95)",
    "top_p(0.3)",
    "min_p(0.05)",
    "temperature(0.7) | top_k(40) | top_p(0.9)",
    "top_p(0.9) | temperature(0.5)",
    "temperature(1.3) | min_p(0.1) | top_p(0.8)",
    "dynamic_temperature(0.5, entropy=0.1) | top_p(0.95)",
    "dynamic_temperature(0.3, max_p=0.2, varentropy=0.05, normalised_entropy=0.5, of='kept', t_max=2.0)",
    "top_k(30) | dynatemp(0.5, 1.5)",
    "edt(0.8, 1.0) | min_p(0.02)",
    "top_k(100) | top_k(20) | top_p(0.99) | min_p(0.01)",
    "top_p(0.5) | top_k(5)",
    "min_p(0.2) | temperature(2.0) | top_k(9)",
    "dynamic_temperature(0.7) | dynatemp(0.5, 1.5) | top_p(0.9)",
    "temperature(30.0) | edt(0.8, 1.0) | dynatemp(0.3, 0.9)",
]
SIZES = [1, 7, 100, 1000, 5003, 6021, 50257, 128256]
EDGES = [0.0, 1 - 2**-53]
BOUNDARY = 1e-12
"""Law 8: a token may differ only where u lies so near a boundary of the running mass."""


def rows(size, rng):
    """Ten kinds of rows that make trouble."""
    peaked = (rng.normal(size=size) * 3).astype(np.float32)
    holed = np.where(rng.random(size) < 0.7, -np.inf, peaked)
    holed[rng.integers(size)] = 1.0
    alone = np.full(size, -np.inf)
    alone[rng.integers(size)] = 2.0
    found = {
        "peaked": peaked,
        "flat": rng.normal(size=size) * 0.5,
        "ties": np.round(peaked * 8) / 8,
        "bf16": bf16(peaked),
        "holes": holed,
        "one left": alone,
        "all equal": np.full(size, 1.5),
        "sorted": np.sort(peaked),
        "huge": rng.normal(size=size) * 1e30,
        "denormal": rng.normal(size=size) * 1e-42,
    }
    return {name: np.ascontiguousarray(row, dtype=np.float32) for name, row in found.items()}


NO_TOKENS = np.empty(0, np.int64)


def kernel(recipe, row, u, exact=False, past=NO_TOKENS, begun=0, memory=None):
    """`calls.run` with a workspace that is wide enough."""
    plan = Plan(parse(recipe).rules)
    for wide in (False, True):
        room = memory or workspace.memory(len(row), wide)
        found = calls.run(row, u, plan._told[0], past, begun, plan._pairs, *room, exact)
        if found[0] != FULL:
            return found
    raise AssertionError("there is no room in a wide workspace")


@pytest.mark.parametrize("size", SIZES)
def test_kept_sets_are_equal_and_tokens_too(size, record_property):
    """Kept sets with `==`: both keep an upper set, so an equal count is an equal set, and the drawn token is in it."""
    rng = np.random.default_rng(size)
    draws, exact = 0, 0
    for name, row in rows(size, rng).items():
        for recipe in RECIPES:
            sampler = parse(recipe)
            final = sampler.apply(row[None], sampler.start([[]], seed=1))[0]
            kept = np.isfinite(final)
            weights = np.where(kept, np.exp(final - final.max()), 0.0)
            running = np.cumsum(weights)
            for u in [*rng.random(6), *EDGES]:
                outcome, token, log_p, count, cut, _, referee = kernel(recipe, row, u)
                where = (name, recipe, u)
                assert outcome == FINE, where
                assert count in (kept.sum(), UNCUT), where
                assert kept[token], where
                if "temperature(0.0)" not in recipe:
                    assert np.array_equal(row >= cut, kept), where
                true = int(((running > u * running[-1]) & (weights > 0)).argmax())
                if token != true:
                    assert np.abs(running / running[-1] - u).min() < BOUNDARY, where
                if weights[token]:
                    assert log_p == pytest.approx(math.log(weights[token] / running[-1]), abs=2e-6), where
                draws, exact = draws + 1, exact + referee
    record_property(f"draws of {size} tokens", f"{draws}, {exact} by exact weights")
    assert 0 < exact < draws or size < 5003


def test_random_draws_on_real_and_random_rows(gpt2, record_property):
    """The float64 answer, every time: half a million draws, none differs but within 1e-12 of a boundary.

    And few are made twice: what rough sums cannot decide, exact weights do, and the plain rules what those cannot.
    """
    rng = np.random.default_rng(2)
    cases = [(recipe, line) for recipe in draws.RECIPES for line in draws.lines(gpt2, rng)]
    found = draws.total([draws.tally(recipe, line, rng, 8_500) for recipe, line in cases])
    record_property("draws", str(found))
    assert found.draws >= 500_000
    assert found.wrong == 0
    assert 0 < found.exact < 0.05 * found.draws
    assert found.asked < 0.001 * found.draws


def test_a_processor_without_avx_512_draws_the_same(tmp_path):
    """Compiled for another one: polynomials instead of tables, narrower registers, the same tokens."""
    code = """
import sys
import numpy as np
from logitherm.kernels.cpu.lanes import looks_up
from tests.kernels import draws
from tests.kernels.test_cut import rows
assert not looks_up()
rng = np.random.default_rng(3)
kinds = rows(3001, rng)
del kinds["huge"]  # its penalties are for the plain rules
lines = [*kinds.values(), rng.normal(size=20_000).astype(np.float32)]
found = draws.total([draws.tally(recipe, line, rng, 500) for recipe in draws.RECIPES for line in lines])
assert found.draws == 50_000 and found.wrong == 0 and found.asked < 2000, found

# What does not count who refers to an array must not return one: it would be freed twice.
from numba import types
from numba.core.dispatcher import Dispatcher
compiled = {f for module in list(sys.modules.values()) if module.__name__.startswith("logitherm.kernels.cpu")
            for f in vars(module).values() if isinstance(f, Dispatcher)}
def arrays(kind):
    return isinstance(kind, types.Array) or any(map(arrays, getattr(kind, "types", ())))
uncounted = [f for f in compiled if f.targetoptions.get("_nrt") is False and f.nopython_signatures]
assert len(uncounted) > 30
assert [f.__name__ for f in uncounted for s in f.nopython_signatures if arrays(s.return_type)] == []
"""
    other = {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+avx,+fma,+sse4.2,+popcnt,+bmi,+bmi2",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("Haswell is an x86-64 processor")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=400, env={**os.environ, **other})


def test_compiled_code_is_known_by_all_its_sources(tmp_path):
    """Or an upgrade that leaves one file as it was would go on with the old code of the others."""
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("1")
    before = calls.stamp(tmp_path)
    (tmp_path / "b.py").write_text("2")
    assert calls.stamp(tmp_path) != before
    assert calls.stamp(Path(calls.__file__).parents[1]) == calls.SOURCES
    for function in (calls.run, calls.draws):
        assert calls.SOURCES in [cell.cell_contents for cell in function.py_func.__closure__]


def test_spoiled_rows_are_told_apart():
    for bad in (np.nan, np.inf):
        for place in (0, 127, 128, 299):
            row = np.zeros(300, np.float32)
            row[place] = bad
            assert kernel("top_p(0.9)", row, 0.5)[0] == SPOILED
    assert kernel("top_p(0.9)", np.full(300, -np.inf, np.float32), 0.5)[0] == SPOILED
    assert (
        kernel("dynamic_temperature(0.5, entropy=1e308) | temperature(1e308)", np.zeros(300, np.float32), 0.5)[0] == ASK
    )


@pytest.fixture
def compiled():
    KERNELS.load()
    assert KERNELS.standing == "compiled"


@pytest.mark.usefixtures("compiled")
def test_a_step_is_the_same_with_and_without_kernels(monkeypatch):
    rng = np.random.default_rng(5)
    for recipe in RECIPES:
        sampler = parse(recipe)
        for size in (300, 9001):
            logits = (rng.normal(size=(3, size)) * 3).astype(np.float32)
            with_kernel = steps(sampler, logits)
            monkeypatch.setenv(VARIABLE, "plain")
            assert steps(parse(recipe), logits) == with_kernel
            monkeypatch.delenv(VARIABLE)


def steps(sampler, logits):
    state, found = sampler.start([[1], [2], [3]], seed=4), []
    for _ in range(8):
        step = sampler.step(logits, state)
        found.append(
            (step.tokens.tolist(), step.final_logprobs.round(12).tolist(), step.raw_entropy.round(12).tolist())
        )
        state = step.state
    return found


@pytest.mark.usefixtures("compiled")
def test_apply_is_the_same_to_the_last_bit_with_and_without_kernels(monkeypatch):
    """The kernel says what stays; temperatures are done as ever."""
    rng = np.random.default_rng(7)
    for size in (100, 9001):
        logits = np.stack(list(rows(size, rng).values()))
        for recipe in RECIPES:
            sampler = parse(recipe)
            state = sampler.start([[]] * len(logits), seed=4)
            plan = sampler.plan("apply")
            assert (plan.kernel is None) == any(name in recipe for name in ("dyna", "edt")), recipe
            assert (plan.cuts(logits, state) is None) == (plan.kernel is None), recipe
            found = sampler.apply(logits, state)
            same = sampler.apply(torch.from_numpy(logits), state).numpy()
            monkeypatch.setenv(VARIABLE, "plain")
            plain = parse(recipe).apply(logits, state)
            monkeypatch.delenv(VARIABLE)
            assert np.array_equal(found, plain), recipe
            assert np.array_equal(np.isfinite(same), np.isfinite(plain)), recipe


@pytest.mark.usefixtures("compiled")
def test_rows_may_be_drawn_beside_each_other(monkeypatch):
    sampler = parse("repetition([1.0, 1.1, 1.2, 1.3, 1.4]) | top_p(0.9)")
    logits = (np.random.default_rng(3).normal(size=(5, 20_000)) * 2).astype(np.float32)
    texts = []
    for threads in (1, 2, 3, 9):
        set_num_threads(threads)
        state = sampler.start([[1], [2], [3], [4], []], seed=5)
        for _ in range(30):
            state = sampler.step(logits, state).state
        texts.append([tokens.tolist() for tokens in state.tokens])
    assert texts.count(texts[0]) == 4
    logits[3, 5] = np.nan
    with pytest.raises(LogitsError, match="row 3: NaN in the logits, first at token 5"):
        sampler.step(logits, state)
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(RecipeError, match="threads must be a whole number >= 1"):
            set_num_threads(wrong)
    set_num_threads(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_samples_as_its_parent_does():
    """After fork the parent's threads are gone: those that draw, and the one that may be compiling."""
    code = """
import os, warnings
import numpy as np
from logitherm import parse, set_num_threads
from logitherm.kernels.compiling import KERNELS
warnings.simplefilter("ignore")
set_num_threads(2)
sampler = parse("temperature(0.8) | top_p(0.9)")
logits = np.random.default_rng(0).normal(size=(4, 9000)).astype(np.float32)
state = sampler.start([[]] * 4, seed=1)
for when in ("before", "after"):
    if when == "after":
        KERNELS.load()
    tokens = sampler.step(logits, state).tokens.tolist()
    child = os.fork()
    if child == 0:
        same = sampler.step(logits, state).tokens.tolist() == tokens
        there = KERNELS.standing == "compiled" if when == "after" else "forked while" in KERNELS.standing
        os._exit(0 if same and there else 1)
    assert os.waitpid(child, 0)[1] == 0, when
    if when == "before":
        KERNELS._thread.join()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.usefixtures("compiled")
def test_the_plan_takes_what_it_can_and_leaves_the_rest(monkeypatch):
    sampler = parse("temperature(0.8) | top_p(0.9)")
    state = sampler.start([[]], seed=1)
    row = np.random.default_rng(0).normal(size=(1, 500)).astype(np.float32)
    taken = sampler.plan().draw(row, state)
    assert taken is not None
    for same in (torch.tensor(row), torch.tensor(row).to(torch.bfloat16), row.astype(np.float16)):
        plain = sampler.step(np.asarray(same.float() if torch.is_tensor(same) else same, dtype=np.float64), state)
        assert sampler.plan().draw(same, state)[0].tolist() == plain.tokens.tolist()
    for left in (row.astype(np.float64), row[0], row.tolist(), np.vstack([row, row]), row.astype(int)):
        assert sampler.plan().draw(left, state) is None
    for other in (
        "top_p(0.9) | repetition(1.2)",
        "repetition(1.2) | edt(0.8, 1.0)",
        "dynamic_temperature(0.5, median=-0.4)",
        "target_entropy(1.0)",
    ):
        assert parse(other).plan().kernel is None
        assert parse(other).plan().draw(row, parse(other).start([[]], seed=1)) is None
    assert str(sampler.plan()) == "cut    <- temperature(0.8) | top_p(0.9)  (compiled)"
    assert str(parse("edt(0.8, 1.0)").plan("apply")) == "plain  <- edt(0.8, theta=1.0)"
    with pytest.raises(RecipeError, match="verb must be"):
        sampler.plan("draw")
    assert str(parse("top_k(3) | ban([1])").plan()) == "plain  <- top_k(3)\nplain  <- ban([1])"
    monkeypatch.setenv(VARIABLE, "plain")
    off = parse(str(sampler)).plan()
    assert off.draw(row, state) is None
    assert str(off).splitlines()[0] == "plain  <- temperature(0.8)  (LOGITHERM_PLAN says so)"


@pytest.mark.usefixtures("compiled")
def test_rows_may_have_parameters_and_positions_of_their_own():
    rng = np.random.default_rng(1)
    logits = (rng.normal(size=(3, 400)) * 2).astype(np.float32)
    for recipe in (
        "temperature([0.5, 1.0, 2.0]) | top_k([0, 3, 9])",
        "temperature(linear(2.0, 0.1, steps=5)) | min_p(0.1)",
    ):
        sampler = parse(recipe)
        state = sampler.start([[], [], []], seed=[7, 8, 9])
        for _ in range(6):
            plain = sampler.step(logits.astype(np.float64), state)
            assert sampler.plan().draw(logits, state)[0].tolist() == plain.tokens.tolist()
            state = plain.state.take([2, 0, 1], seed=plain.state.seed[[2, 0, 1]])


@pytest.mark.usefixtures("compiled")
def test_what_is_wrong_is_said_as_ever():
    sampler = parse("top_p(0.9)")
    row = np.zeros((2, 300), np.float32)
    row[1, 200] = np.nan
    with pytest.raises(LogitsError, match="row 1: NaN in the logits, first at token 200"):
        sampler.step(row, sampler.start([[], []], seed=1))


@pytest.mark.usefixtures("compiled")
def test_a_step_knows_when_its_logits_were_written_over():
    sampler = parse("temperature(0.8) | top_p(0.9)")
    logits = (np.random.default_rng(0).normal(size=(2, 500)) * 2).astype(np.float32)
    state = sampler.start([[], []], seed=1)
    asked, late = sampler.step(logits, state), sampler.step(logits, state)
    before = asked.raw_logprobs.copy()
    logits[1] = 0.0
    assert np.array_equal(asked.raw_logprobs, before)
    assert np.isfinite(asked.final_entropy).all()
    for name in ("raw_logprobs", "final_logprobs", "raw_entropy", "final_entropy"):
        with pytest.raises(LogitsError, match="the logits were written over before"):
            getattr(late, name)


@pytest.mark.usefixtures("compiled")
def test_histories_grow_as_values_do():
    """Two continuations of one state, and more tokens than a buffer has room for."""
    sampler = parse("top_k(3)")
    logits = (np.random.default_rng(0).normal(size=(2, 300)) * 2).astype(np.float32)
    start = sampler.start([[1, 2], [3]], seed=5)
    one = sampler.step(logits, start).state
    other = sampler.step(-logits, start).state
    assert one.tokens[0].tolist()[:2] == other.tokens[0].tolist()[:2] == [1, 2]
    assert one.tokens[0][2] != other.tokens[0][2]
    state, drawn = start, []
    for _ in range(200):
        step = sampler.step(logits, state)
        state = step.state
        drawn.append(step.tokens.tolist())
    assert [t.tolist() for t in state.tokens] == [[1, 2, *(a for a, _ in drawn)], [3, *(b for _, b in drawn)]]
    assert state.position.tolist() == [200, 200]
    with pytest.raises(ValueError, match="read-only"):
        state.history.lengths[0] = 1


@pytest.mark.usefixtures("compiled")
def test_threads_may_share_a_sampler():
    sampler = parse("temperature(0.9) | top_p(0.95)")
    logits = (np.random.default_rng(3).normal(size=(40, 1, 20_000)) * 2).astype(np.float32)
    state = sampler.start([[]], seed=11)
    alone = [sampler.step(x, state).tokens[0] for x in logits]
    found = {}

    def work(name):
        found[name] = [sampler.step(x, state).tokens[0] for x in logits]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[i] == alone for i in range(4))


def test_nobody_waits_for_a_compiler():
    """A fresh process: the first steps are plain, the kernel takes over by itself, and no token changes."""
    code = """
import time
import numpy as np
from logitherm import parse
from logitherm.kernels.compiling import KERNELS
sampler = parse("temperature(0.8) | top_p(0.9)")
logits = np.random.default_rng(0).normal(size=(1, 9000)).astype(np.float32)
assert KERNELS.standing == "plain until it is compiled"
state = sampler.start([[]], seed=1)
begun = time.monotonic()
first = sampler.step(logits, state).tokens[0]
assert KERNELS.standing == "plain until it is compiled"
while KERNELS.standing != "compiled":
    assert time.monotonic() - begun < 240, KERNELS.standing
    time.sleep(0.05)
assert sampler.plan().draw(logits, state)[0][0] == first
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_small_rows_make_nobody_compile():
    code = """
import sys
import numpy as np
from logitherm import parse
sampler = parse("top_p(0.9)")
sampler.step(np.zeros((1, 4096), np.float32), sampler.start([[]], seed=1))
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_numba_everything_works_and_says_so():
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from logitherm import parse
from logitherm.kernels.compiling import KERNELS
KERNELS.load()
sampler = parse("top_p(0.9)")
assert str(sampler.plan()).endswith("(plain: numba is not installed)"), str(sampler.plan())
assert sampler.step(np.zeros((1, 9000), np.float32), sampler.start([[]], seed=1)).tokens.shape == (1,)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_rows_are_never_read_beyond_their_ends():
    """Rows that end, and rows that begin, at a page which may not be touched; in a process of their own."""
    code = """
import ctypes, mmap
import numpy as np
from logitherm import parse
from logitherm.kernels.codes import FINE
from logitherm.kernels.cpu import calls, workspace
from logitherm.kernels.cpu.chain import UNCUT
from logitherm.plan import Plan
page = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
rng = np.random.default_rng(0)
past = np.array([0, 3, 3, 5000])
for size in (1, 7, 16, 127, 128, 129, 1000, 6021, 9000):
    whole = -(-size * 4 // page) * page
    area = mmap.mmap(-1, whole + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for guard in (start, start + page + whole):
        assert libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
    for offset in (page, page + whole - 4 * size):
        row = np.frombuffer(area, dtype=np.float32, count=size, offset=offset)
        row[:] = rng.normal(size=size) * 2
        for recipe in RECIPES:
            plan = Plan(parse(recipe).rules)
            for exact in (False, True):
                memory = workspace.memory(size)
                assert calls.run(row, 0.7, plan._told[0], past, 2, plan._pairs, *memory, exact)[0] == FINE
"""
    code = code.replace("RECIPES", repr(RECIPES))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, env={**os.environ})


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**53 + 1, 2**64 - 1])
def test_the_coins_are_the_same_bits(seed):
    from logitherm.kernels.cpu.coins import coin

    for position in (0, 1, 7, 2**32 - 1, 2**32, 2**63 + 5):
        assert coin(np.uint64(seed), np.uint64(position)) == uniform(seed, position)


def test_the_coins_are_those_of_the_plain_draw():
    sampler = parse("temperature(1.0)")
    logits = np.zeros((1, 1000), np.float32)
    state = sampler.start([[]], seed=77)
    KERNELS.load()
    for position in range(5):
        token = sampler.plan().draw(logits, state)[0][0]
        assert token == int(uniform(77, position) * 1000)
        state = sampler.observe(logits, state, [token]).state


def test_every_covered_rule_is_told_its_numbers():
    assert Plan((Temperature(0.5),))._told[0, 0, 1] == 0.5
    rule = DynamicTemperature(0.1, max_p=-0.2, entropy=0.3, log_perplexity=0.1, t_min=0.4, t_max=5.0)
    assert Plan((rule,))._told[0, 0, 1:].tolist() == [0.1, -0.2, 0.4, 0.0, 0.0, 0.4, 5.0, 1.0]


def same(recipe, row, u=0.5):
    """Whether the kernel keeps what the plain rules keep."""
    outcome, _, _, count, *_ = kernel(recipe, row, u)
    final = parse(recipe).apply(row[None].astype(np.float64), parse(recipe).start([[]], seed=1))
    kept = int(np.isfinite(final).sum())
    return outcome == ASK or (outcome == FINE and count in (kept, UNCUT)), (recipe, outcome, count, kept)


def test_a_chunk_of_ties_below_the_others():
    """Its logits do not stray from its largest at all, and nothing comes of nothing on any scale."""
    rng = np.random.default_rng(0)
    for low in (-20.0, 0.0, -400.0, -1000.0):
        row = (rng.normal(size=1024) * 2).astype(np.float32)
        row[256:384] = low
        for recipe in (
            "edt(1.0, 1.0) | top_p(0.9)",
            "dynatemp(0.5, 1.5) | top_p(0.9)",
            "dynamic_temperature(0.1, entropy=0.3) | min_p(0.1)",
            "temperature(100.0) | dynamic_temperature(0.1, entropy=0.8, of='kept') | top_p(0.5)",
        ):
            fine, told = same(recipe, row)
            assert fine, told
            t = parse(recipe).start([[]], seed=1)
            stages = list(parse(recipe).stages(row[None].astype(np.float64), t))
            expected = np.ptp(row) / np.ptp(stages[-2][2][0]) if len(stages) > 1 else None
            assert kernel(recipe, row, 0.5)[5] == pytest.approx(expected, rel=1e-5), recipe


def test_brackets_without_end():
    """The lowest float32 stands for a removed token in many programs, and temperatures may be huge."""
    rng = np.random.default_rng(1)
    row = (rng.normal(size=1000) * 2).astype(np.float32)
    row[500:] = np.finfo(np.float32).min
    wide = (rng.normal(size=9000) * 2).astype(np.float32)
    half = wide.copy()
    half[4000:] = np.finfo(np.float32).min
    for recipe, line in (
        ("top_p(0.9)", row),
        ("top_k(700) | top_p(0.5)", row),
        ("temperature(1e40) | top_p(0.5)", wide),
        ("top_k(5000) | top_p(0.5)", half),
        ("top_p(0.99999)", half),
    ):
        fine, told = same(recipe, line)
        assert fine, told


def test_nuclei_of_nearly_everything():
    """p so near 1, and set so near a boundary, that what candidates weigh roughly and exactly matters."""
    rng = np.random.default_rng(5)
    for size in (264, 1000, 5000, 20_000):
        for p in (0.99, 0.999, 0.9999, 0.999999):
            row = (rng.normal(size=size) * 2).astype(np.float32)
            mass = np.cumsum(np.sort(np.exp(row.astype(np.float64) - row.max()))[::-1])
            mass /= mass[-1]
            near = mass[min(np.searchsorted(mass, p), size - 2)]
            for nudge in (-3e-8, -1e-9, -2e-11, 2e-11, 1e-9, 3e-8):
                value = float(near * (1 + nudge) / (1 - 1e-6))
                fine, told = same(f"top_p({value if value < 1 else p!r})", row)
                assert fine, told


def test_whole_numbers_beyond_all_rows():
    row = np.random.default_rng(0).normal(size=300).astype(np.float32)
    for recipe in (f"top_k({2**63 - 1})", f"top_k({10**400}) | top_p(0.5)", f"no_repeat_ngram({10**24})"):
        assert same(recipe, row)[0]


@pytest.mark.usefixtures("compiled")
def test_lists_stand_beside_parameters_of_rows():
    logits = (np.random.default_rng(0).normal(size=(2, 9000)) * 2).astype(np.float32)
    for recipe in ("ban([5]) | temperature([0.5, 0.7])", "bias([[5, 1.0]]) | temperature(linear(0.5, 0.7, steps=3))"):
        sampler = parse(recipe)
        state = sampler.start([[1]] * 2, seed=1)
        found = sampler.plan().draw(logits, state)
        assert found is not None
        assert found[0].tolist() == sampler.step(logits.astype(np.float64), state).tokens.tolist()


@pytest.mark.usefixtures("compiled")
def test_a_step_of_one_kept_token_knows_its_logits_too():
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(2, 9000)) * 2).astype(np.float32)
    for recipe in ("temperature(0.0)", "top_k(1)", "min_p(1.0)"):
        sampler, given = parse(recipe), logits.copy()
        step = sampler.step(given, sampler.start([[], []], seed=1))
        given[:] = rng.normal(size=given.shape)
        given[np.arange(2), step.tokens] = 9.0
        with pytest.raises(LogitsError, match="written over"):
            _ = step.raw_logprobs


@pytest.mark.usefixtures("compiled")
def test_what_is_no_logit_is_not_hidden_by_a_ban():
    for bad in (np.nan, np.inf):
        for recipe in ("no_repeat_ngram(1)", "ban([2])", "repetition(1.3)"):
            logits = np.zeros((1, 9000), np.float32)
            logits[0, 2] = bad
            sampler = parse(recipe)
            with pytest.raises(LogitsError, match="in the logits, first at token 2"):
                sampler.step(logits, sampler.start([[1, 2]], seed=1))


def test_entropies_whose_last_digits_decide_are_left_to_the_plain_rules():
    row = np.random.default_rng(0).normal(size=9000).astype(np.float32)
    row[17] = 45.0
    assert kernel("dynatemp(0.5, 20.0, exponent=0.05)", row, 0.5)[0] == ASK
    assert kernel("dynatemp(0.5, 20.0, exponent=1.0)", row, 0.5)[0] == FINE


def test_cuts_within_the_doubt_of_float32_are_settled_exactly():
    """p on either side of a running mass, nearer than float32 sums can tell: the kept sets are equal all the same."""
    rng = np.random.default_rng(8)
    row = (rng.normal(size=9000) * 2).astype(np.float32)
    weights = np.exp(np.sort(row.astype(np.float64))[::-1] - row.max())
    mass = np.cumsum(weights) / weights.sum()
    exact = 0
    for place in range(5, 4000, 97):
        for nudge in (-3e-9, 3e-9):
            recipe = f"top_p({float(mass[place]) * (1 + nudge) / (1 - 1e-6)!r})"
            outcome, _, _, count, cut, _, referee = kernel(recipe, row, 0.5)
            kept = np.isfinite(parse(recipe).apply(row[None], parse(recipe).start([[]], seed=1)))[0]
            assert outcome == FINE
            assert count == kept.sum(), (recipe, place)
            assert np.array_equal(row >= cut, kept)
            exact += referee
    assert exact > 40  # rough sums could not tell


def test_min_p_compares_as_float64_does():
    """A limit between two float32 numbers: the lower one goes, however near it is."""
    for value in (-1.1, -0.3, -2.7, -0.0101):
        low = np.float32(value)
        row = np.array([0.0, low], np.float32)
        for nudge, count in ((1e-10, 1), (-1e-10, 2)):
            p = math.exp(float(low) + nudge) / (1 - 1e-6)
            assert kernel(f"min_p({p!r})", row, 0.5)[3] == count
