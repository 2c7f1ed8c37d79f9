"""How a chain of rules is told to a kernel: each rule as a kind and a few numbers, lists of tokens beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from math import inf, log, sqrt
from typing import Any

import numpy as np

from logitherm.kernels.codes import (
    CONFORMAL,
    ENTRY,
    EPSILON,
    ETA,
    EXPONENTIAL,
    FIRST_HUNDRED,
    FREQUENCY,
    INTERPOLATED,
    LINEAR,
    LISTED,
    MIN_K,
    MIN_P,
    OF,
    OFF,
    P_LESS,
    P_LESS_NORM,
    PRESENCE,
    RANGES,
    REPETITION,
    TEMPERATURE,
    TFS,
    TOP_A,
    TOP_H,
    TOP_K,
    TOP_N_SIGMA,
    TOP_P,
    UNREPEATED,
)
from logitherm.rules import (
    Ban,
    Bias,
    Conformal,
    DynamicTemperature,
    Epsilon,
    Eta,
    Frequency,
    MinK,
    MinNewTokens,
    MinP,
    NoRepeatNgram,
    PLess,
    PLessNorm,
    Presence,
    Repetition,
    Rule,
    Temperature,
    Tfs,
    TopA,
    TopH,
    TopK,
    TopNSigma,
    TopP,
)
from logitherm.rules.base import SLACK
from logitherm.rules.dynamic import Dynatemp, Edt
from logitherm.rules.penalties import Penalty
from logitherm.rules.probability_floor import log_of
from logitherm.schedule import Schedule
from logitherm.state import At, State

Encoded = tuple[int, list[float]]
"""A rule as a kernel reads it: its kind and its numbers."""

Value = Callable[[Any], float]
"""The value of a parameter for one row."""


def _temperature(rule: Any, value: Value) -> Encoded | None:
    return TEMPERATURE, [value(rule.t)]


def _top_k(rule: Any, value: Value) -> Encoded | None:
    return (TOP_K, [value(rule.k)]) if value(rule.k) > 0 else None


def _top_p(rule: Any, value: Value) -> Encoded | None:
    return (TOP_P, [value(rule.p) * (1 - SLACK)]) if value(rule.p) < 1 else None


def _min_p(rule: Any, value: Value) -> Encoded | None:
    return (MIN_P, [log(value(rule.p) * (1 - SLACK))]) if value(rule.p) > 0 else None


def _linear(rule: Any, value: Value) -> Encoded | None:
    entropy = value(rule.entropy) + value(rule.log_perplexity)
    shares = [value(rule.max_p), entropy, value(rule.normalised_entropy), value(rule.varentropy)]
    return LINEAR, [value(rule.a), *shares, value(rule.t_min), value(rule.t_max)]


def _interpolated(rule: Any, value: Value) -> Encoded | None:
    return INTERPOLATED, [value(rule.low), value(rule.high), value(rule.exponent)]


def _exponential(rule: Any, value: Value) -> Encoded | None:
    return EXPONENTIAL, [value(rule.t0), value(rule.theta), value(rule.base)]


def _eta(epsilon: float) -> list[float]:
    return [log_of(epsilon), log_of(sqrt(epsilon))]


def _top_h(rule: Any, value: Value) -> Encoded | None:
    alpha = value(rule.alpha)
    if rule.form == "transformers":
        return FIRST_HUNDRED, [alpha * (1 + SLACK)]
    return (TOP_H, [alpha * (1 + SLACK)]) if alpha < 1 else None


def _conformal(rule: Any, value: Value) -> Encoded | None:
    masses = [p * (1 - SLACK) if p < 1 else 1.0 for p in rule.p]
    if not rule.edges:
        return (TOP_P, masses) if masses != [1.0] else None
    masses += [1.0] * (RANGES - len(masses))
    return CONFORMAL, [*masses, *rule.edges, *[inf] * (RANGES - 1 - len(rule.edges))]


def _penalty(kind: int, neutral: float) -> Callable[[Any, Value], Encoded | None]:
    return lambda rule, value: (kind, [value(rule.penalty)]) if value(rule.penalty) != neutral else None


def _unrepeated(rule: Any, value: Value) -> Encoded | None:
    return (UNREPEATED, [value(rule.n)]) if value(rule.n) > 0 else None


DYNAMIC: dict[type[Rule], Callable[[Any, Value], Encoded | None]] = {
    DynamicTemperature: _linear,
    Dynatemp: _interpolated,
    Edt: _exponential,
}

FLOORS: dict[type[Rule], Callable[[Any, Value], Encoded | None]] = {
    Epsilon: lambda rule, value: (EPSILON, [log_of(value(rule.epsilon))]) if value(rule.epsilon) > 0 else None,
    Eta: lambda rule, value: (ETA, _eta(value(rule.epsilon))) if value(rule.epsilon) > 0 else None,
    TopA: lambda rule, value: (TOP_A, [log_of(value(rule.a))]) if value(rule.a) > 0 else None,
    PLess: lambda rule, value: (P_LESS, [1 - SLACK]),
    PLessNorm: lambda rule, value: (P_LESS_NORM, [1 - SLACK]),
    TopNSigma: lambda rule, value: (TOP_N_SIGMA, [value(rule.n) * (1 + SLACK)]) if value(rule.n) > 0 else None,
    MinK: lambda rule, value: (MIN_K, [value(rule.tau) * (1 + SLACK), 1 - SLACK]) if value(rule.tau) < inf else None,
    TopH: _top_h,
    Tfs: lambda rule, value: (TFS, [value(rule.z) + SLACK]) if value(rule.z) < 1 else None,
    Conformal: _conformal,
}

CUT: dict[type[Rule], Callable[[Any, Value], Encoded | None]] = {
    Temperature: _temperature,
    TopK: _top_k,
    TopP: _top_p,
    MinP: _min_p,
    **DYNAMIC,
    **FLOORS,
}
"""The rules that the cut kernel covers, in any order, and how each is told to it; None where it is off."""

LISTS: dict[type[Rule], Callable[[Any], Sequence[tuple[int, float]]]] = {
    Bias: lambda rule: rule.pairs,
    Ban: lambda rule: [(token, -inf) for token in rule.ids],
    MinNewTokens: lambda rule: [(token, -inf) for token in rule.eos],
}
"""Rules that add something to listed tokens: the tokens and what is added."""

EDITS: dict[type[Rule], Callable[[Any, Value], Encoded | None]] = {
    Repetition: _penalty(REPETITION, 1.0),
    Frequency: _penalty(FREQUENCY, 0.0),
    Presence: _penalty(PRESENCE, 0.0),
    NoRepeatNgram: _unrepeated,
}
"""The rules that it covers at the head of a chain; these and LISTS."""

REMOVALS = Ban, MinNewTokens, NoRepeatNgram
"""Those of them that float32 is enough for. After others nothing may follow that looks at the whole row's numbers."""

