"""The memory that a thread's sampling holds on to: what is allocated, and what the first steps make resident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.turns import Found

STATUS = Path("/proc/self/statm")

APART = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Large arrays get pages of their own (glibc), so that a new one cannot hide in memory that an old one left."""


def memory(size: int) -> Found:
    """Bytes for rows of a size: allocated for a thread, and grown in a fresh process by steps of every recipe."""
    from benchmarks import ours

    found = {"allocated": float(ours.allocated(size))}
    if STATUS.is_file():
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", str(size)],
            env=os.environ | APART,
            capture_output=True,
            text=True,
            check=True,
        )
        found["resident"] = float(said.stdout.split()[-1])
    return {"workspace": found}


def _resident() -> int:
    """The bytes of this process that are in memory."""
    return int(STATUS.read_text().split()[1]) * 4096


def _grown(size: int) -> int:
    """How much steps on flat and peaked rows make this process grow."""
    from benchmarks import ours
    from benchmarks.recipes import RECIPES
    from benchmarks.rows import rows

    ours.compiled()
    logits = [rows(kind, size, 1) for kind in ("peaked", "flat", "noise")]
    for recipe in RECIPES:  # whatever else a first step brings
        ours.step(recipe, 1)(rows("noise", 300, 1))
    before = _resident()
    for recipe in RECIPES:
        step = ours.step(recipe, 1)
        for some in logits:
            step(some)
    return _resident() - before


if __name__ == "__main__":
    print(_grown(int(sys.argv[1])))
