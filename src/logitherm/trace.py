"""The trace of one step: what every stage of a chain kept and removed, where the draw landed, and what would have
changed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm.arrays import Array, entropy, float64, numpy, softmax
from logitherm.critical import Critical, Name, critical, used
from logitherm.rng import uniform
from logitherm.rules import Tempering
from logitherm.sampler import Sampler
from logitherm.show.shown import Drawn, Printed
from logitherm.show.waterfall import waterfall
from logitherm.state import State, Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from logitherm.show.html import Html

VERSION = 1
"""Of the trace's JSON form."""


@dataclass(frozen=True)
class Candidate:
    """A token at one stage: its logit (None once removed) and its probability among what is left."""

    id: int
    text: str | None
    logit: float | None
    p: float


@dataclass(frozen=True)
class Stage:
    """The distribution before any rule ("raw") or after one ("after top_p(0.9)").

    kept, removed: how many tokens are left, and how many this rule took.
    removed_mass:  the mass that this rule took, of what it received.
    entropy:       of what is left, nats.
    temperature:   the one this rule used, if it is a temperature.
    tokens:        the leading tokens by raw probability, and the drawn one.
    """

    stage: str
    rule: str | None
    kept: int
    removed: int
    removed_mass: float
    entropy: float
    temperature: float | None
    tokens: tuple[Candidate, ...]


