"""Recipes side by side: what each makes of the same logits, and the texts that each gives under the same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm.arrays import Array, entropy, float64, log_softmax, numpy
from logitherm.critical import Name
from logitherm.generation.loop import Generation
from logitherm.generation.measures import Interval, measure
from logitherm.presets import presets
from logitherm.recipe import parse
from logitherm.rules import Tempering
from logitherm.sampler import Sampler
from logitherm.show.comparison import compared
from logitherm.show.shown import Drawn, Printed
from logitherm.state import Memory, State
from logitherm.trace import Contender, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from logitherm.show.html import Html

VERSION = 1
"""Of the JSON form of a comparison."""

LEADING = 5
"""How many of the tokens that only one recipe keeps are named."""


@dataclass(frozen=True)
class Lone:
    """A token that only one of two recipes keeps, with its probability before any rule."""

    id: int
    text: str | None
    raw_p: float


@dataclass(frozen=True)
class Under:
    """One recipe on the logits that all share, and the texts that it gave.

    about:       when to use it, if it is a preset's.
    kept:        how many tokens could be drawn; entropy: after all rules, nats.
    temperature: the product of those it used; None if it has no rule that uses one.
    texts:       with the seeds s, s + 1, … of every recipe; measures: of these texts, None without any.
    """

    label: str
    recipe: str
    about: str | None
    kept: int
    entropy: float
    temperature: float | None
    drawn: Contender
    texts: tuple[Mapping[str, Any], ...] = ()
    measures: Mapping[str, Interval] | None = None


@dataclass(frozen=True)
class Across:
    """A token under every recipe: final_p has one probability a recipe, None where that removed it."""

    id: int
    text: str | None
    raw_p: float
    final_p: tuple[float | None, ...]


@dataclass(frozen=True)
class Difference:
    """How a recipe differs from the first one.

    only_first, only_this: how many tokens only one of them keeps; *_leading: the likeliest of these before any rule.
    kl:         Σ p log(p / p_first), nats: what it costs to take this for the first; None if infinite, because this
                recipe keeps a token that the first removes. kl_back is the other way round.
    tv:         total variation, half of Σ |p − p_first|: 0 the same, 1 nothing in common.
    parts_at:   the first position at which the texts of the first seed differ; None if they do not, or are not there.
    """

    only_first: int
    only_this: int
    only_first_leading: tuple[Lone, ...]
    only_this_leading: tuple[Lone, ...]
    kl: float | None
    kl_back: float | None
    tv: float
    parts_at: int | None = None


@dataclass(frozen=True, repr=False)
class Comparison(Printed, Drawn):
    """Several recipes on the same logits. Prints as tables; `to_dict` is the JSON form.

    varied:      what differs between the recipes ("temperature"), if they differ in one parameter only.
    raw:         kept and entropy before any rule.
    tokens:      the leading tokens by raw probability, and those that were drawn.
    differences: of each recipe from the first; None for the first.
    """

    prompt: str | None
    seed: int
    varied: str | None
    raw: Mapping[str, float]
    recipes: tuple[Under, ...]
    tokens: tuple[Across, ...]
    differences: tuple[Difference | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: version 1 of the form. Entropies and divergences are in nats."""
        return {"version": VERSION, **asdict(self)}

    def _tables(self, width: int) -> Iterator[RenderableType]:
        yield from compared(self.to_dict(), width)

    def _html(self) -> tuple[str, Html]:
        from logitherm.show.html_comparison import comparison_html

        return "Recipes compared", comparison_html(self.to_dict())

    def _figure(self, dark: bool) -> Figure:
        from logitherm.show.figure_bars import comparison_figure

        return comparison_figure(self.to_dict(), dark)


def compare(
    samplers: Mapping[str, Sampler],
    logits: Array,
    state: State,
    top: int = 10,
    name: Name = lambda token: None,
    prompt: str | None = None,
    varied: str | None = None,
    memories: Mapping[str, Memory] | None = None,
) -> Comparison:
    """What each sampler makes of one row of logits; labels stand for the samplers.

    logits: (1, vocabulary). state: the row's, from any sampler's start; its history, seed and position count.
    top:    how many leading tokens to list, by raw probability.
    memories: what each sampler's rules remember of the row; None is what they know before its first token.
    Raises LogitsError as `Sampler.step` does.
    """
    raw = float64(logits)
    finals, under = [], []
    for label, sampler in samplers.items():
        memory = sampler.start([[]], [0], state.row.tolist()).memory if memories is None else memories[label]
        found, final = _under(label, sampler, raw, replace(state, memory=memory), name)
        under.append(found)
        finals.append(final)
    before = numpy(log_softmax(raw))[0]
    leading = [i for i in np.argsort(-before, kind="stable")[:top].tolist() if np.isfinite(before[i])]
    shown = [*leading, *dict.fromkeys(u.drawn.id for u in under if u.drawn.id not in leading)]
    tokens = tuple(_across(token, before, finals, name) for token in shown)
    differences = (None, *(_difference(finals[0], final, before, name) for final in finals[1:]))
    about = {"entropy": float(numpy(entropy(raw))[0, 0]), "kept": int(np.isfinite(before).sum())}
    return Comparison(prompt, int(state.seed[0]), varied, about, tuple(under), tokens, differences)


