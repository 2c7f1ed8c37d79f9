"""The kernels for graphics cards against the plain rules, under Triton's interpreter: no card is needed, none is asked.

conftest.py sets TRITON_INTERPRET before Triton is imported. What the interpreter cannot show, that the code compiles
for a card, is tested in a process of its own without it.
"""

import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from logitherm import parse, uniform
from logitherm.kernels.codes import ASK, FINE, SPOILED
from logitherm.kernels.gpu.entry import Cards, together
from logitherm.plan import VARIABLE, Plan
from tests.kernels.test_cut import EDGES, RECIPES, rows

if importlib.util.find_spec("triton") is None and sys.platform != "linux":
    pytest.skip("the GPU stage needs Triton, which is for Linux", allow_module_level=True)

import triton  # on Linux the dev extra brings it: without it this stage fails, it is never skipped
import triton.language as tl
from triton.runtime import interpreter

from logitherm.kernels.gpu import chain, heat
from logitherm.kernels.gpu.coins import coin


@pytest.fixture(autouse=True, scope="module")
def _patched_once():
    """The interpreter puts its own functions into triton.language at each call of a function, which takes most of its
    time. Here they are put there once.
    """
    assert os.environ["TRITON_INTERPRET"] == "1"
    original, done = interpreter._patch_lang, set()

    class Kept:
        def restore(self):
            pass

    def once(function):
        values = function.__globals__.values()
        languages = frozenset(id(v) for v in values if inspect.ismodule(v) and v in (tl, tl.core))
        if languages not in done:
            done.add(languages)
            original(function)
        return Kept()

    interpreter._patch_lang = once
    yield
    interpreter._patch_lang = original


@pytest.fixture(autouse=True)
def _no_warnings():
    """A card has none: where numbers overflow the kernel sees it in the result."""
    with np.errstate(all="ignore"):
        yield


@pytest.fixture
def coins(monkeypatch):
    """Uniform numbers of our own choice: row i draws with the i-th."""
    chosen = []
    monkeypatch.setattr(chain, "coin", lambda seed, position: tl.full((), chosen[int(seed)], tl.float64))
    return chosen


def answers(recipe, lines, block=chain.BLOCK):
    """What the kernel says of each row; row i has the seed i."""
    kinds, numbers = together(Plan(parse(recipe).rules)._told, len(lines))
    seeds = torch.arange(len(lines), dtype=torch.int64)
    logits = lines if torch.is_tensor(lines) else torch.from_numpy(np.stack(list(lines)))
    return chain.draws(
        logits, seeds, torch.zeros_like(seeds), torch.from_numpy(kinds), torch.from_numpy(numbers), block
    ).numpy()


def plain(recipe, line):
    """The kept set, the weights and their running sum by the plain rules."""
    sampler = parse(recipe)
    final = np.asarray(sampler.apply(np.asarray(line, np.float64)[None], sampler.start([[]], seed=1)))[0]
    kept = np.isfinite(final)
    weights = np.where(kept, np.exp(final - final.max()), 0.0)
    return kept, weights, np.cumsum(weights)


def check(recipe, line, u, answer, where):
    """Nothing is excused here: what the kernel decides is what the plain rules decide."""
    _, token, log_p, count, cut, _ = answer
    kept, weights, running = plain(recipe, line)
    assert count == kept.sum(), where
    assert token == int(((running > u * running[-1]) & (weights > 0)).argmax()), where
    if recipe != "temperature(0.0)":
        assert np.array_equal(line >= np.float32(cut), kept), where
    assert log_p == pytest.approx(np.log(weights[int(token)] / running[-1]), abs=1e-9), where


