"""`make bench`: time every case, keep what is found, and write docs/performance.md."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch gets its second thread where it is to have one
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from argparse import ArgumentParser

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import machine, ours
from benchmarks.cases import Case, full, quick
from benchmarks.page import page
from benchmarks.store import Store
from benchmarks.targets import HEADS, targets

FOLDER = machine.ROOT / "build" / "bench"
PAGE = machine.ROOT / "docs" / "performance.md"


def main() -> int:
    """Run the command; 130 if it was broken off."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="only what the targets need, a minute or two; docs/ stays as it is"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what a run that was broken off has found")
    parser.add_argument("--page", action="store_true", help="time nothing; write the page of the last run again")
    asked = parser.parse_args()
    store = Store(FOLDER / ("quick.jsonl" if asked.quick else "full.jsonl"))
    console = Console(stderr=True)
    if not asked.page and not _timed(list(quick() if asked.quick else full()), store, asked.fresh, console):
        return 130
    found = store.read()
    if not found:
        console.print("there is nothing to write a page of yet")
        return 1
    written = FOLDER / "quick.md" if asked.quick else PAGE
    written.write_text(page(found, store), "utf-8")
    table = Table(*(head.replace("`", "") for head in HEADS), box=SIMPLE)
    for target in targets(found):
        table.add_row(*(cell.replace("`", "") for cell in target.cells()))
    Console(width=max(110, console.width)).print(table)
    console.print(f"written: {written.relative_to(machine.ROOT)}")
    return 0


def _timed(cases: list[Case], store: Store, fresh: bool, console: Console) -> bool:
    """Time the cases that are not in the store; whether that came to its end."""
    found = store.open(fresh)
    todo = [case for case in cases if case.key not in found]
    if found:
        console.print(f"going on: {len(found)} of {len(cases)} cases are there from a run that was broken off")
    # drawn between cases only: nothing else runs while a clock does
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    try:
        with Progress(*columns, console=console, auto_refresh=False) as progress:
            task = progress.add_task("compiling the kernels", total=len(cases), completed=len(found))
            progress.refresh()
            ours.compiled()
            for case in todo:
                progress.update(task, description=str(case))
                progress.refresh()
                load = machine.load()
                store.add(case.key, case.run(), load)
                progress.advance(task)
    except KeyboardInterrupt:
        kept = len(store.read())
        console.print(f"broken off: {kept} of {len(cases)} cases are kept; the same command goes on with the others")
        return False
    store.finish()
    return True


if __name__ == "__main__":
    sys.exit(main())
