"""Figures of shares: in how many steps each rule of a recipe acted, and which tokens of a trace file are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logitherm.errors import OutputError
from logitherm.show.figure import blank, drawable, finish, looking
from logitherm.show.table import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TEXTS = 100
"""Texts of a file that are drawn."""


def remarks_figure(remarks: Mapping[str, Any], dark: bool = False) -> Figure:
    """Remarks with steps (`Remarks.to_dict()`) as bars: in which share of them each rule acted, and left one token.

    Raises OutputError without steps or rules, BackendUnavailable where matplotlib is not installed.
    """
    steps, rules = remarks["steps"], remarks["acted"]
    if not steps or not rules:
        raise OutputError("the figure of remarks needs the steps of a trace file: lint(recipe, trace=FILE)")
    codes = {rule["index"]: remark["code"] for remark in remarks["remarks"] for rule in remark["rules"][:1]}
    with looking(dark) as look:
        figure = blank(7.5, 1.2 + 0.42 * len(rules))
        axes = figure.subplots()
        places = range(len(rules))
        axes.barh(places, [r["acted"] / steps for r in rules], 0.7, color=look.bar, label="acted")
        axes.barh(places, [r["alone"] / steps for r in rules], 0.3, color=look.chosen, label="left one token")
        for place, rule in enumerate(rules):
            said = [f"−{number(rule['removed'])} a step"] if rule["removed"] else []
            said += [codes[rule["index"]]] if rule["index"] in codes else []
            axes.annotate(", ".join(said), (1, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"share of {steps} steps")
        axes.set_yticks(places, [drawable(f"{r['index'] + 1} {r['rule']}") for r in rules])
        axes.set_ylim(len(rules) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderpad=0)
        return finish(figure)


def verification_figure(found: Mapping[str, Any], dark: bool = False) -> Figure:
    """A verification (`Verification.to_dict()`): a line for each text, as long as its tokens, ✗ where one is wrong.

    Raises OutputError without texts, BackendUnavailable where matplotlib is not installed.
    """
    lengths = found["lengths"]
    if not lengths:
        raise OutputError("the figure of a verification needs at least one text")
    shown = lengths[:MOST_TEXTS]
    wrong = sorted({(f["token"], f["text"]) for f in found["findings"] if f["token"] and f["text"] < len(shown)})
    with looking(dark) as look:
        from matplotlib.ticker import MaxNLocator

        figure = blank(7.5, 1.3 + 0.22 * len(shown))
        axes = figure.subplots()
        axes.barh(range(len(shown)), shown, 0.5, left=0.5, color=look.bar, label="follows from its logits and seed")
        if wrong:
            tokens, texts = zip(*wrong, strict=True)
            axes.scatter(tokens, texts, s=60, color=look.chosen, marker="X", zorder=3, label="does not")
        axes.set_xlim(0.5, max([1, *shown]) + 1.5)
        axes.set_xlabel("token")
        axes.set_ylabel("text")
        axes.set_ylim(len(shown) - 0.4, -0.6)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderpad=0)
        return finish(figure)
