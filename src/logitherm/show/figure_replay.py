"""The figure of a replay: over its words, each token's probability then and now, and how many tokens are kept now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logitherm.errors import OutputError
from logitherm.show.figure import blank, drawable, finish, looking
from logitherm.show.figure_text import ROOM, WIDEST, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def replay_figure(replay: Mapping[str, Any], dark: bool = False) -> Figure:
    """A replay (`Replay.to_dict()`) as a figure of two rows over its words.

    Hollow bars are the probabilities then, full ones those now, ✗ where the token would be impossible; orange where the
    same u would draw another token.
    Raises OutputError without tokens, BackendUnavailable where matplotlib is not installed.
    """
    tokens = replay["tokens"]
    if not tokens:
        raise OutputError("the figure of a replay needs at least one token")
    with looking(dark) as look:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        figure = blank(min(WIDEST, max(6.0, 1.2 + ROOM * len(tokens))), 4.6)
        chances, kept = figure.subplots(2, sharex=True, height_ratios=(3, 1.2))
        places = range(len(tokens))
        then = [t["old_p"] for t in tokens]
        chances.bar(places, then, 0.8, facecolor="none", edgecolor=look.faint, linestyle=":", label="then")
        for colour, parts, label in ((look.bar, False, "now"), (look.chosen, True, "now, and another is drawn")):
            there = [i for i in places if (tokens[i]["drawn"] != tokens[i]["id"]) == parts]
            chances.bar(there, [tokens[i]["p"] for i in there], 0.5, color=colour, label=label)
        for place in places:
            if tokens[place]["fate"] == "impossible":
                mark = (place, 0), (0, 2), "data", "offset points"
                chances.annotate("✗", *mark, ha="center", color=look.chosen)
        chances.set_ylim(0, 1)
        chances.set_ylabel("probability")
        chances.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, borderpad=0)
        kept.step(places, [t["kept"] for t in tokens], where="mid", color=look.bar)
        kept.set_yscale("symlog", linthresh=1)  # a step may keep none
        kept.set_ylim(0, 2 * max([2, *(t["kept"] for t in tokens)]))
        kept.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        kept.yaxis.set_minor_formatter(NullFormatter())
        kept.set_ylabel("kept now")
        words(kept, tokens)
        title = drawable(f"{replay['other']}  over a text of  {replay['recipe']}")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        return finish(figure)
