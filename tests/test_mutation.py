"""The mutation run itself: what it changes, and that a change reaches whoever imported the module before."""

import ast
import subprocess
import sys
import tomllib

from tests.mutation.operators import mutants

SOURCE = """
class Half:
    neutral = {"n": 1}
    n: int = parameter("-1 or more", lambda n: n >= -1)

    def apply(self, x: float = 2) -> "x + 1":
        return x / 2 if not self.off and x in (True,) else zip(x, x, strict=True)
"""


def test_what_is_changed():
    after = [name.split("  =>  ")[1] for name in mutants(SOURCE)]
    assert [a.partition("lambda ")[2] for a in after if "lambda" in a] == [
        "n: n > -1)",
        "n: n < -1)",
        "n: n >= 0)",
        "n: n >= -2)",
    ]
    body = "return x / 2 if not self.off and x in (True,) else zip(x, x, strict=True)"
    changes = [("/ 2", "* 2"), ("/ 2", "/ 3"), ("/ 2", "/ 1"), ("not self", "self"), ("and", "or"), ("True,", "False,")]
    changes += [("x in", "x not in")]
    assert sorted(a for a in after if a.startswith("return")) == sorted(body.replace(*c, 1) for c in changes)
    assert len(after) == 4 + 7 + 2  # and the default, 2, twice


REACHES = """
import ast, inspect
from logitherm import MinP, Sampler, TopK, TopP, parse
from logitherm.rules import base, rank, threshold
from logitherm.rules.rank import TopK as Again
from tests.mutation.graft import Broken, graft
from tests.rows import kept, logs

def change(module, old, new):
    source = inspect.getsource(module)
    assert old in source
    graft(module, ast.parse(source.replace(old, new)))

row = logs(0.4, 0.3, 0.2, 0.1)
assert kept(Again(2), row) == [True, True, False, False]
change(rank, "or size, size) - 1", "or size, size) - 0")
assert kept(Again(2), row) == [True, True, True, False]  # a method, of who imported it before
change(rank, "lambda p: 0 < p <= 1", "lambda p: 0 < p <= 2")
assert TopP(1.5).p == 1.5  # a parameter's range
assert threshold.SLACK == 1e-6
change(base, "SLACK = 1e-6", "SLACK = 0.5")
assert threshold.SLACK == rank.SLACK == 0.5  # a constant, wherever it is known
assert parse("top_k(2)").rules == (TopK(2),)  # the registry is as it was
try:
    change(base, "class Cutoff(Rule)", "class Cutoff(Nobody)")
except Broken:
    print("done")
"""


def test_a_change_reaches_everybody():
    """In a process of its own, which it spoils."""
    done = subprocess.run([sys.executable, "-c", REACHES], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr


def test_what_is_listed_as_equivalent_is_a_mutant():
    from tests.mutation.__main__ import EQUIVALENT, RULES

    for stem, changes in tomllib.loads(EQUIVALENT.read_text()).items():
        assert set(changes) <= set(mutants((RULES / f"{stem}.py").read_text())), stem
    assert ast.unparse(mutants("x = 1 < 2")[": x = 1 < 2  =>  x = 1 <= 2"]) == "x = 1 <= 2"
