"""Figures of one distribution in several versions, side by side: a panel each, a bar for each token, one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from logitherm.show.comparison import title
from logitherm.show.figure import Look, blank, describe, finish, looking, named
from logitherm.show.table import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3
"""Panels in a row, at most."""


class Panel(NamedTuple):
    """One version of the distribution.

    p:      a probability for each token, None where it is removed.
    before: what a removed token had, drawn hollow.
    drawn:  the place of the drawn token among those listed, if it is among them.
    """

    title: str
    note: str
    p: Sequence[float | None]
    before: Sequence[float]
    drawn: int | None


def trace_figure(trace: Mapping[str, Any], dark: bool = False) -> Figure:
    """A trace (`Trace.to_dict()`) as bars: the leading tokens before any rule and after each, the removed ones hollow.

    Raises BackendUnavailable where matplotlib is not installed.
    """
    stages, ids = trace["stages"], [t["id"] for t in trace["stages"][0]["tokens"]]
    words = [named(t["text"], t["id"]) for t in stages[0]["tokens"]]
    panels = []
    for place, stage in enumerate(stages):
        p = [t["p"] if t["logit"] is not None else None for t in stage["tokens"]]
        earlier = stages[place - 1]["tokens"] if place else stage["tokens"]
        drawn = ids.index(trace["draw"]["id"]) if place == len(stages) - 1 else None
        note = _note(stage["kept"], stage["entropy"], stage["temperature"])
        panels.append(Panel(stage["stage"], note, p, [t["p"] for t in earlier], drawn))
    return _draw(words, panels, dark)


def comparison_figure(comparison: Mapping[str, Any], dark: bool = False) -> Figure:
    """Recipes on the same logits as bars, a panel each; what a recipe removed is hollow, at its raw probability.

    Raises BackendUnavailable where matplotlib is not installed.
    """
    tokens = comparison["tokens"]
    words, ids = [named(t["text"], t["id"]) for t in tokens], [t["id"] for t in tokens]
    raw = [t["raw_p"] for t in tokens]
    panels = []
    for place, recipe in enumerate(comparison["recipes"]):
        drawn = ids.index(recipe["drawn"]["id"]) if recipe["drawn"]["id"] in ids else None
        note = _note(recipe["kept"], recipe["entropy"], recipe["temperature"])
        panels.append(Panel(title(comparison, recipe), note, [t["final_p"][place] for t in tokens], raw, drawn))
    return _draw(words, panels, dark)


def _note(kept: int, entropy: float, temperature: float | None) -> str:
    heat = f", T {number(temperature)}" if temperature is not None else ""
    return f"{kept:,} kept, {number(entropy)} nats{heat}"


def _draw(words: Sequence[str], panels: Sequence[Panel], dark: bool) -> Figure:
    down = ceil(len(panels) / ACROSS)
    across = ceil(len(panels) / down)
    with looking(dark) as look:
        figure = blank(1.2 + 2.3 * across, (1.1 + 0.24 * len(words)) * down)
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _bars(axes, panel, look)
        for axes in grid[len(panels) :]:
            axes.remove()
        first = grid[0]
        first.set_yticks(range(len(words)), words)
        first.set_ylim(len(words) - 0.4, -0.6)
        _scale(first, max([0.01, *(p or 0 for panel in panels for p in panel.p), *panels[0].before]))
        for axes in grid[max(0, len(panels) - across) : len(panels)]:
            axes.set_xlabel("probability")
            axes.tick_params(labelbottom=True)
        return finish(figure)


def _scale(axes: Axes, most: float) -> None:
    """From 0 to the largest probability, with room for its number beside it, but no tick where none can be."""
    axes.set_xlim(0, 1.3 * most)
    axes.set_xticks([at for at in axes.get_xticks() if 0 <= at <= min(1.0, 1.3 * most)])


def _bars(axes: Axes, panel: Panel, look: Look) -> None:
    """Full bars for what is kept, hollow ones for what is gone, and a line where a cut of the likeliest ends."""
    for place, (p, before) in enumerate(zip(panel.p, panel.before, strict=True)):
        if p is None:
            axes.barh(place, before, 0.7, facecolor="none", edgecolor=look.faint, linewidth=0.8, linestyle=":")
        else:
            axes.barh(place, p, 0.7, color=look.chosen if place == panel.drawn else look.bar)
        mark = "✗" if p is None else number(p) + (" drawn" if place == panel.drawn else "")
        at = before if p is None else p
        axes.annotate(
            mark, (at, place), (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=look.faint
        )
    gone = [p is None for p in panel.p]
    if True in gone and gone == sorted(gone):
        axes.axhline(gone.index(True) - 0.5, color=look.chosen, linewidth=1, linestyle="--")
    describe(axes, panel.title, panel.note)
    axes.tick_params(axis="y", length=0)
