"""Rules that cannot act, whatever the logits: only what can be proven.

Rules are left out one after the other, each only if the chain without it draws the same tokens, so what is left out
together is right too. Proofs are for exact arithmetic: dividing may make two neighbouring floats one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log
from typing import Any

from logitherm.remarks.families import PENALTIES, TIED, greedy, heat, maxima, off, span, warm
from logitherm.remarks.form import Remark, remark
from logitherm.rules import (
    AdaptiveP,
    Allow,
    Ban,
    Bias,
    Cutoff,
    ForcedEos,
    GreedyThreshold,
    MinNewTokens,
    MinP,
    Quadratic,
    Rule,
    TargetEntropy,
    Temperature,
    Tempering,
    TopK,
    TopNSigma,
    Xtc,
)
from logitherm.rules.base import SLACK
from logitherm.rules.probability_floor import Epsilon

Why = tuple[str, tuple[int, ...]]
"""Why a rule cannot act, and the places of the rules that make it so."""

LEAVE = "Leave it out."

USUAL = 1e3
"""The temperatures, up to this and down to one over it, at which a solver finds what it finds without them."""


def idle(rules: Sequence[Rule]) -> tuple[list[int], list[Remark]]:
    """The places of the rules that may act, and a remark on each that cannot."""
    live, remarks = list(range(len(rules))), []
    for i in range(len(rules)):
        if (why := _why(rules, live, i)) is None:
            continue
        live.remove(i)
        remarks.append(remark("cannot-act", "proven", rules, (i, *why[1]), why[0], LEAVE))
    return live, remarks


def _why(rules: Sequence[Rule], live: Sequence[int], i: int) -> Why | None:
    """Why the rule at a place cannot act, if that can be proven."""
    if off(rules[i]):
        return None if len(rules) == 1 and warm(rules[i]) else ("It is at its neutral setting.", ())
    before, after = [j for j in live if j < i], [j for j in live if j > i]
    return (
        _alone(rules[i])
        or _removed(rules, before, i)
        or _nothing_left(rules, before, after, i)
        or _only_the_top(rules, after, i)
        or _within(rules, before, i)
        or _overtaken(rules, after, i)
        or _rescaled(rules, after, i)
    )


def _alone(rule: Rule) -> Why | None:
    """What a rule's own numbers forbid."""
    if isinstance(rule, Xtc) and span(rule.threshold)[0] * (1 - SLACK) > 0.5:
        return "Two tokens cannot both have more than half of the mass, and it spares the least likely that has.", ()
    if isinstance(rule, Bias) and all(amount == 0 for _, amount in rule.pairs):
        return "It adds zero.", ()
    return None


def gone(rules: Sequence[Rule], places: Sequence[int]) -> tuple[set[int], set[int] | None]:
    """The tokens that these rules always remove, and those that they allow, None for all others."""
    removed: set[int] = set()
    allowed: set[int] | None = None
    for j in places:
        rule = rules[j]
        if isinstance(rule, Ban):
            removed |= set(rule.ids)
        elif isinstance(rule, Bias):
            removed |= {int(token) for token, amount in rule.pairs if amount == -inf}
        elif isinstance(rule, Allow):
            allowed = set(rule.ids) if allowed is None else allowed & set(rule.ids)
    return removed, allowed


def _removed(rules: Sequence[Rule], before: Sequence[int], i: int) -> Why | None:
    """A rule about tokens that are gone already, or that allows all that are left."""
    rule = rules[i]
    removed, allowed = gone(rules, before)
    by = tuple(j for j in before if isinstance(rules[j], Ban | Bias | Allow))
    if isinstance(rule, Allow) and allowed is not None and allowed - removed and set(rule.ids) >= allowed - removed:
        return "It allows all that are left.", by
    about = {int(pair[0]) for pair in rule.pairs} if isinstance(rule, Bias) else set()
    about |= set(rule.ids) if isinstance(rule, Ban) else set()
    if about and all(token in removed or (allowed is not None and token not in allowed) for token in about):
        return "Its tokens are removed already, and removed tokens stay removed.", by
    return None


def _blind(rules: Sequence[Rule], i: int, after: Sequence[int]) -> bool:
    """Whether nobody later can tell that a rule moved all logits of tokens that tie to another height."""
    moves = isinstance(rules[i], Temperature | AdaptiveP)
    return not moves or all(isinstance(rules[k], (*TIED, GreedyThreshold, Tempering)) for k in after)


def _nothing_left(rules: Sequence[Rule], before: Sequence[int], after: Sequence[int], i: int) -> Why | None:
    """A rule after one that leaves a single token, or only tokens that tie."""
    rule = rules[i]
    if isinstance(rule, (*TIED, *PENALTIES, GreedyThreshold, Tempering)):
        for j in before:
            if greedy(rules[j]):
                return "One token is left before it.", (j,)
    if (isinstance(rule, TIED) or warm(rule)) and _blind(rules, i, after):
        for j in reversed(before):
            if maxima(rules[j]):
                return "Only the likeliest token is left before it, with what ties with it.", (j,)
            if not isinstance(rules[j], TIED) and not warm(rules[j]):
                break  # it may part tokens that tied, or nobody knows what it does
    return None


