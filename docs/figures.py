"""Remake the pictures of the documentation: `make figures`."""

from pathlib import Path

from rich.color import parse_rgb_hex
from rich.console import Console
from rich.terminal_theme import TerminalTheme

import logitherm as lt

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


def main() -> None:
    """The trace of one token, as the README shows it."""
    console = Console(width=92, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    with console.file:
        console.print(lt.explain("The cat slept on the", "temperature(0.7) | top_p(0.5)", seed=3))
        svg = console.export_svg(theme=THEME, code_format=FORMAT, unique_id="trace", title="")
    (DOCS / "trace.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
