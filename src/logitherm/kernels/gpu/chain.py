"""A run of rules on each row, each as what it does to two numbers: the temperature and the cut. One program a row.

The answer is the plain rules' or none: where sums in another order could give another kept set or token, the row says
ASK. docs/decisions/0008-gpu-weights.md says why, and how seldom.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from logitherm.kernels import codes
from logitherm.kernels.gpu.coins import coin
from logitherm.kernels.gpu.draw import draw
from logitherm.kernels.gpu.heat import ULP, blur, heat, loose
from logitherm.kernels.gpu.keys import LOWEST, logit_of
from logitherm.kernels.gpu.passes import floor_of, read, whole
from logitherm.kernels.gpu.search import guess, settle

TEMPERATURE, TOP_K = tl.constexpr(codes.TEMPERATURE), tl.constexpr(codes.TOP_K)
TOP_P, MIN_P, LINEAR = tl.constexpr(codes.TOP_P), tl.constexpr(codes.MIN_P), tl.constexpr(codes.LINEAR)
FINE, SPOILED, ASK = tl.constexpr(codes.FINE), tl.constexpr(codes.SPOILED), tl.constexpr(codes.ASK)
NUMBERS, OF = tl.constexpr(codes.NUMBERS), tl.constexpr(codes.OF)

NO_RULE = -1
"""The kind that fills up a row with fewer rules than others."""

COLDEST = tl.constexpr(1e-6)
"""A temperature at or below this keeps one token."""

MILDEST, WILDEST = tl.constexpr(1e-100), tl.constexpr(1e100)
"""Between them x/t neither overflows nor ties what did not tie, for any float32 x."""

LOOSEST = tl.constexpr(1e-3)
"""Exponents in greater doubt decide nothing."""

ANSWERS = tl.constexpr(6)
"""Outcome, token, log-probability, how many are kept, cut, temperature."""

BLOCK, WARPS = 2048, 16
"""Tokens looked at together, and the threads that do it, in 32s: as many as the compiler for sm_90 has registers for.
Never timed."""


@triton.jit(do_not_specialize=["stride", "n", "rules"])
def run(logits, stride, n, seeds, positions, kinds, numbers, rules, answers, BLOCK: tl.constexpr):
    """One row: its rules from left to right, then its draw. See `draws`."""
    place = tl.program_id(0).to(tl.int64)
    row = logits + place * stride
    kinds += place * rules
    numbers += place * rules * NUMBERS
    answers += place * ANSWERS
    top_key, sound = read(row, n, BLOCK)
    top = logit_of(top_key)
    u = coin(tl.load(seeds + place), tl.load(positions + place))

    t, doubt, off = u * 0.0 + 1.0, u * 0.0, u * 0.0  # the temperature, its relative doubt, and that of exponents
    slack, margin = blur(doubt, top, t, n)
    cut, cold, rule = top_key * 0 + LOWEST, top_key < LOWEST - 1, top_key * 0
    outcome = tl.where(sound, FINE, SPOILED)
    while (rule < rules) & (outcome == FINE) & (cold == 0):
        kind = tl.load(kinds + rule)
        now = numbers + rule * NUMBERS
        if kind == TOP_K:
            _, kept, _, _ = whole(row, n, top, t, cut, BLOCK)
            k = tl.load(now)
            if k < kept:
                flat, target = t * float("inf"), k - 0.5
                start = guess(row, n, top, top_key, flat, cut, target, BLOCK)
                cut, sure = settle(row, n, top, top_key, flat, cut, target, start, u * 0.0, u * 0.0, BLOCK)
                outcome = tl.where(sure, outcome, ASK)
        elif kind == TOP_P:
            mass, _, _, _ = whole(row, n, top, t, cut, BLOCK)
            target = tl.load(now) * mass
            start = guess(row, n, top, top_key, t, cut, target, BLOCK)
            cut, sure = settle(row, n, top, top_key, t, cut, target, start, slack, margin * mass, BLOCK)
            outcome = tl.where(sure, outcome, ASK)
        elif kind == MIN_P:
            limit = top.to(tl.float64) / t + tl.load(now)
            wide, cut = floor_of(row, n, t, cut, limit, off, BLOCK)
            outcome = tl.where(wide == cut, outcome, ASK)
        elif kind == TEMPERATURE or kind >= LINEAR:
            own = tl.load(now)
            low, high = own, own
            if kind != TEMPERATURE:
                if tl.load(now + OF) > 0.0:
                    own, low, high = heat(kind, now, row, n, top, u * 0.0 + 1.0, top_key * 0 + LOWEST, u * 0.0, BLOCK)
                else:
                    own, low, high = heat(kind, now, row, n, top, t, cut, off, BLOCK)
            cold = high <= COLDEST
            if cold == 0:
                usual = (low > COLDEST) & (high < WILDEST)
                first = (t == 1.0) & (doubt == 0.0)
                doubt += tl.where(low == high, 0.0, (high - low) / own + 4.0 * ULP) + tl.where(first, 0.0, 4.0 * ULP)
                t *= own
                off = loose(doubt, top, t)
                slack, margin = blur(doubt, top, t, n)
                usual = usual & (t > MILDEST) & (t < WILDEST) & (off < LOOSEST)
                outcome = tl.where(usual, outcome, ASK)
        rule += 1

    token, log_p, kept = top_key * 0 - 1, u * 0.0, top_key * 0
    if outcome == FINE:
        if cold:
            _, _, token, _ = whole(row, n, top, u * 0.0 + 1.0, top_key, BLOCK)
            kept, cut, t = kept + 1, top_key, u * 0.0
        else:
            token, log_p, kept, sure = draw(row, n, top, t, cut, u, slack, margin, BLOCK)
            outcome = tl.where(sure, outcome, ASK)
    tl.store(answers, outcome.to(tl.float64))
    tl.store(answers + 1, token.to(tl.float64))
    tl.store(answers + 2, log_p)
    tl.store(answers + 3, kept.to(tl.float64))
    tl.store(answers + 4, logit_of(cut).to(tl.float64))
    tl.store(answers + 5, t)


def draws(logits: Any, seeds: Any, positions: Any, kinds: Any, numbers: Any, block: int = BLOCK) -> Any:
    """One token a row.

    logits: (rows, vocabulary) tensor, bfloat16, float16 or float32, read where it lies; a row's entries are neighbours.
    seeds, positions: (rows,) int64, with the bits of the unsigned numbers.
    kinds: (rows, rules) int32, the rules of each row as codes.py tells them, NO_RULE for none.
    numbers: (rows, rules, NUMBERS) float64. All tensors are on one device.
    Returns a (rows, ANSWERS) float64 tensor there: outcome (FINE, SPOILED, ASK), token, log-probability after the
    rules, how many tokens are kept, the cut and the temperature (0 where one token was kept by cold). What follows the
    outcome means something only where it is FINE.
    """
    answers = logits.new_empty((len(logits), ANSWERS.value), dtype=numbers.dtype)
    run[(len(logits),)](
        logits, logits.stride(0), logits.shape[1], seeds, positions, kinds, numbers, kinds.shape[1], answers,
        BLOCK=block, num_warps=WARPS, enable_fp_fusion=False,
    )  # fmt: skip
    return answers
