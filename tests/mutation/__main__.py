"""Change every operator and number in `src/logitherm/rules`, one at a time, and see whether a test notices.

    make mutation                     all files; results that are still good from the last time are kept
    make mutation ARGS="dry rank"     the files whose name holds one of the words

The tests of a rule: the file of its name in tests/rules, and of the others, of the comparisons with transformers and of
the laws those tests that are at one of its settings or name what its file defines; those of a file without rules are
those of the rules that are built on it, and of base.py and memory.py all. A mutant that no test notices has to stand in
tests/mutation/equivalent.toml, with the reason why none could. Hypothesis is seeded: the answer is the same tomorrow.

pytest collects once, in one process; each mutant is a fork of it, in which the module gets the changed code.

Why not a library: cosmic-ray starts an interpreter for each mutant, which with torch takes longer than the tests;
mutmut leaves class bodies alone, where the ranges of parameters stand.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import os
import re
import signal
import sys
import time
import tomllib
import traceback
from pathlib import Path
from typing import Any

from logitherm import REGISTRY, Rule
from tests.mutation.graft import Broken, graft
from tests.mutation.operators import mutants

ROOT = Path(__file__).parents[2]
RULES = ROOT / "src" / "logitherm" / "rules"
TESTS = ROOT / "tests"
LAWS = TESTS / "rules" / "test_ranges.py", TESTS / "test_laws.py"
RESULTS = ROOT / "build" / "mutation"
EQUIVALENT = Path(__file__).with_name("equivalent.toml")

SHARED = "base", "memory"
"""What many rules are built on; the tests of all are theirs."""

ENDLESS = 5.0
"""Times as long as without a change, and 20 seconds: then a mutant counts as noticed, for a loop became endless."""

WANTED = 0.9
"""The share of mutants that the tests have to notice."""


def about() -> list[Path]:
    """The test files that a rule may have."""
    return [*sorted((TESTS / "rules").glob("test_*.py")), *sorted(TESTS.glob("test_transf*.py")), LAWS[-1]]


def tests_of(file: Path) -> list[Path]:
    """The test files that name what a file of rules defines, and the laws."""
    names = [n.name for n in ast.parse(file.read_text()).body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    word = re.compile(rf"\b({'|'.join([*names, f'rules.{file.stem}'])})\b")
    return [path for path in about() if path in LAWS or file.stem in SHARED or word.search(path.read_text())]


def rules_of(module: str) -> list[type[Rule]]:
    """The rules that a module defines; if none, those of the modules that import from it."""
    own = [kind for kind in REGISTRY.values() if kind.__module__ == module]
    built = f"from {module} import"
    return own or [k for k in REGISTRY.values() if built in inspect.getsource(sys.modules[k.__module__])]


def belongs(item: Any, module: str) -> bool:
    """Whether a test is about this module: in the file of its name, at one of its rules, or with one in its text."""
    stem = module.rpartition(".")[2]
    if stem in SHARED or item.path.stem == f"test_{stem}":
        return True
    given = repr([*item.callspec.params.values()]) if hasattr(item, "callspec") else ""
    test = getattr(getattr(item.function, "hypothesis", None), "inner_test", item.function)
    names = [n for n, v in vars(item.module).items() if getattr(v, "__module__", "") == module]
    kinds = [word for kind in rules_of(module) for word in (re.escape(kind.name), kind.__name__)]
    word = re.compile(rf"(?<!\w)({'|'.join([*names, *kinds])})\b")
    return bool(names or kinds) and bool(
        word.search(given) or word.search(inspect.getsource(test).partition("def ")[2])
    )


class Run:
    """A plugin of pytest that runs the tests of each mutant in a fork of the session."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.became: dict[str, dict[str, str]] = {}

    def pytest_configure(self) -> None:
        """Seeded, and without time for the smallest example or memory of the last run."""
        from hypothesis import Phase, settings

        ours = settings.get_profile("ours")
        quick = {"phases": (Phase.explicit, Phase.generate), "derandomize": True, "database": None}
        settings.register_profile("mutation", ours, **quick)
        settings.load_profile("mutation")

    def pytest_runtestloop(self, session: Any) -> bool:
        """Every file's mutants, instead of the tests."""
        if session.testsfailed:
            raise SystemExit("the tests cannot be collected")
        for file in self.files:
            self.became[file.stem] = self.judge(file, session)
            print(
                f"{file.stem}: {sum(what != 'survived' for what in self.became[file.stem].values())} noticed",
                flush=True,
            )
        return True

    def judge(self, file: Path, session: Any) -> dict[str, str]:
        """What became of each mutant; known is what was found while the file, and for survivors the tests, were so."""
        module, tests = f"logitherm.rules.{file.stem}", tests_of(file)
        items = [item for item in session.items if item.path in tests and belongs(item, module)]
        stamp = {"code": digest(file), "tests": digest(*tests)}
        stored = RESULTS / f"{file.stem}.jsonl"
        lines = stored.read_text().splitlines() if stored.is_file() else []
        past = [found for found in map(json.loads, lines) if found["code"] == stamp["code"]]
        good = [found for found in past if found["became"] != "survived" or found["tests"] == stamp["tests"]]
        known = {found["mutant"]: found["became"] for found in good}
        every = mutants(file.read_text())
        begun, limit = time.monotonic(), 600.0
        for i, (name, tree) in enumerate(every.items()):
            if name in known:
                continue
            if limit == 600.0:
                if fork(session, items, module, ast.parse(file.read_text()), limit) != "survived":
                    raise SystemExit(f"the tests of {file.stem} fail without any change")
                limit = 20 + ENDLESS * (time.monotonic() - begun)
                took = json.loads(TIMES.read_text())
                items.sort(key=lambda item: took[item.nodeid])  # the quick ones first
            known[name] = fork(session, items, module, tree, limit)
            with stored.open("a") as out:
                out.write(json.dumps({"mutant": name, "became": known[name], **stamp}) + "\n")
            if sys.stdout.isatty():
                print(f"\r{file.stem}: {i + 1} of {len(every)} ", end="", flush=True)
        return {name: known[name] for name in every}


