"""A matplotlib figure that a notebook shows as it is, without pyplot or any setting. Imported where one is drawn."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure
from PIL import Image

DPI, SHOWN = 160, 96
"""Pixels of the picture for an inch, so that it is sharp on fine screens, and those of a screen that show them."""

COLOURS = 64
"""Of the picture: a figure has few, and a notebook that keeps it stays a third as large."""


class ShownFigure(Figure):
    """A figure that shows itself in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The picture, and how large to show it; the same data gives the same bytes with the same matplotlib."""
        drawn, file = BytesIO(), BytesIO()
        self.savefig(drawn, format="png", dpi=DPI)
        Image.open(drawn).convert("RGB").quantize(COLOURS).save(file, "png", optimize=True)
        width, height = (round(inches * SHOWN) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}
