"""Remake the pictures of the documentation: `make figures`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.color import parse_rgb_hex
from rich.console import Console
from rich.terminal_theme import TerminalTheme

import logitherm as lt
from docs.theory_figures import courses, courses_figure, curve, curve_figure, gains, gains_figure
from logitherm.show.figure import write
from logitherm.show.figure_bars import comparison_figure
from logitherm.show.figure_table import table_figure
from logitherm.show.figure_text import text_figure

DOCS = Path(__file__).parent
NORMAL = "484f58 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf b1bac4"
BRIGHT = "6e7681 ffa198 56d364 e3b341 79c0ff d2a8ff 56d4dd ffffff"
THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [parse_rgb_hex(colour) for colour in NORMAL.split()],
    [parse_rgb_hex(colour) for colour in BRIGHT.split()],
)
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="20px">
<style>{styles} text {{ white-space: pre }}</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
<g transform="translate(14, 10)">{backgrounds}{matrix}</g>
</svg>
"""
"""Rich's own frame asks for a web font; this one draws with what the reader has."""

WEATHER = [1.2, 2.0, 3.5, 3.0, 1.8, 1.0]
WEATHER_WORDS = ["wonderful", "cloudy", "nice", "hot", "gloomy", "delicious"]
SLEPT = [-49.82, -46.40, -45.25, -47.30, -48.32]
SLEPT_WORDS = [" roof", " bed", " floor", " couch", " ground"]
"""The two examples of the documents that the project began from; the five words are ours."""


def main() -> None:
    """The terminal's picture of the README, and the figures of docs/figures.md, each light and dark."""
    _terminal()
    (DOCS / "figures").mkdir(exist_ok=True)
    heats = lt.compare(vary="temperature=0.1,0.5,1,2,5,100", logits=WEATHER, tokens=WEATHER_WORDS, seed=7)
    _both("temperatures", comparison_figure, heats.to_dict())
    recipes = ["top_k(1)", "top_k(3)", "top_p(0.5)", "top_p(0.9)"]
    cuts = lt.compare(recipes=recipes, logits=WEATHER, tokens=WEATHER_WORDS, seed=7)
    _both("cuts", comparison_figure, cuts.to_dict())
    slept = lt.explain(recipe="temperature(100.0)", logits=SLEPT, tokens=SLEPT_WORDS, seed=1)
    _both("table", table_figure, slept.to_dict())
    recipe = "dynamic_temperature(0.2, entropy=0.25, t_max=1.2) | top_p(0.8)"
    text = lt.generate("The cat slept on the", recipe, seed=3, max_new_tokens=18, details=True)
    _both("text", text_figure, text.to_dict())
    _both("theory-gains", gains_figure, gains())
    _both("theory-entropy", curve_figure, curve())
    _both("theory-windup", courses_figure, courses())


def _both(name: str, figure: Callable[[dict[str, Any], bool], Any], data: dict[str, Any]) -> None:
    for look, dark in (("light", False), ("dark", True)):
        write(figure(data, dark), DOCS / "figures" / f"{name}-{look}.svg")


def _terminal() -> None:
    """The trace of one token, as the README shows it."""
    console = Console(width=92, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    with console.file:
        console.print(lt.explain("The cat slept on the", "temperature(0.7) | top_p(0.5)", seed=3))
        svg = console.export_svg(theme=THEME, code_format=FORMAT, unique_id="trace", title="")
    (DOCS / "trace.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