def with_texts(comparison: Comparison, texts: Sequence[Sequence[Generation]]) -> Comparison:
    """The comparison with each recipe's texts, in the order of its recipes; fewer if not all are there.

    A text that ended with an error is shown and not measured.
    """
    whole = [[text for text in rows if text.error is None] for rows in texts]
    full = [
        replace(under, texts=tuple(map(_short, rows)), measures=measure(counted) if counted else None)
        for under, rows, counted in zip(comparison.recipes, texts, whole, strict=False)
    ]
    first = _ids(texts[0]) if texts else []
    differences = [
        d if d is None or not rows else replace(d, parts_at=_parting(first, _ids(rows)))
        for d, rows in zip(comparison.differences, texts, strict=False)
    ]
    return replace(
        comparison,
        recipes=(*full, *comparison.recipes[len(full) :]),
        differences=(*differences, *comparison.differences[len(differences) :]),
    )


def _under(label: str, sampler: Sampler, raw: Array, before: State, name: Name) -> tuple[Under, np.ndarray]:
    """One recipe on the logits, and its final log-probabilities."""
    step = sampler.step(raw, before)
    (summary,) = summarise(sampler, step, before)
    drawn = int(step.tokens[0])
    about = next((p.about for p in presets().values() if parse(p.recipe) == sampler), None)
    heated = any(isinstance(rule, Tempering) for rule in sampler.rules)
    under = Under(
        label,
        str(sampler),
        about,
        summary.kept,
        summary.final_entropy,
        summary.temperature if heated else None,
        Contender(drawn, name(drawn), summary.raw_p, summary.final_p),
    )
    return under, numpy(log_softmax(step.final))[0]


def _across(token: int, before: np.ndarray, finals: Sequence[np.ndarray], name: Name) -> Across:
    p = tuple(float(np.exp(final[token])) if np.isfinite(final[token]) else None for final in finals)
    return Across(token, name(token), float(np.exp(before[token])), p)


def _difference(first: np.ndarray, this: np.ndarray, before: np.ndarray, name: Name) -> Difference:
    kept_first, kept = np.isfinite(first), np.isfinite(this)
    only_first, only_this = kept_first & ~kept, kept & ~kept_first

    def leading(mask: np.ndarray) -> tuple[Lone, ...]:
        ids = np.flatnonzero(mask)
        best = ids[np.argsort(-before[ids], kind="stable")][:LEADING].tolist()
        return tuple(Lone(i, name(i), float(np.exp(before[i]))) for i in best)

    return Difference(
        int(only_first.sum()),
        int(only_this.sum()),
        leading(only_first),
        leading(only_this),
        _kl(this, first),
        _kl(first, this),
        float(np.abs(np.exp(this) - np.exp(first)).sum() / 2),
    )


def _kl(p: np.ndarray, q: np.ndarray) -> float | None:
    """Σ p log(p / q) of log-probabilities, nats; None if q is 0 somewhere where p is not."""
    kept = np.isfinite(p)
    if not np.isfinite(q[kept]).all():
        return None
    return max(0.0, float((np.exp(p[kept]) * (p[kept] - q[kept])).sum()))


def _short(text: Generation) -> dict[str, Any]:
    tokens = [{"id": token.id, "text": token.text} for token in text.tokens]
    return {"text": text.text, "stop": text.stop, "seed": text.seed, "error": text.error, "tokens": tokens}


def _ids(texts: Sequence[Generation]) -> list[int]:
    return [token.id for token in texts[0].tokens]


def _parting(a: Sequence[int], b: Sequence[int]) -> int | None:
    """The first place at which two sequences differ; where the shorter ends, if it begins the longer one."""
    if list(a) == list(b):
        return None
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
