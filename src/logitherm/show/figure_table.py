"""The coloured table of a trace as a figure: the leading tokens' logits and probabilities, with colour behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logitherm.show.figure import blank, drawable, finish, looking, named
from logitherm.show.table import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def table_figure(trace: Mapping[str, Any], dark: bool = False) -> Figure:
    """A trace (`Trace.to_dict()`) as its coloured table: raw logits, and the probabilities of every stage.

    Raises BackendUnavailable where matplotlib is not installed.
    """
    stages = trace["stages"]
    words = [named(t["text"], t["id"]) for t in stages[0]["tokens"]]
    logits = [t["logit"] for t in stages[0]["tokens"]]
    columns = [[t["p"] if t["logit"] is not None else None for t in stage["tokens"]] for stage in stages]
    most = max((p for column in columns for p in column if p is not None), default=1.0) or 1.0
    heads = ["logit", *(f"p, {stage['stage']}" for stage in stages)]
    with looking(dark) as look:
        figure = blank(1.6 + 1.75 * len(heads), 0.55 + 0.27 * len(words))
        axes = figure.subplots()
        _column(axes, 0, logits, _spread(logits), look.logit, look.most)
        for place, column in enumerate(columns, 1):
            _column(axes, place, column, [(p or 0.0) / most for p in column], look.probability, look.most)
        axes.set_xticks(range(len(heads)), [drawable(head) for head in heads])
        axes.set_yticks(range(len(words)), words)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, labelcolor=look.ink)
        axes.set(xlim=(-0.5, len(heads) - 0.5), ylim=(len(words) - 0.5, -0.5))
        axes.spines[:].set_visible(False)
        return finish(figure)


def _spread(logits: Sequence[float | None]) -> list[float]:
    """Each logit's place between the lowest and the highest listed, in [0, 1]."""
    listed = [logit for logit in logits if logit is not None]
    low, width = min(listed, default=0.0), max(listed, default=0.0) - min(listed, default=0.0)
    return [0.0 if logit is None else (logit - low) / width if width else 1.0 for logit in logits]


def _column(
    axes: Axes, place: int, values: Sequence[float | None], shares: Sequence[float], hue: str, most: float
) -> None:
    axes.bar(
        [place] * len(values),
        [0.92] * len(values),
        0.96,
        [row - 0.46 for row in range(len(values))],
        color=[(hue, most * share) for share in shares],
    )
    for row, value in enumerate(values):
        axes.text(place, row, "✗" if value is None else number(value), ha="center", va="center")
