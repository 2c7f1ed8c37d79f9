"""What is found is written down case by case, so that a run that is broken off goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cases import Key
from benchmarks.turns import Found


@dataclass(frozen=True)
class Store:
    """A file of JSON lines: the stamp of the machine and the code, then a line for each case."""

    path: Path

    def open(self, fresh: bool) -> dict[Key, Found]:
        """What an unfinished run has found with the same machine and code; else nothing, and a new file."""
        lines = [] if fresh else self._lines()
        if not lines or lines[0] != {"stamp": machine.stamp()} or "finished" in lines[-1]:
            lines = [{"stamp": machine.stamp()}]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        return self._found(lines)

    def read(self) -> dict[Key, Found]:
        """What the last run has found, finished or not."""
        return self._found(self._lines())

    def add(self, key: Key, found: Found, load: float) -> None:
        """Write down a case, and the load when it began."""
        self._append({"key": key, "found": found, "load": load, "when": machine.now()})

    def finish(self) -> None:
        """Say that the run is complete: the next begins anew."""
        self._append({"finished": machine.now()})

    def about(self) -> tuple[dict[str, str], list[float], str, str]:
        """The stamp, the load at each case, and when the first and the last case were done."""
        lines = self._lines()
        cases = [line for line in lines if "key" in line]
        return lines[0]["stamp"], [case["load"] for case in cases], cases[0]["when"], cases[-1]["when"]

    def _found(self, lines: list[dict[str, Any]]) -> dict[Key, Found]:
        return {tuple(line["key"]): line["found"] for line in lines if "key" in line}

    def _lines(self) -> list[dict[str, Any]]:
        """The lines of the file; one that was cut off by a crash is left out."""
        found = []
        for line in self.path.read_text("utf-8").splitlines() if self.path.is_file() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
