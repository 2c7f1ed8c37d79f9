"""What a time is worth nothing without: the processor, the versions, the load, and the code that was timed."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.one_step import cores

ROOT = Path(__file__).parents[1]
PACKAGES = "numpy", "numba", "llvmlite", "torch", "transformers", "onnxruntime", "llama_cpp_python"


def stamp() -> dict[str, str]:
    """What must be the same for two times to stand on one page."""
    found = {
        "processor": f"{cores()} of {os.cpu_count()} cores of {_processor()}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    found |= {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    return found | {"sources": _sources()}


def load() -> float:
    """How many processes wanted to run in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def now() -> str:
    """The time of day, for a reader."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _sources() -> str:
    """A digest of the library and of what times it."""
    files = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
    return blake2b(b"\0".join(path.read_bytes() for path in files), digest_size=8).hexdigest()