@pytest.mark.parametrize(("size", "block"), [(1, 16), (7, 16), (100, 128), (1000, 256), (5003, 2048)])
def test_kept_sets_are_equal_and_tokens_too(size, block, coins, record_property):
    rng = np.random.default_rng(size)
    kinds = rows(size, rng)
    asked = 0
    for number, recipe in enumerate(RECIPES):
        choice = [rng.random(), *EDGES, rng.random()]
        coins[:] = [choice[(i + number) % 4] for i in range(len(kinds))]
        for (name, line), u, answer in zip(kinds.items(), coins, answers(recipe, kinds.values(), block), strict=True):
            if answer[0] == FINE:
                check(recipe, line, u, answer, (name, recipe, u))
            else:
                assert answer[0] == ASK
                # the upper edge lies on a boundary; in huge rows weights underflow, and temperatures in doubt are wild
                huge = name == "huge" and (u == 0.0 or "dyna" in recipe or "edt" in recipe)
                assert u == EDGES[1] or huge, (name, recipe, u)
                asked += 1
    record_property(f"rows of {size} tokens", f"{len(kinds) * len(RECIPES)}, {asked} left to the plain rules")
    assert asked < 20


def test_rows_of_a_real_model(gpt2, coins, record_property):
    rng = np.random.default_rng(0)
    for recipe in (
        "temperature(0.8)",
        "top_p(0.95)",
        "dynamic_temperature(0.5, entropy=0.1) | top_k(200) | top_p(0.9)",
    ):
        coins[:] = rng.random(3)
        for line, u, answer in zip(gpt2, coins, answers(recipe, gpt2, 16384), strict=True):
            assert answer[0] == FINE
            check(recipe, line, u, answer, recipe)


def test_the_guess_costs_time_but_never_a_token(coins, monkeypatch):
    """Guesses from both ends of the row, and halfway: what is settled in float64 is the same."""
    line = (np.random.default_rng(3).normal(size=600) * 2).astype(np.float32)
    coins[:] = [0.37]
    for recipe in ("top_p(0.8)", "top_k(70)", "temperature(2.0) | top_p(0.99) | top_k(300)"):
        expected = answers(recipe, [line], 1024)
        check(recipe, line, 0.37, expected[0], recipe)
        for wrong in (
            lambda row, n, top, top_key, t, cut, target, block: cut,
            lambda row, n, top, top_key, t, cut, target, block: top_key,
            lambda row, n, top, top_key, t, cut, target, block: cut // 2 + top_key // 2,
        ):
            with monkeypatch.context() as patch:
                patch.setattr(chain, "guess", wrong)
                assert np.array_equal(answers(recipe, [line], 1024), expected)


def test_cuts_that_order_could_move_are_asked_for(coins):
    """p on a running mass: nearer than sums are sure of it asks, a little farther it is decided, and rightly."""
    line = (np.random.default_rng(8).normal(size=900) * 2).astype(np.float32)
    weights = np.exp(np.sort(line.astype(np.float64))[::-1] - line.max())
    mass = np.cumsum(weights) / weights.sum()
    coins[:] = [0.5]
    for place in (5, 40, 333):
        for nudge, sure in ((0.0, False), (-1e-14, False), (-3e-12, True), (3e-12, True)):
            recipe = f"top_p({float(mass[place]) * (1 + nudge) / (1 - 1e-6)!r})"
            answer = answers(recipe, [line], 1024)[0]
            assert (answer[0] == FINE) == sure, (place, nudge)
            if sure:
                check(recipe, line, 0.5, answer, (place, nudge))


def test_draws_that_order_could_move_are_asked_for(coins):
    line = (np.random.default_rng(9).normal(size=900) * 2).astype(np.float32)
    running = plain("temperature(0.9)", line)[2]
    at = [float(running[place] / running[-1]) for place in (10, 450, 880)]
    coins[:] = [u * (1 + nudge) for u in at for nudge in (0.0, 1e-14, 1e-11, -1e-11)]
    found = answers("temperature(0.9)", [line] * len(coins), 1024)
    assert (found[:, 0] == FINE).tolist() == [False, False, True, True] * 3
    for u, answer in zip(coins, found, strict=True):
        if answer[0] == FINE:
            check("temperature(0.9)", line, u, answer, u)