UNSUMMED = "median", "surprisal_median", "running_perplexity"
"""Features of dynamic temperature that are no sums over a row."""


def covered(rules: Sequence[Rule]) -> bool:
    """Whether the cut kernel covers a chain.

    Not what looks at the row before any rule behind a head, which has changed it; and not two coefficients of the
    entropy, which are summed before they meet it, so that they may cancel where the plain rule's terms do not.
    """
    head = 0
    while head < len(rules) and (type(rules[head]) in EDITS or type(rules[head]) in LISTS):
        head += 1
    exact = all(type(rule) in REMOVALS for rule in rules[:head])
    known = CUT.keys() if exact else CUT.keys() - DYNAMIC.keys() - FLOORS.keys()
    return (
        all(type(rule) in known for rule in rules[head:])
        and not (head and any(getattr(rule, "of", "kept") == "raw" for rule in rules))
        and all(len(rule.p) <= RANGES for rule in rules if isinstance(rule, Conformal))
        and all(getattr(rule, feature, 0.0) == 0.0 for rule in rules for feature in UNSUMMED)
        and all(0.0 in (rule.entropy, rule.log_perplexity) for rule in rules if isinstance(rule, DynamicTemperature))
        and all(rule.eos is not None for rule in rules if isinstance(rule, MinNewTokens))
        and all(rule.plain for rule in rules if isinstance(rule, Penalty))
    )


def covered_by_cuts(rules: Sequence[Rule]) -> bool:
    """Whether what stays of a row says all about a chain but the temperatures, which are given."""
    return covered(rules) and all(type(rule) in CUT and type(rule) not in DYNAMIC for rule in rules)


def number(value: Any) -> float:
    """A parameter's value as a kernel reads it; whole numbers beyond 2⁵³ are as good as that."""
    return float(min(value, 2**53)) if isinstance(value, int) else float(value)


def told_alike(rules: Sequence[Rule]) -> np.ndarray | None:
    """The rules as a kernel reads them, (1, rules, ENTRY) without those that are off; None if rows may differ."""
    if any(isinstance(v, Schedule) for rule in rules for v in vars(rule).values()) or any(r.per_row() for r in rules):
        return None
    told = _entries(rules, number)
    return np.ascontiguousarray(told[:, told[0, :, 0] != OFF])


def told_apart(rules: Sequence[Rule], state: State) -> np.ndarray:
    """The rules as a kernel reads them, (rows, rules, ENTRY), each row where it stands."""
    at = At(None, state)
    given = [getattr(rule, f.name) for rule in rules for f in fields(rule) if "ok" in f.metadata]
    columns = {id(v): at.values(v) for v in given if isinstance(v, tuple | Schedule)}

    def entries(row: int) -> np.ndarray:
        return _entries(rules, lambda v: number(columns[id(v)][row] if id(v) in columns else v))

    return np.concatenate([entries(row) for row in range(len(state))])


def pairs(rules: Sequence[Rule]) -> np.ndarray:
    """(n, 2) token ids and what is added to their logits, of all rules of LISTS one after another."""
    found = [tuple(map(float, pair)) for rule in rules if type(rule) in LISTS for pair in LISTS[type(rule)](rule)]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def _entries(rules: Sequence[Rule], value: Value) -> np.ndarray:
    """The rules as a kernel reads them for one row, (1, rules, ENTRY)."""
    told, begin = np.zeros((1, len(rules), ENTRY)), 0
    for entry, rule in zip(told[0], rules, strict=True):
        if type(rule) in LISTS:
            end = begin + len(LISTS[type(rule)](rule))
            until = value(rule.n) if isinstance(rule, MinNewTokens) else inf
            found: Encoded | None = (LISTED, [begin, end, until]) if begin < end else None
            begin = end
        else:
            found = {**CUT, **EDITS}[type(rule)](rule, value)
        kind, numbers = found or (OFF, [])
        entry[0], entry[1 : 1 + len(numbers)] = kind, numbers
        entry[1 + OF] = getattr(rule, "of", "kept") == "raw"
    return told
