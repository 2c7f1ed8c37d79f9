"""The figure of a text: over its words, what each step could have drawn, the temperature, and the entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logitherm.errors import OutputError
from logitherm.show.figure import Look, blank, drawable, finish, looking, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 40.0
"""Inches; a longer text is drawn closer, with a word at every so many steps."""

ROOM = 0.24
"""Inches that a step wants for its word."""


def text_figure(text: Mapping[str, Any], dark: bool = False) -> Figure:
    """A text (`Generation.to_dict()` with details) as a figure of three rows over its words.

    The leading probabilities of each step, the drawn token's at the bottom; T; the entropy before and after the rules.
    Raises OutputError without details or without tokens, BackendUnavailable where matplotlib is not installed.
    """
    tokens = text["tokens"]
    if not tokens or any(t["final_p"] is None for t in tokens):
        raise OutputError("the figure of a text needs at least one token, and details: generate(…, details=True)")
    with looking(dark) as look:
        figure = blank(min(WIDEST, max(6.0, 1.2 + ROOM * len(tokens))), 6.2)
        chances, heat, entropy = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1.6))
        _chances(chances, tokens, look)
        _steps(heat, "T", [([t["temperature"] for t in tokens], look.chosen, "-", "")])
        raw, final = ([t[key] for t in tokens] for key in ("raw_entropy", "final_entropy"))
        _steps(entropy, "entropy, nats", [(raw, look.faint, "--", "raw"), (final, look.bar, "-", "final")])
        entropy.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2, fontsize=8, borderpad=0)
        words(entropy, tokens)
        figure.suptitle(drawable(text["recipe"]), x=0.01, ha="left", fontsize=10, fontweight="bold")
        return finish(figure)


def _chances(axes: Axes, tokens: Sequence[Mapping[str, Any]], look: Look) -> None:
    """A column a step: the drawn token in its own colour, above it the leading others, and hollow the rest."""
    places = range(len(tokens))
    drawn = [t["final_p"] for t in tokens]
    axes.bar(places, [1.0] * len(tokens), 0.8, facecolor="none", edgecolor=look.line, linewidth=0.8)
    axes.bar(places, drawn, 0.8, color=look.chosen, label="drawn")
    others = [[o["final_p"] for o in t["leading"] if o["id"] != t["id"]] for t in tokens]
    below = drawn
    for rank, shade in enumerate(look.shades):
        there = [place for place in places if rank < len(others[place])]
        heights = [others[place][rank] for place in there]
        label = "the likeliest others" if rank == 0 else None
        axes.bar(there, heights, 0.8, [below[place] for place in there], color=shade, label=label)
        for place, height in zip(there, heights, strict=True):
            below[place] += height
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability, final")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderpad=0)


def _steps(axes: Axes, name: str, lines: Sequence[tuple[Sequence[float], str, str, str]]) -> None:
    for values, colour, style, label in lines:
        axes.plot(range(len(values)), values, color=colour, linestyle=style, marker="o", markersize=2.5, label=label)
    axes.set_ylim(0, 1.15 * max(0.01, *(max(values) for values, *_ in lines)))
    axes.set_ylabel(name)


def words(axes: Axes, tokens: Sequence[Mapping[str, Any]]) -> None:
    """The words below the steps, all or as many as there is room for."""
    every = max(1, round(len(tokens) * 0.7 * ROOM / WIDEST))
    places = range(0, len(tokens), every)
    axes.set_xticks(places, [named(tokens[i]["text"], tokens[i]["id"]) for i in places], rotation=90)
    axes.set_xlim(-0.6, len(tokens) - 0.4)