def test_sums_of_doubtful_temperatures_ask_earlier(coins):
    """A temperature made of a sum moves every boundary: by less than 1e-9, and by more than order does."""
    line = (np.random.default_rng(9).normal(size=900) * 2).astype(np.float32)
    recipe = "dynamic_temperature(0.5, entropy=0.1)"
    running = plain(recipe, line)[2]
    place = int((running < 0.1 * running[-1]).sum())
    at = float(running[place] / running[-1])
    coins[:] = [at + 2e-12, at - 2e-12, at + 1e-9, at - 1e-9]
    found = answers(recipe, [line] * 4, 1024)
    assert found[:, 0].tolist() == [ASK, ASK, FINE, FINE]
    assert found[2:, 1].tolist() == [place + 1, place]


def test_zeros_of_both_signs_tie(coins):
    line = np.array([-1.0, 0.0, -0.0, -2.0, 0.0], np.float32)
    coins[:] = [0.5]
    for recipe in ("top_k(1)", "top_p(0.1)", "min_p(1.0)"):
        assert answers(recipe, [line], 16)[0].tolist()[:4] == [FINE, 2, pytest.approx(-np.log(3)), 3]
    assert answers("temperature(0.0)", [line], 16)[0, 1] == 1


def test_spoiled_rows_are_told_apart(coins):
    lines = [np.zeros(300, np.float32) for _ in range(9)]
    for i, line in enumerate(lines[:8]):
        line[[0, 127, 128, 299][i // 2]] = [np.nan, np.inf][i % 2]
    lines[8][:] = -np.inf
    coins[:] = [0.5] * 9
    assert (answers("top_p(0.9)", lines, 128)[:, 0] == SPOILED).all()
    extreme = "dynamic_temperature(0.5, entropy=1e308) | temperature(1e308)"
    assert answers(extreme, [np.zeros(300, np.float32)], 128)[0, 0] == ASK


@triton.jit
def toss(seeds, positions, out):
    place = tl.program_id(0)
    tl.store(out + place, coin(tl.load(seeds + place), tl.load(positions + place)))


def test_the_coins_are_the_same_bits():
    seeds = np.repeat(np.array([0, 1, 2**32 - 1, 2**53 + 1, 2**64 - 1], np.uint64), 6)
    positions = np.tile(np.array([0, 1, 7, 2**32 - 1, 2**32, 2**63 + 5], np.uint64), 5)
    out = torch.empty(len(seeds), dtype=torch.float64)
    toss[(len(seeds),)](*(torch.from_numpy(x.view(np.int64)) for x in (seeds, positions)), out)
    assert np.array_equal(out.numpy(), uniform(seeds, positions))


@triton.jit
def warm(row, n, t, kind, numbers, out, BLOCK: tl.constexpr):
    top = tl.max(tl.load(row + tl.arange(0, BLOCK), mask=tl.arange(0, BLOCK) < n, other=float("-inf")), axis=0)
    own, low, high = heat.heat(kind, numbers, row, n, top, tl.load(t), heat.LINEAR * 0 - 2139095040, own_zero(t), BLOCK)
    tl.store(out, own)
    tl.store(out + 1, low)
    tl.store(out + 2, high)


@triton.jit
def own_zero(t):
    return tl.load(t) * 0.0


def temperatures(recipe, line):
    """The temperature by the plain rule, and the kernel's own with its lowest and highest."""
    sampler = parse(recipe)
    rule, told = sampler.rules[0], sampler.plan()._told[0, 0]
    wide = line.astype(np.float64)[None]
    _, _, _, at = next(iter(sampler.stages(wide, sampler.start([[]], seed=1))))
    t, out = torch.ones(1, dtype=torch.float64), torch.empty(3, dtype=torch.float64)
    warm[(1,)](torch.from_numpy(line), len(line), t, int(told[0]), torch.from_numpy(told[1:].copy()), out, 1024)
    return np.asarray(rule.temperature(wide, at)).item(), *out.tolist()


@pytest.mark.parametrize(
    "recipe",
    [
        "dynamic_temperature(0.5, max_p=-0.3, entropy=0.1, varentropy=0.05, normalised_entropy=0.5)",
        "dynamic_temperature(2.0, entropy=-0.25)",
        "dynatemp(0.5, 1.5, exponent=0.3)",
        "dynatemp(1.5, 0.2, exponent=3.0)",
        "edt(0.8, 1.0)",
        "edt(1.4, 0.01, base=0.6)",
    ],
)
def test_temperatures_lie_within_their_doubt(recipe):
    """The plain temperature lies between the lowest and the highest that the kernel thinks possible, which are near."""
    for name, line in rows(700, np.random.default_rng(4)).items():
        true, own, low, high = temperatures(recipe, line)
        assert low <= min(own, true), name
        assert max(own, true) <= high, name
        if name != "huge" or "exponent=0.3" not in recipe:  # there a root of an entropy of about 0 is taken
            assert high - low < 1e-10 * max(1.0, own), name


def test_temperatures_of_nearly_sure_rows_lie_within_their_doubt():
    """Where an entropy of about 1e-5 is divided by, its last digits count thousandfold."""
    rng, apart = np.random.default_rng(6), 0
    for _ in range(30):
        line = rng.normal(size=700).astype(np.float32)
        line[5] = 20.0
        true, own, low, high = temperatures("edt(0.8, 0.0005)", line)
        assert low <= min(own, true)
        assert max(own, true) <= high
        assert high - low < 1e-6
        apart += abs(own - true) > 1e-12 * own
    assert apart > 0  # rounding alone would not explain it


@pytest.fixture
def cards(monkeypatch):
    """Cards that take tensors of the host, which the interpreter works on."""
    ours = Cards()
    monkeypatch.setattr(Cards, "takes", lambda self, logits: True)
    monkeypatch.setattr("logitherm.plan.in_place", lambda logits: None)
    monkeypatch.setattr("logitherm.plan.CARDS", ours)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        ours.load((torch.device("cpu"), dtype))
    assert ours.standing == "; on a graphics card compiled"
    return ours


def test_logits_are_read_where_they_lie(cards):
    wide = torch.from_numpy((np.random.default_rng(0).normal(size=(6, 400)) * 2).astype(np.float32))
    sampler = parse("temperature(0.8) | top_p(0.9)")
    state = sampler.start([[], [], []], seed=9)
    for lines in (
        wide[:3],
        wide[::2],
        wide[:3, 7:300],
        wide[:3].T.contiguous().T,
        wide[:3].to(torch.bfloat16),
        wide[3:].to(torch.float16),
        wide[:1].expand(3, 400),
    ):
        tokens, log_ps, _ = sampler.plan().draw(lines, state)
        expected = sampler.step(lines.double().numpy(), state)
        assert tokens.tolist() == expected.tokens.tolist()
        assert log_ps[:, 0] == pytest.approx(expected.final_logprobs, abs=1e-9)
    for left in (wide[:3].double(), wide, wide[0], wide[:3].int(), wide[:3, :0]):
        assert sampler.plan().draw(left, state) is None


def test_a_step_takes_them_and_rows_have_parameters_and_positions_of_their_own(cards, monkeypatch):
    logits = torch.from_numpy((np.random.default_rng(1).normal(size=(3, 300)) * 2).astype(np.float32))
    for recipe in (
        "temperature([0.5, 1.0, 2.0]) | top_k([0, 3, 9]) | top_p([1.0, 1.0, 0.7])",
        "temperature(linear(2.0, 0.1, steps=5)) | min_p(0.1)",
        "top_p(1.0)",
    ):
        sampler = parse(recipe)
        assert sampler.plan().kernel == "cut"
        state = sampler.start([[], [], []], seed=[7, 8, 2**64 - 1])
        for _ in range(3):
            assert sampler.plan().draw(logits, state) is not None
            step = sampler.step(logits, state)
            monkeypatch.setenv(VARIABLE, "plain")
            assert parse(recipe).plan().draw(logits, state) is None
            expected = parse(recipe).step(logits, state)
            monkeypatch.delenv(VARIABLE)
            assert step.tokens.tolist() == expected.tokens.tolist()
            assert step.final_logprobs == pytest.approx(expected.final_logprobs, abs=1e-12)
            state = step.state.take([2, 0, 1], seed=step.state.seed[[2, 0, 1]])


def test_a_batch_with_a_row_that_is_asked_for_is_the_plain_rules(cards):
    sampler = parse("temperature(0.8)")
    logits = torch.zeros((2, 300))
    logits[1, 5] = float("nan")
    assert sampler.plan().draw(logits, sampler.start([[], []], seed=1)) is None
    with pytest.raises(ValueError, match="row 1: NaN in the logits, first at token 5"):
        sampler.step(logits, sampler.start([[], []], seed=1))


def test_nobody_waits_for_a_compiler(monkeypatch):
    ours, sampler = Cards(), parse("top_p(0.9)")
    monkeypatch.setattr(Cards, "takes", lambda self, logits: True)
    monkeypatch.setattr("logitherm.plan.in_place", lambda logits: None)
    monkeypatch.setattr("logitherm.plan.CARDS", ours)
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 200)).astype(np.float32))
    state = sampler.start([[]], seed=3)
    assert ours.standing == ""
    assert sampler.plan().draw(logits, state) is None
    for thread in ours._threads.values():
        thread.join()
    assert str(sampler.plan()).endswith("; on a graphics card compiled)")
    assert sampler.plan().draw(logits, state)[0][0] == sampler.step(logits.numpy(), state).tokens[0]


