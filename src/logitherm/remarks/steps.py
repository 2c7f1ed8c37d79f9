"""What each rule did in the steps of a trace file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from logitherm.arrays import numpy, softmax
from logitherm.recording.form import Recording
from logitherm.remarks.families import greedy, maxima
from logitherm.remarks.form import Acted, Remark, remark
from logitherm.sampler import Sampler

SAME = 1e-12
"""Probabilities that differ by no more are called the same."""


def watch(recording: Recording, sampler: Sampler) -> tuple[int, int, tuple[Acted, ...]]:
    """How many steps all texts of the file have, how many of them are summarised, and what each rule did in them."""
    counts = np.zeros((len(sampler.rules), 4), dtype=np.int64)
    steps = summarised = 0
    for text in range(len(recording.head.texts)):
        for entry, logits, state in recording.steps(text, sampler):
            steps += 1
            summarised += "all" not in entry.logits
            before = np.asarray(logits, dtype=np.float64)
            p = numpy(softmax(before))
            for i, (_, _, given, _) in enumerate(sampler.stages(logits, state)):
                after = numpy(given)
                removed = int(np.isfinite(before).sum() - np.isfinite(after).sum())
                left = int(np.isfinite(after).sum())
                if not left:
                    counts[i] += 1, removed, 0, 1
                    break  # what rules make of nothing says nothing
                new = numpy(softmax(after))
                counts[i] += bool(removed or np.abs(new - p).max() > SAME), removed, left == 1, 0
                before, p = after, new
    acted = tuple(
        Acted(i, str(rule), n, removed / max(steps, 1), alone, emptied)
        for i, (rule, (n, removed, alone, emptied)) in enumerate(zip(sampler.rules, counts.tolist(), strict=True))
    )
    return steps, summarised, acted


def watched(sampler: Sampler, steps: int, acted: Sequence[Acted], live: Sequence[int]) -> Iterator[Remark]:
    """Remarks on what rules did not do, or did always; on rules that may act only."""
    rules = sampler.rules
    many = f"{steps} of {steps} steps"
    for i in live if steps else ():
        if acted[i].emptied:
            what = f"It left no token in {acted[i].emptied} of {steps} steps."
            yield remark("empties", "seen", rules, (i,), what, "Let the rules before it leave more.")
        elif not acted[i].acted:
            what = f"It removed no token and changed no probability in {many}."
            advice = "Give it a stronger setting or leave it out, unless it waits for something rare."
            yield remark("did-not-act", "seen", rules, (i,), what, advice)
    alone = next((i for i in live if steps and acted[i].alone == steps), None)
    if alone is not None and acted[alone].acted and not (greedy(rules[alone]) or maxima(rules[alone])):
        what = f"It left one token in {many}: nothing was left to chance."
        yield remark(
            "always-one", "seen", rules, (alone,), what, "Loosen it, or write temperature(0) if that is meant."
        )