@dataclass(frozen=True)
class Draw:
    """The draw: u fell in [low, high), the drawn token's part of the running mass in token order."""

    u: float
    id: int
    text: str | None
    p: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Trace(Printed, Drawn):
    """One step of one row, explained. Prints as tables; `to_dict` is the JSON form."""

    recipe: str
    seed: int
    position: int
    stages: tuple[Stage, ...]
    critical: tuple[Critical, ...]
    draw: Draw

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the trace format. Entropies are in nats; a removed logit is None."""
        return {"version": VERSION, **asdict(self)}

    def _tables(self, width: int) -> Iterator[RenderableType]:
        yield from waterfall(self.to_dict(), width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_trace import trace_html

        return f"Trace of {self.recipe}", trace_html(self.to_dict())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_bars import trace_figure

        return trace_figure(self.to_dict(), dark)


def trace(
    sampler: Sampler,
    logits: Array,
    state: State,
    top: int = 10,
    name: Name = lambda token: None,
    limits: bool = True,
) -> tuple[Trace, Step]:
    """The trace of the step that `sampler.step(logits, state)` takes, for one row, and that step.

    top:  how many leading tokens to list, by raw probability (ties by id); the drawn one is always listed.
    name: the text of a token id.
    limits: also find critical values, which takes most of the time: a half second for 20 tokens of 50,257.
    Raises LogitsError as `step` does.
    """
    step = sampler.step(logits, state)
    drawn = int(step.tokens[0])
    raw = numpy(step.raw)[0]
    leading = [int(i) for i in np.argsort(-raw, kind="stable")[: max(top, 0)]]
    shown = leading if drawn in leading else [*leading, drawn]
    stages = list(sampler.stages(logits, state))
    names = labels(sampler)
    listed = [_stage("raw", None, float64(logits), float64(logits), None, shown, name)]
    for label, (rule, before, after, at) in zip(names, stages, strict=True):
        heat = float(used(rule, before, at)[0]) if isinstance(rule, Tempering) else None
        listed.append(_stage(label, str(rule), before, after, heat, shown, name))
    p = numpy(softmax(stages[-1][2]))[0]
    low = float(p[:drawn].sum())
    u = float(uniform(state.seed, state.position)[0])
    draw = Draw(u, drawn, name(drawn), float(p[drawn]), low, low + float(p[drawn]))
    values = tuple(critical(sampler, step.raw, state, stages, names, shown, name)) if limits else ()
    seed, position = int(state.seed[0]), int(state.position[0])
    return Trace(str(sampler), seed, position, tuple(listed), values, draw), step


def labels(sampler: Sampler) -> list[str]:
    """The name of each stage, "after RULE", numbered where one rule stands twice in the same words."""
    texts = [str(rule) for rule in sampler.rules]
    total, seen, found = Counter(texts), Counter[str](), []
    for text in texts:
        seen[text] += 1
        found.append(f"after {text}" + (f" #{seen[text]}" if total[text] > 1 else ""))
    return found


def _stage(
    label: str,
    rule: str | None,
    before: Array,
    after: Array,
    temperature: float | None,
    shown: Sequence[int],
    name: Name,
) -> Stage:
    values, p = numpy(after)[0], numpy(softmax(after))[0]
    left = np.isfinite(values)
    gone = np.isfinite(numpy(before)[0]) & ~left if rule else ~left
    mass = float(numpy(softmax(before))[0][gone].sum())
    tokens = tuple(Candidate(i, name(i), float(values[i]) if left[i] else None, float(p[i])) for i in shown)
    bits = float(numpy(entropy(after))[0, 0])
    return Stage(label, rule, int(left.sum()), int(gone.sum()), mass, bits, temperature, tokens)


LEADING = 5
"""How many of the tokens that could have been drawn a summary lists."""


@dataclass(frozen=True)
class Contender:
    """A token that could have been drawn: its probability before any rule and after all of them."""

    id: int
    text: str | None
    raw_p: float
    final_p: float


@dataclass(frozen=True)
class Summary:
    """What one step of one row looked like.

    raw_p, final_p:             the token's probability before any rule and after all of them.
    temperature:                the product of the temperatures that the chain used; 1 if it has none.
    raw_entropy, final_entropy: nats.
    kept:                       how many tokens could have been drawn.
    leading:                    the likeliest of those by final probability (ties by id), LEADING at most.
    """

    raw_p: float
    final_p: float
    temperature: float
    raw_entropy: float
    final_entropy: float
    kept: int
    leading: tuple[Contender, ...] = ()


def summarise(sampler: Sampler, step: Step, before: State, name: Name = lambda token: None) -> list[Summary]:
    """One summary a row of a step that the sampler took from the state `before`; `name` gives the text of a token."""
    temperature = np.ones(len(before))
    if any(isinstance(rule, Tempering) for rule in sampler.rules):  # or there is no need to run the chain again
        for rule, received, _, at in sampler.stages(step.raw, before):
            if isinstance(rule, Tempering):
                temperature = temperature * numpy(used(rule, received, at))
    kept = np.isfinite(numpy(step.final)).sum(axis=-1)
    columns = (
        np.exp(step.raw_logprobs),
        np.exp(step.final_logprobs),
        temperature,
        step.raw_entropy,
        step.final_entropy,
        kept,
    )
    leading = [_leading(step, row, name) for row in range(len(before))]
    return [Summary(*row) for row in zip(*(column.tolist() for column in columns), leading, strict=True)]


def _leading(step: Step, row: int, name: Name) -> tuple[Contender, ...]:
    """The likeliest tokens of a row that a step could have drawn; no row is sorted for them."""
    raw, final = numpy(step.raw[row]), numpy(step.final[row])
    enough = min(LEADING, len(final))
    cutoff = np.partition(final, -enough)[-enough]
    ids = np.flatnonzero((final >= cutoff) & np.isfinite(final))
    ids = ids[np.argsort(-final[ids], kind="stable")][:LEADING]
    drawn = int(step.tokens[row])
    raw_p = _shares(raw, ids, drawn, float(step.raw_logprobs[row]))
    final_p = _shares(final, ids, drawn, float(step.final_logprobs[row]))
    return tuple(
        Contender(i, name(i), *p) for i, *p in zip(ids.tolist(), raw_p.tolist(), final_p.tolist(), strict=True)
    )


def _shares(logits: Array, ids: Array, drawn: int, logprob: float) -> Array:
    """Probabilities of some tokens of a row, from what is known of the drawn one."""
    if logprob > -1000:  # so that little cancels
        return np.exp(logprob + (logits[ids] - logits[drawn]))
    return softmax(logits[None])[0, ids]  # a token that is masked or removed was put here