def alone(code, **environment):
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, env={**os.environ, **environment})


def test_without_triton_everything_works_and_says_so():
    alone("""
import sys
sys.modules["triton"] = None
import torch
from logitherm import parse
from logitherm.plan import CARDS
CARDS.takes = lambda logits: True
sampler = parse("top_p(0.9)")
assert "torch" in sys.modules
CARDS.load((torch.device("cpu"), torch.float32))
assert sampler.step(torch.zeros((1, 900)), sampler.start([[]], seed=1)).tokens.shape == (1,)
assert str(sampler.plan()).endswith("; on a graphics card plain: triton is not installed)"), str(sampler.plan())
""")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card to time")
def test_the_benchmark_says_that_there_is_no_card():
    command = [sys.executable, "-m", "benchmarks.bench_gpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert done.stderr.strip().endswith("torch sees none on this machine. Nothing was timed.")
    assert done.stdout == ""


def test_it_compiles_for_cards():
    """To machine code, for three generations and three dtypes; float64 divides as the plain rules do."""
    alone(
        """
import re
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from logitherm.kernels.gpu import chain
for generation, logits in ((80, "*fp16"), (89, "*fp32"), (90, "*bf16")):
    kinds = [logits, "i64", "i32", "*i64", "*i64", "*i32", "*fp64", "i32", "*fp64", "constexpr"]
    source = ASTSource(
        fn=chain.run,
        signature=dict(zip(chain.run.arg_names, kinds, strict=True)),
        constexprs={(len(kinds) - 1,): chain.BLOCK},
    )
    options = {"enable_fp_fusion": False, "num_warps": chain.WARPS}
    made = triton.compile(source, target=GPUTarget("cuda", generation, 32), options=options)
    assert len(made.asm["cubin"]) > 10_000
    divisions = set(re.findall(r"div\\\\.\\\\S*f64", made.asm["ptx"]))
    assert divisions == {"div.rn.f64"}, divisions
""".replace("\\\\", "\\"),
        TRITON_INTERPRET="0",
    )
