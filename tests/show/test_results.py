"""Every result that a public function gives shows itself in a notebook, and those that measure are figures too."""

import inspect
import pickle
import re
import typing
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import matplotlib.figure
import pytest
from matplotlib.colors import to_hex

import logitherm as lt
from logitherm.comparison import Comparison
from logitherm.generation.loop import Generation, Piece, Run, Token
from logitherm.model import Model
from logitherm.plan import Plan
from logitherm.presets import Presets
from logitherm.recording.form import Recording
from logitherm.recording.replay import Replay
from logitherm.recording.verify import Verification
from logitherm.remarks.form import Remarks
from logitherm.show.figure import LIGHT, write
from logitherm.show.shown import Drawn, Paged
from logitherm.show.table import number
from logitherm.trace import Trace
from tests.show.data import hostile_file, results, text
from tests.show.test_html import Reader

DRAWN = {Trace, Comparison, Generation, Replay, Remarks, Verification}
PAGED = {Presets, Plan, Recording}
OTHERS = {
    lt.Sampler: "its text is its form",
    lt.State: "what a loop carries",
    lt.Step: "arrays for a loop",
    Piece: "prints as its text, as it comes",
    Run: "gives pieces; its texts are results",
    Model: "what a user brings",
    lt.Rule: "prints as its text",
    lt.At: "what a rule may look at",
}
PARTS = {Token: "of a Generation"}


def classes(kind):
    """The classes of ours in an annotation: list[Generation] gives Generation."""
    parts = typing.get_args(kind)
    found = set().union(*map(classes, parts)) if parts else set()
    origin = typing.get_origin(kind) or kind
    return found | ({origin} if getattr(origin, "__module__", "").startswith("logitherm") else set())


def returned(function):
    scope = vars(import_module(function.__module__))
    kind = inspect.signature(function).return_annotation
    return classes(eval(kind, {**scope, "Iterator": Iterator}) if isinstance(kind, str) else kind)


def test_every_public_result_is_known():
    """A function that gives something new is told here how that shows itself."""
    functions = [inspect.unwrap(getattr(lt, name)) for name in lt.__all__ if callable(getattr(lt, name))]
    functions = [f for f in functions if inspect.isfunction(f)]
    functions += [f for name, f in inspect.getmembers(lt.Sampler, inspect.isfunction) if not name.startswith("_")]
    assert len(functions) > 20
    assert set().union(*map(returned, functions)) == DRAWN | PAGED | set(OTHERS)


def test_whatever_has_a_json_form_is_drawn():
    """`to_dict` is the JSON form of a result, or of a part of one."""
    names = [module.name for module in walk_packages(lt.__path__, "logitherm.")]
    modules = [import_module(name) for name in names if ".gpu" not in name and not name.endswith("__main__")]
    found = {kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)}
    assert {kind for kind in found if hasattr(kind, "to_dict")} == DRAWN | {Drawn} | set(PARTS)


def test_pages_and_figures_are_made_by_every_drawn_result():
    for kind in DRAWN:
        assert issubclass(kind, Drawn)
        assert callable(kind._repr_html_)
    for kind in PAGED:
        assert issubclass(kind, Paged)
        assert not hasattr(kind, "plot")


@pytest.fixture
def made(tmp_path):
    right, wrong = hostile_file(tmp_path)
    recording = {"recording": lt.load_trace(right), "bent recording": lt.load_trace(wrong)}
    plans = {"presets": lt.presets(), "plan": lt.parse("top_k(2) | top_p(0.5)").plan()}
    return {**results(tmp_path), "right": lt.verify(right), "text": text(), **recording, **plans}


def test_in_a_notebook_they_are_pages(made):
    for name, result in made.items():
        shown = result._repr_html_()
        assert shown.startswith("<style>"), name
        assert shown.count('class="logitherm"') == 1
        read = Reader(result.to_html())
        assert {"script", "link", "img", "iframe", "a", "form", "i>", "b"}.isdisjoint(read.tags)
        assert shown.count("<table") == shown.count("<caption")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", shown)


def test_figures_are_the_same_twice(made, tmp_path):
    drawn = {name: result for name, result in made.items() if isinstance(result, Drawn)}
    assert len(drawn) == 7
    for name, result in drawn.items():
        assert isinstance(result.plot(), matplotlib.figure.Figure)
        for path in (first := tmp_path / f"{name}.svg", tmp_path / f"{name}2.svg"):
            write(result.plot(dark=True), path)
        assert first.read_bytes() == path.read_bytes()
        assert "mathdefault" not in first.read_text()


def test_a_figure_shows_itself_in_a_notebook():
    """IPython asks an object for its picture by this name; pyplot, which would show windows, is not needed for it."""
    figure, again = (lt.explain(logits=[1.0, 2.0], seed=1).plot() for _ in range(2))
    picture, shown = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert picture == again._repr_png_()[0]
    assert shown == {"width": round(figure.get_figwidth() * 96), "height": round(figure.get_figheight() * 96)}
    assert len(pickle.loads(pickle.dumps(figure)).axes) == len(figure.axes)


