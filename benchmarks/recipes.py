"""The recipes that are timed: as text for us, and as plain numbers for those who have other names for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """A recipe and its numbers, at their neutral values unless given.

    heat: the temperature made of the row's entropy H in nats, heat[0] + heat[1] · H; None if it is t.
    """

    text: str
    t: float = 1.0
    k: int = 0
    p: float = 1.0
    min_p: float = 0.0
    heat: tuple[float, float] | None = None


TEMPERATURE = Recipe("temperature(0.8)", t=0.8)
TOP_K = Recipe("top_k(50)", k=50)
MIN_P = Recipe("min_p(0.05)", min_p=0.05)
TOP_P = Recipe("top_p(0.95)", p=0.95)
BOTH = Recipe("top_k(50) | top_p(0.95)", k=50, p=0.95)
ENTROPY = Recipe("dynamic_temperature(0.5, entropy=0.1) | top_p(0.95)", p=0.95, heat=(0.5, 0.1))

RECIPES = TEMPERATURE, TOP_K, MIN_P, TOP_P, BOTH, ENTROPY
FEWER = TEMPERATURE, TOP_P, BOTH, ENTROPY
"""Those that are timed on batches."""
