"""Files that are to be written: whether they can be, said before any work."""

from __future__ import annotations

import os
from pathlib import Path


def unwritable(path: Path) -> str | None:
    """Why a file cannot be written there, in a few words; None if it can. Nothing is written yet."""
    if path.is_dir():
        return "it is a folder"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return "there is no permission"
    return None
