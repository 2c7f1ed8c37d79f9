"""HTML pages: they parse, nothing in them is live, and they say what the data says, as precisely as the terminal."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logitherm import Sampler, explain
from logitherm.show.html import AROUND, Html, embedded, page, tag
from logitherm.show.html_comparison import comparison_html
from logitherm.show.html_text import text_html
from logitherm.show.html_trace import trace_html
from logitherm.show.table import number, visible
from logitherm.trace import trace
from tests.rows import batches, begin, examples, shaped
from tests.show.data import HOSTILE, comparison, hostile_text, hostile_trace, text

STYLE = files("logitherm.show").joinpath("style.css").read_text()
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page strictly: every element closed in its place. Gathers tags, attributes, and each table's cells."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.attributes, self.tables, self.words, self.cell = [], [], [], [], "", None
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        self.attributes += attributes
        if name not in VOID:
            self.open.append(name)
        if name == "table":
            self.tables.append([])
        elif name == "tr":
            self.tables[-1].append([])
        elif name in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, name):
        assert self.open.pop() == name
        if name in ("td", "th"):
            self.tables[-1][-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data
        if self.cell is not None:
            self.cell += data


PAGES = {
    "trace": lambda: trace_html(hostile_trace()),
    "text": lambda: text_html(hostile_text()),
    "plain text": lambda: text_html(text(details=False).to_dict()),
    "comparison": lambda: comparison_html(comparison()),
}


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_pages_parse_and_nothing_in_them_is_live(make):
    source = page("<title>", make())
    read = Reader(source)
    assert {"script", "link", "img", "iframe", "a", "form", "i>"}.isdisjoint(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("href", "src", "srcset")]
    assert "http" not in source.replace("http-equiv", "").replace("http://example.com", "")
    assert "url(" not in source
    assert "@import" not in source
    assert dict(read.attributes)["content"]
    assert "default-src 'none'" in source
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", source)
    source.encode()


def test_hostile_tokens_are_visible():
    words = Reader(page("x", trace_html(hostile_trace()))).words
    for place, token in enumerate(HOSTILE):
        assert visible(token, place) in words
    assert r"\u202elaterally" in words
    assert r"“\n”" in words
    assert r"\ud800" in words
    strip = Reader(page("x", text_html(hostile_text()))).words
    assert r"\x07" in strip
    assert "\\n\n" in strip  # spelt out, and then made


def test_tag_escapes_by_construction():
    assert tag("b", "<i>", Html("<i></i>"), title='"<') == '<b title="&quot;&lt;">&lt;i&gt;<i></i></b>'
    assert tag("td", "\x1b", class_="a", aria_label="\x07", title=None) == '<td class="a" aria-label="\\x07">\\x1b</td>'


chains = st.lists(st.sampled_from(examples()), min_size=1, max_size=4).map(lambda rules: Sampler(*rules))


@given(sampler=chains, x=batches(st.just(1)))
def test_a_trace_page_says_what_the_trace_says(sampler, x):
    shaped(sampler, x, begin(sampler, x))
    data = trace(sampler, x, begin(sampler, x), top=6)[0].to_dict()
    stages, tokens = Reader(page("x", trace_html(data))).tables
    for row, stage in zip(stages[1:], data["stages"], strict=True):
        assert row[1] == f"{stage['kept']:,}"
        assert row[2:4] == (
            [f"{stage['removed']:,}", number(stage["removed_mass"])] if stage["removed"] else ["–", "–"]
        )
        assert row[4:6] == [number(stage["entropy"]), number(exp(stage["entropy"]))]
        if len(row) > 6:
            assert row[6] == number(stage["temperature"])
    for place, row in enumerate(tokens[1:]):
        cells = [stage["tokens"][place] for stage in data["stages"]]
        assert row[1:-1] == [
            "✗ removed" if c["logit"] is None else number(value)
            for c, value in [(cells[0], cells[0]["logit"]), *((c, c["p"]) for c in cells)]
        ]
        assert row[0].startswith("▶") == (cells[0]["id"] == data["draw"]["id"])
        assert ("removed by" in row[-1]) == (cells[-1]["logit"] is None and cells[0]["logit"] is not None)


def test_a_text_page_says_what_the_text_says():
    data = text().to_dict()
    (steps,) = Reader(page("x", text_html(data))).tables
    for row, token in zip(steps[1:], data["tokens"], strict=True):
        keys = ("final_p", "raw_p", "temperature", "raw_entropy", "final_entropy")
        assert row[1] == visible(token["text"], token["id"])
        assert row[2:7] == [number(token[key]) for key in keys]
        assert row[7] == f"{token['kept']:,}"
        for other in token["leading"]:
            assert f"{visible(other['text'], other['id'])} {number(other['final_p'])}" in row[8]
    flat = Reader(text("temperature(0.7)").to_html()).words
    assert "Temperature: .7000 at every step" in flat
    assert Reader(text(details=False).to_html()).tables == []


def test_a_comparison_page_says_what_the_comparison_says():
    read = Reader(page("x", comparison_html(comparison())))
    tokens, recipes, measures = read.tables
    assert tokens[0] == ["token", "p, raw", "top_p(0.5)", "temperature(0.5)"]
    assert [row[1:] for row in tokens[1:]] == [
        [".5000", "1", ".7500"],
        [".3000", "✗ removed", ".1875"],
        [".2000", "✗ removed", ".0625"],
    ]
    assert recipes[1][:5] == ["raw", "–", "4", "1.250", number(exp(1.25))]
    assert recipes[2][-1] == "the first"
    assert recipes[3][1:5] == [".5000", "3", ".5432", number(exp(0.5432))]
    assert recipes[3][7:] == ["0", "2", "∞ infinite", ".1250", ".2500", "4"]
    assert measures[1:] == [["top_p(0.5)", ".8125 (.7500 to .9000)"], ["temperature(0.5)", "–"]]
    assert "<b>same</b> parts here: stop" in read.words
    assert read.tags.count("mark") == 1  # the second texts are the same


def test_tables_can_be_heard():
    for make in PAGES.values():
        source = make()
        assert source.count("<table") == source.count("<caption")
        assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", source))


def test_the_style_stays_in_its_drawing():
    plain = re.sub(r"@(media|container)[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\2", STYLE)
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", plain):
        assert all(s.strip().startswith(".logitherm") for s in selectors.split(",")), selectors
    assert embedded(trace_html(hostile_trace())).startswith("<style>")
    assert explain(recipe="top_k(1)", logits=[1.0, 2.0])._repr_html_().count("<style>") == 1
    assert text()._repr_html_().count('class="logitherm"') == 1


def luminance(rgb):
    c = np.array(rgb) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def rgb(text):
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)] if text.startswith("#") else [int(n) for n in text.split()]


def test_every_colour_can_be_read():
    """WCAG AA, 4.5 to 1, of the ink on every tint, in light and dark; and each tint is a step towards its hue."""
    variables = [dict(re.findall(r"--(\w+): ([^;]+);", block)) for block in STYLE.split("@media")[:2]]
    assert [v["paper"] in AROUND for v in variables] == [True, True]
    for v in variables:
        paper, ink = rgb(v["paper"]), rgb(v["ink"])
        for words in ("ink", "faint", "chosen"):
            assert contrast(rgb(v[words]), paper) >= 4.5, words
        assert contrast(rgb(v["faint"]), rgb(v["raised"])) >= 4.5
        for hue in ("p", "l"):
            shares = [float(v["most"]) * i / 10 for i in range(11)]
            tints = [np.array(paper) * (1 - s) + np.array(rgb(v[hue])) * s for s in shares]
            assert min(contrast(ink, tint) for tint in tints) >= 4.5
            steps = [luminance(tint) for tint in tints]
            assert len({b > a for a, b in pairwise(steps)}) == 1  # lightness alone tells the order