TIMES = RESULTS / "seconds.json"
"""How long each test took without a change."""


def digest(*files: Path) -> str:
    """A name for the text of files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def fork(session: Any, items: list[Any], module: str, tree: ast.Module, limit: float) -> str:
    """Run tests on a mutant until one fails: "noticed", "survived", or "endless"."""
    pid = os.fork()
    if pid == 0:
        child(session, items, module, tree)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code == CONFUSED:
                raise SystemExit(f"a mutant of {module} could not be made")
            return "survived" if code == 0 else "noticed"
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "endless"


CONFUSED, SPEECH = 77, os.dup(2)
"""How a child says that the fault is not the mutant's, and where."""


def child(session: Any, items: list[Any], module: str, tree: ast.Module) -> None:
    """In the fork: change the module, run the tests, and leave with 0 if all passed."""
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)
    os.dup2(void, 2)
    try:
        graft(importlib.import_module(module), tree)
    except Broken:
        os._exit(1)
    except BaseException:
        os.write(SPEECH, traceback.format_exc().encode())
        os._exit(CONFUSED)
    took = {}
    for item, after in zip(items, [*items[1:], None], strict=True):
        begun = time.monotonic()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        took[item.nodeid] = time.monotonic() - begun
        if session.testsfailed:
            os._exit(1)
    TIMES.write_text(json.dumps(took))
    os._exit(0)


def main() -> None:
    """Run what is asked for, and say what nobody noticed."""
    os.environ |= {"LOGITHERM_PLAN": "plain", "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": "1"}
    import pytest

    RESULTS.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or [""]
    files = [file for file in sorted(RULES.glob("[!_]*.py")) if any(word in file.stem for word in wanted)]
    needed = sorted({test for file in files for test in tests_of(file)})
    run = Run(files)
    answer = pytest.main(["-q", "-s", "-p", "no:cacheprovider", *map(str, needed)], plugins=[run])
    if answer != pytest.ExitCode.OK:
        raise SystemExit(int(answer))
    equivalent = tomllib.loads(EQUIVALENT.read_text())
    total = noticed = unanswered = 0
    for stem, became in run.became.items():
        left = {name for name, what in became.items() if what == "survived"}
        listed = equivalent.get(stem, {})
        total, noticed = total + len(became), noticed + len(became) - len(left)
        print(f"{stem}: {len(became) - len(left)} of {len(became)} noticed; {len(left & set(listed))} equivalent")
        wrong = [f"nobody notices    {name}" for name in became if name in left - set(listed)]
        wrong += [f"listed, but gone  {name}" for name in listed if name not in left]
        print("".join(f"    {line}\n" for line in wrong), end="")
        unanswered += len(wrong)
    share = noticed / max(total, 1)
    print(f"{noticed} of {total} noticed ({share:.1%}); {unanswered} to answer in equivalent.toml or by a test")
    raise SystemExit(bool(unanswered) or share < WANTED)


if __name__ == "__main__":
    main()