def _only_the_top(rules: Sequence[Rule], after: Sequence[int], i: int) -> Why | None:
    """A rule that keeps the order of tokens, before one that keeps the first; between them only such rules."""
    rule = rules[i]
    why = "The likeliest token stays the likeliest, and only that is kept later."
    steady = isinstance(rule, Cutoff | Quadratic) or warm(rule)  # it cannot part tokens that tie
    for k in after if steady or isinstance(rule, Tempering) else ():
        if greedy(rules[k]) or (steady and maxima(rules[k]) and _blind(rules, i, after)):
            return why, (k,)
        if isinstance(rules[k], Tempering) and not warm(rules[k]):
            steady = False
        elif not isinstance(rules[k], Cutoff | Quadratic | Tempering):
            break
    return None


def _within(rules: Sequence[Rule], before: Sequence[int], i: int) -> Why | None:
    """A cutoff that keeps all that an earlier one of its kind left; between them only cutoffs and temperatures."""
    rule = rules[i]
    for place in range(len(before) - 1, -1, -1):
        j = before[place]
        first, between = rules[j], [rules[k] for k in before[place + 1 :]]
        if type(first) is type(rule):
            why = "An earlier one keeps no token that this would remove."
            if isinstance(rule, TopK) and isinstance(first, TopK):
                least, most = span(first.k)
                if least > 0 and most <= span(rule.k)[0]:
                    return why, (j,)
            if isinstance(rule, MinP) and isinstance(first, MinP) and span(first.p)[0] > 0:
                t = heat(between) if _only(between, (Cutoff, Temperature)) else None
                if t and _floor(rule, 1, t) <= _floor(first, 0):
                    return why, (j,)
            if isinstance(rule, Epsilon) and isinstance(first, Epsilon) and _only(between, (Cutoff,)):
                most = span(rule.epsilon)[1]  # removing others only raises a probability
                if most <= span(first.epsilon)[0]:
                    return why, (j,)
        if not isinstance(first, Cutoff | Tempering):
            break
    return None


def _overtaken(rules: Sequence[Rule], after: Sequence[int], i: int) -> Why | None:
    """A cutoff before a stricter one of its kind; what stands between does not look at what it removes."""
    rule = rules[i]
    why = "A later one removes all that this removes, and nothing between them looks at that."
    for place, k in enumerate(after):
        last, between = rules[k], [rules[m] for m in after[:place]]
        if isinstance(rule, TopK) and isinstance(last, TopK):
            least, most = span(last.k)
            if least > 0 and most <= span(rule.k)[0]:
                return why, (k,)
        if isinstance(rule, MinP) and isinstance(last, MinP):
            t = heat(between)
            if t and span(last.p)[0] > 0 and _floor(last, 0, t) >= _floor(rule, 1):
                return why, (k,)
        if not isinstance(last, TopK | MinP) and not warm(last):
            break
    return None


def _rescaled(rules: Sequence[Rule], after: Sequence[int], i: int) -> Why | None:
    """A temperature before one that sets the row's entropy whatever its scale, within the scales that it looks at."""
    rule = rules[i]
    usual = isinstance(rule, Temperature) and span(rule.t)[0] >= 1 / USUAL and span(rule.t)[1] <= USUAL
    for k in after if usual else ():
        if isinstance(rules[k], TargetEntropy):
            return "The later one finds the same distribution whatever the row is divided by before.", (k,)
        if not isinstance(rules[k], TopK | TopNSigma) and not warm(rules[k]):
            break
    return None


def _floor(rule: MinP, end: int, t: float = 1.0) -> float:
    """How far below the largest a min_p reaches, in logits before a temperature t, at one end of its range."""
    return t * log(span(rule.p)[end] * (1 - SLACK))


def _only(rules: Sequence[Rule], kinds: tuple[Any, ...]) -> bool:
    return all(isinstance(rule, kinds) for rule in rules)


def empty(rules: Sequence[Rule]) -> Iterator[Remark]:
    """Rules that leave no token together: allowed ones that are banned, or an end that is due and forbidden."""
    places = [i for i, rule in enumerate(rules) if isinstance(rule, Ban | Bias | Allow)]
    removed, allowed = gone(rules, places)
    if allowed is not None and not allowed - removed:
        what = "Of the allowed tokens none is left, so every draw is an error."
        yield remark("empties", "proven", rules, places, what, "Allow a token that nothing removes.")
    for i, late in enumerate(rules):
        for j, early in enumerate(rules):
            if not isinstance(late, ForcedEos) or not isinstance(early, MinNewTokens):
                continue
            same = early.eos == late.eos or set(late.eos or (-1,)) <= set(early.eos or ())
            n, least = span(late.n), span(early.n)
            if same and 0 < n[0] == n[1] and least[0] == least[1] and n[0] - 1 < least[0]:
                what = f"The text must end at token {n[0]:g} and may not before token {least[0] + 1:g}: an error there."
                yield remark(
                    "empties", "proven", rules, (i, j), what, f"Give the end at least {least[0] + 1:g} tokens."
                )
