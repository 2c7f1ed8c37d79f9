"""Traps of order and of company: rules that do what they say, which is seldom what is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf

from logitherm.remarks.families import (
    CUTS,
    EDITS,
    LAST,
    MASS,
    PENALTIES,
    PROMISES,
    SHIFTS,
    SIGNED,
    UNSCALED,
    WHOLE_ROW,
    greedy,
    heat,
    span,
    steers,
    warm,
)
from logitherm.remarks.form import Remark, remark
from logitherm.rules import (
    AdaptiveP,
    Cutoff,
    DynamicTemperature,
    EntropyCap,
    EntropyRate,
    MinP,
    Rule,
    TargetEntropy,
    Temperature,
    Tempering,
    Xtc,
)
from logitherm.rules.dynamic import FEATURES

Live = Sequence[int]
"""The places of the rules that may act."""

UNLIMITED = "entropy", "log_perplexity", "surprisal_median", "varentropy", "running_perplexity"
"""Features of dynamic temperature that have no bound of their own."""


def late_edits(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Rules on single tokens after a cut: what the cut removed does not come back, what it chose, it chose without."""
    for k in live:
        cuts = [j for j in live if j < k and (isinstance(rules[j], CUTS) or greedy(rules[j]))]
        if not cuts or not isinstance(rules[k], EDITS):
            continue
        if isinstance(rules[k], PENALTIES):
            what = "It comes after a cut, which chose without it: removed tokens do not come back."
        else:
            what = "It comes after a cut: removed tokens do not come back, and what it removes may be all that is left."
        yield remark(
            "edit-after-cut", "advice", rules, (k, *cuts), what, "Put it before the cut, on the model's own logits."
        )