@pytest.mark.parametrize("name", ["replay", "mixed replay"])
def test_a_replays_page_and_figure_say_what_it_says(made, name):
    replay = made[name]
    (table,) = Reader(replay.to_html()).tables
    fates = [token.fate for token in replay.tokens]
    assert "impossible" in fates
    if name == "mixed replay":
        assert {"likelier", "less likely"} <= set(fates)
        assert any(t.drawn != t.id and t.p for t in replay.tokens)  # possible, and another is drawn
    for row, token in zip(table[1:], replay.tokens, strict=True):
        p = "✗ removed" if token.fate == "impossible" else number(token.p)
        assert row[2:6] == [number(token.old_p), p, token.fate, f"{token.kept:,}"]
        assert (row[6] == "the same") == (token.drawn == token.id)
    chances, kept = replay.plot().axes
    count = len(replay.tokens)
    assert [bar.get_height() for bar in chances.patches[:count]] == [token.old_p for token in replay.tokens]
    now = {round(b.get_x() + b.get_width() / 2): b for b in chances.patches[count:]}
    for place, token in enumerate(replay.tokens):
        assert now[place].get_height() == token.p
        assert to_hex(now[place].get_facecolor()) == (LIGHT.bar if token.drawn == token.id else LIGHT.chosen)
    assert [t.get_text() for t in chances.texts] == ["✗"] * fates.count("impossible")
    assert kept.lines[0].get_ydata().tolist() == [token.kept for token in replay.tokens]


def test_a_replay_of_a_summary_says_how_rough_it_is(tmp_path):
    rough = lt.replay(hostile_file(tmp_path, top=1)[0], "temperature(3) | top_k(200)")
    assert not all(token.exact for token in rough.tokens)
    assert "~ only the largest logits are stored" in Reader(rough.to_html()).words
    assert "~ only" not in Reader(results(tmp_path)["replay"].to_html()).words


@pytest.mark.parametrize("name", ["remarks", "mixed remarks"])
def test_remarks_page_and_figure_say_what_they_say(made, name):
    remarks = made[name]
    said, acted = Reader(remarks.to_html()).tables
    assert [row[:2] for row in said[1:]] == [[r.code, r.kind] for r in remarks.remarks]
    assert "cannot-act" in [row[0] for row in said]
    for row, remark in zip(said[1:], remarks.remarks, strict=True):
        assert row[3] == remark.what + (f"→ {remark.advice}" if remark.kind != "note" else "")
    assert [row[1] for row in acted[1:]] == [f"{rule.acted} of {remarks.steps}" for rule in remarks.acted]
    (axes,) = remarks.plot().axes
    widths = [bar.get_width() for bar in axes.patches]
    shares = [rule.acted / remarks.steps for rule in remarks.acted] + [r.alone / remarks.steps for r in remarks.acted]
    assert widths == shares
    assert "cannot-act" in axes.texts[1].get_text()
    assert [t.get_text() for t in axes.get_yticklabels()] == [f"{n} {r}" for n, r in enumerate(remarks.rules, 1)]
    if name == "mixed remarks":
        assert len({count for rule in remarks.acted for count in (rule.acted, rule.alone)}) == 4


def test_remarks_without_steps_are_a_page_and_no_figure():
    remarks = lt.lint("top_k(0)")
    assert len(Reader(remarks.to_html()).tables) == 1
    with pytest.raises(lt.OutputError, match="trace=FILE"):
        remarks.plot()
    assert "nothing to remark" in Reader(lt.lint("top_k(3)").to_html()).words


def test_a_verification_says_where_a_file_is_wrong(made):
    wrong, right = made["verification"], made["right"]
    (table,) = Reader(wrong.to_html()).tables
    assert [row[0] for row in table[1:]] == [f"{finding.line}" for finding in wrong.findings]
    assert [row[4] for row in table[1:]] == [finding.message for finding in wrong.findings]
    assert [row[3] for row in table[1:]] == [finding.what for finding in wrong.findings]
    (axes,) = wrong.plot().axes
    (marks,) = axes.collections
    assert marks.get_offsets().tolist() == [[1, 0]]  # its first token
    assert [bar.get_width() for bar in axes.patches] == list(wrong.lengths) == [right.tokens]
    assert len(right.plot().axes[0].collections) == 0
    assert "✓ right" in Reader(right.to_html()).words
    assert "✗ wrong" in Reader(wrong.to_html()).words
    assert str(right) == repr(right) == f"right: {right.tokens} tokens follow from their logits and seeds"


def test_a_trace_file_prints_its_texts_and_not_its_logits(made):
    shown = repr(made["recording"])
    assert shown.splitlines()[-1].split() == ["0", "<i>", "1", str(made["right"].tokens), "eos"]
    assert len(shown) < 300
    (table,) = Reader(made["recording"].to_html()).tables
    assert table[1] == ["0", "<i>", "1", str(made["right"].tokens), "eos"]


def test_their_text_is_plain_wherever_it_is_printed(made, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as notebooks have it
    for name, result in made.items():
        assert "\x1b" not in str(result), name


def test_presets_and_plans_are_tables(made):
    (table,) = Reader(made["presets"].to_html()).tables
    assert [row[:2] for row in table[1:]] == [[p.name, p.recipe] for p in lt.presets().values()]
    assert "very_conservative" in repr(made["presets"])
    (table,) = Reader(made["plan"].to_html()).tables
    assert "top_p(0.5)" in table[-1][1]
