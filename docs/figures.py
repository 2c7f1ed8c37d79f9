"""Remake the pictures of the documentation: `make figures`."""

from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

import logitherm as lt

DOCS = Path(__file__).parent
THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207)]
    + [(177, 186, 196)],
    [(110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221)]
    + [(255, 255, 255)],
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
        console.print(lt.explain("The cat slept on the", "temperature(0.7) | top_p(0.6)", seed=3))
        svg = console.export_svg(theme=THEME, code_format=FORMAT, unique_id="trace", title="")
    (DOCS / "trace.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")



if __name__ == "__main__":
    main()