def moved_signs(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Rules that depend on where zero lies, after rules that shift some logits. A temperature before moves no sign."""
    for k in live:
        shifts = [j for j in live if j < k and isinstance(rules[j], SHIFTS)]
        if shifts and isinstance(rules[k], SIGNED):
            what = "It goes by the sign of each logit, which the rule before it may have turned."
            yield remark("sign-moved", "advice", rules, (k, *shifts), what, "Put it first, on the model's own logits.")


def late_measures(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Cutoffs by the spread of the row, of which a cut left a part."""
    for k in live:
        cuts = [j for j in live if j < k and isinstance(rules[j], CUTS)]
        if cuts and isinstance(rules[k], WHOLE_ROW):
            what = "It measures the spread of the row, and the cut before it leaves the top of the row only."
            yield remark("measure-after-cut", "advice", rules, (k, *cuts), what, "Put it before the other cuts.")


def hot_cuts(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Cuts by probability after a temperature above 1: they see a flatter row."""
    for i in live:
        rule = rules[i]
        if not isinstance(rule, Temperature) or span(rule.t)[0] <= 1:
            continue
        cuts = [k for k in live if k > i and isinstance(rules[k], CUTS) and not isinstance(rules[k], UNSCALED)]
        if not cuts:
            continue
        what = "It flattens the row before the cut looks at it, which keeps other tokens than of the unheated row."
        if alike := unheated(rules, [j for j in live if j < cuts[0]], cuts[0]):
            what = f"It flattens the row before the cut, which keeps what {alike} keeps of the unheated row."
        advice = "Put the cut first if it is meant for the model's own probabilities."
        yield remark("hot-before-cut", "advice", rules, (i, *cuts), what, advice)


def cool_min_p(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """min_p after temperatures below 1: stricter than its number, by exactly how much can be said."""
    for k in live:
        heats = [j for j in live if j < k and warm(rules[j])]
        t = heat([rules[j] for j in heats])
        if t and t < 1 and (alike := unheated(rules, [j for j in live if j < k], k)):
            what = f"After the temperature it keeps what {alike} keeps before it."
            yield remark("cool-before-min-p", "note", rules, (k, *heats), what, "Put it first if it is meant so.")


def unheated(rules: Sequence[Rule], before: Live, k: int) -> str | None:
    """The min_p that keeps, without the temperatures before it, what the rule keeps; None if it is none, or unknown.

    Ratios of probabilities are powers of each other: m after a temperature T keeps what m^T keeps before it.
    """
    rule = rules[k]
    heats = [rules[j] for j in before if isinstance(rules[j], Tempering)]
    t = heat(heats) if all(map(warm, heats)) else None
    if not isinstance(rule, MinP) or not t or span(rule.p)[0] != span(rule.p)[1]:
        return None
    return f"min_p({span(rule.p)[0] ** t:.2g})"


def early_xtc(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """A cutoff that goes by probabilities from which xtc took the largest."""
    for i in live:
        cuts = [k for k in live if k > i and isinstance(rules[k], Cutoff)]
        if cuts and isinstance(rules[i], Xtc):
            what = "Where it takes the top choices, the cut after it goes by what is left, and keeps unlikelier tokens."
            yield remark("xtc-before-cut", "advice", rules, (i, *cuts), what, "Put it after the cuts.")


def raw_rows(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Temperatures by a feature of the model's own row, where a cut left another."""
    for k in live:
        rule = rules[k]
        looks = not isinstance(rule, DynamicTemperature) or any(getattr(rule, name) != 0 for name in FEATURES)
        if isinstance(rule, EntropyRate) or getattr(rule, "of", None) != "raw" or not looks:
            continue
        cuts = [j for j in live if j < k and isinstance(rules[j], CUTS)]
        if cuts and isinstance(rule, Tempering):
            what = "Its temperature follows the model's own row with all that the cut before it removed."
            yield remark("raw-after-cut", "advice", rules, (k, *cuts), what, 'Put it first, or say of="kept".')


def feedback(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Rules that learn from what is drawn, and others that change what that is."""
    for i in live:
        rule = rules[i]
        if isinstance(rule, LAST) and (after := [k for k in live if k > i]):
            what = "It learns how likely drawn tokens were, and what comes after it changes that."
            yield remark("not-last", "advice", rules, (i, *after), what, "Put it last.")
        others = [k for k in live if k != i and isinstance(rules[k], (*CUTS, Tempering, AdaptiveP))]
        if isinstance(rule, EntropyRate) and rule.of == "raw" and others:
            what = "It steers by the entropy of the model's own row, not of what is drawn from after the other rules."
            yield remark("unseen-by-feedback", "advice", rules, (i, *others), what, 'Say of="final".')
    memories = [i for i in live if steers(rules[i])]
    if len(memories) > 1:
        what = "Each learns from what was drawn, and takes what the others do for the model's doing."
        yield remark("two-controllers", "advice", rules, memories, what, "Keep one.")


def broken_promises(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Temperatures that give a row of a certain entropy or risk, and rules after them that change it."""
    for i in live:
        rule = rules[i]
        breaks = (Tempering,) if isinstance(rule, EntropyCap) else (Tempering, *CUTS)  # a cut mostly lowers the entropy
        after = [k for k in live if k > i and isinstance(rules[k], breaks)]
        if isinstance(rule, PROMISES) and after:
            kind = "risk" if not isinstance(rule, EntropyCap | TargetEntropy) else "entropy"
            what = f"It gives the row its {kind}, and what comes after it changes that."
            yield remark("undone", "advice", rules, (i, *after), what, "Put it after the cuts and other temperatures.")


def several(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Rules of one family."""
    heats = [i for i in live if isinstance(rules[i], Tempering) and not isinstance(rules[i], (*PROMISES, EntropyRate))]
    if len(heats) > 1:
        t = heat([rules[i] for i in heats]) if all(warm(rules[i]) for i in heats) else None
        what = "Temperatures multiply" + (f", here to {t:.4g}." if t else ".")
        if any(isinstance(rules[k], CUTS) for k in live if heats[0] < k < heats[-1]):
            what += " A cut between them sees only what stands before it."
        yield remark("temperatures-multiply", "advice", rules, heats, what, "Keep one, unless both are meant.")
    cuts = [i for i in live if isinstance(rules[i], CUTS)]
    families = [[i for i in cuts if isinstance(rules[i], MASS)]]
    families += [[i for i in cuts if type(rules[i]) is kind] for kind in dict.fromkeys(type(rules[i]) for i in cuts)]
    seen: set[int] = set()
    for places in families:
        if len(places) > 1 and not seen.issuperset(places):
            seen |= set(places)
            what = "Cuts of one kind: each goes by the probabilities of what the one before it left."
            yield remark("same-family", "advice", rules, places, what, "Keep one, with the setting that you want.")


def unbounded(rules: Sequence[Rule], live: Live) -> Iterator[Remark]:
    """Dynamic temperatures that rise with a feature without a bound."""
    for i in live:
        rule = rules[i]
        if not isinstance(rule, DynamicTemperature) or span(rule.t_max)[1] < inf:
            continue
        if any(span(getattr(rule, name))[1] > 0 for name in UNLIMITED):
            what = "Its temperature rises with a feature that has no bound, and so has none where the model is unsure."
            yield remark("unbounded", "advice", rules, (i,), what, "Give it t_max, such as t_max=1.5.")


TRAPS: tuple[Callable[[Sequence[Rule], Live], Iterator[Remark]], ...] = (
    late_edits,
    moved_signs,
    late_measures,
    hot_cuts,
    cool_min_p,
    early_xtc,
    raw_rows,
    feedback,
    broken_promises,
    several,
    unbounded,
)
"""Every trap."""
