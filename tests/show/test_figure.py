"""Figures: their bars are the data, whatever a token's text or a user's settings are."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from matplotlib.colors import to_hex

from logitherm import OutputError, explain
from logitherm.show.figure import DARK, LIGHT, drawable, named, write
from logitherm.show.figure_bars import comparison_figure, trace_figure
from logitherm.show.figure_table import table_figure
from logitherm.show.figure_text import text_figure
from logitherm.show.table import number
from tests.show.data import HOSTILE, comparison, hostile_text, hostile_trace, text

S1 = {"logits": [1.2, 2.0, 3.5, 3.0, 1.8, 1.0], "tokens": ["wonderful", "cloudy", "nice", "hot", "gloomy", "delicious"]}


def bars(axes):
    """Width and colour of each bar; a hollow one has no colour."""
    return [(bar.get_width(), to_hex(bar.get_facecolor()) if bar.get_facecolor()[3] else None) for bar in axes.patches]


@pytest.mark.parametrize("dark", [False, True])
def test_the_bars_of_a_trace(dark):
    data = explain(recipe="temperature(0.5) | top_k(3)", seed=7, **S1).to_dict()
    figure, look = trace_figure(data, dark), DARK if dark else LIGHT
    assert to_hex(figure.get_facecolor()) == look.paper
    raw, heated, cut = figure.axes
    for axes, stage in ((raw, 0), (heated, 1)):
        assert bars(axes) == [(t["p"], look.bar) for t in data["stages"][stage]["tokens"]]
    expected = [(t["p"], look.bar) for t in data["stages"][2]["tokens"][:3]]
    expected += [(t["p"], None) for t in data["stages"][1]["tokens"][3:]]  # hollow, at what they had before
    drawn = [t["id"] for t in data["stages"][0]["tokens"]].index(data["draw"]["id"])
    expected[drawn] = (expected[drawn][0], look.chosen)
    assert bars(cut) == expected
    assert [line.get_ydata()[0] for line in cut.lines] == [2.5]
    assert [len(axes.lines) for axes in (raw, heated)] == [0, 0]
    assert [t.get_text() for t in raw.get_yticklabels()] == [f"“{t['text']}”" for t in data["stages"][0]["tokens"]]
    assert [axes.get_title(loc="left").strip() for axes in figure.axes] == [
        "raw",
        "after temperature(0.5)",
        "after top_k(3)",
    ]
    assert [t.get_text() for t in cut.texts][3:6] == ["✗", "✗", "✗"]


def test_the_bars_of_a_comparison():
    first, second = comparison_figure(comparison()).axes
    assert bars(first) == [(1.0, LIGHT.chosen), (0.3, None), (0.2, None)]
    assert bars(second) == [(0.75, LIGHT.bar), (0.1875, LIGHT.chosen), (0.0625, LIGHT.bar)]
    assert [a.get_title(loc="left").strip() for a in (first, second)] == ["top_p(0.5)", "temperature(0.5)"]
    assert max(first.get_xticks()) <= 1  # though the axis goes on, for the numbers beside the bars
    assert "T .5000" in second.texts[-1].get_text()


def test_the_figure_of_a_text():
    data = text().to_dict()
    chances, heat, entropy = text_figure(data).axes
    columns = {place: [] for place in range(len(data["tokens"]))}
    for bar in chances.patches:
        columns[round(bar.get_x() + bar.get_width() / 2)].append((bar.get_y(), bar.get_height()))
    for place, token in enumerate(data["tokens"]):
        (_, whole), (_, drawn), *others = columns[place]
        assert (whole, drawn) == (1.0, token["final_p"])
        assert [h for _, h in others] == pytest.approx(
            [o["final_p"] for o in token["leading"] if o["id"] != token["id"]]
        )
        tops = [drawn, *(low + height for low, height in others)]
        assert [low for low, _ in others] == pytest.approx(tops[:-1])
    assert heat.lines[0].get_ydata().tolist() == [t["temperature"] for t in data["tokens"]]
    assert [list(line.get_ydata()) for line in entropy.lines] == [
        [t["raw_entropy"] for t in data["tokens"]],
        [t["final_entropy"] for t in data["tokens"]],
    ]
    assert [t.get_text() for t in entropy.get_xticklabels()] == [named(t["text"], t["id"]) for t in data["tokens"]]
    assert len(text(max_new_tokens=1).plot().axes) == 3
    long = {**data, "tokens": data["tokens"] * 60}
    assert len(text_figure(long).axes[2].get_xticklabels()) < len(long["tokens"])


def test_the_coloured_table():
    data = explain(recipe="temperature(0.5) | top_k(3)", seed=7, **S1).to_dict()
    (axes,) = table_figure(data).axes
    tokens = data["stages"][0]["tokens"]
    shown = [number(t["logit"]) for t in tokens]
    for stage in data["stages"]:
        shown += [number(t["p"]) if t["logit"] is not None else "✗" for t in stage["tokens"]]
    assert [t.get_text() for t in axes.texts] == shown
    alpha = [bar.get_facecolor()[3] for bar in axes.patches]
    assert alpha[:6] == pytest.approx([LIGHT.most * (t["logit"] - 1.0) / 2.5 for t in tokens])
    largest = max(t["p"] for stage in data["stages"] for t in stage["tokens"])
    assert alpha[6:12] == pytest.approx([LIGHT.most * t["p"] / largest for t in tokens])


def test_a_text_without_details_has_no_figure():
    with pytest.raises(OutputError, match="details=True"):
        text(details=False).plot()


@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf"])
def test_hostile_texts_are_drawn_and_files_are_the_same_twice(ending, tmp_path):
    """Warnings are errors here: no glyph is missing, and no text is taken for mathematics."""
    kinds = [(trace_figure, hostile_trace()), (comparison_figure, comparison()), (text_figure, hostile_text())]
    for place, (figure, data) in enumerate([*kinds, (table_figure, hostile_trace())]):
        path, again = tmp_path / f"{place}{ending}", tmp_path / f"again{ending}"
        write(figure(data), path)
        write(figure(data), again)
        assert path.read_bytes() == again.read_bytes()
        if ending == ".svg":
            assert "<script" not in path.read_text()


def test_characters_that_the_font_has_not_are_spelt_out():
    assert drawable("a猫🐟é") == r"a\u732b\U0001f41fé"
    assert named(HOSTILE[2], 0) == r"“\u202elaterally”"
    labels = [t.get_text() for t in trace_figure(hostile_trace()).axes[0].get_yticklabels()]
    assert "“$x^{2$”" in labels


def test_a_users_settings_do_not_reach_a_figure(tmp_path):
    data = hostile_trace()
    write(trace_figure(data), tmp_path / "a.svg")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.family": "serif", "axes.grid": True, "font.size": 20}):
        write(trace_figure(data), tmp_path / "b.svg")
        assert matplotlib.rcParams["font.size"] == 20
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()


def test_no_window_and_no_pyplot():
    code = "import logitherm as lt, sys; lt.explain(logits=[1, 2]).plot(); print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_without_matplotlib_the_message_gives_the_install_command(tmp_path):
    code = """
import sys
sys.modules["matplotlib"] = None
import logitherm as lt
try:
    lt.explain(logits=[1, 2]).plot()
except lt.BackendUnavailable as error:
    print(error)
sys.argv = ["logitherm", "explain", "--logits=1,2", "--figure", "x.svg"]
from logitherm.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "figures need matplotlib: pip install 'logitherm[plot]'\n"
    assert done.stderr == "error: figures need matplotlib: pip install 'logitherm[plot]'\n"
    assert list(Path(tmp_path).iterdir()) == []
