"""The house itself: who may import whom, how large rooms may grow, and what importing Logitherm may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import logitherm
from tests.mutants import MUTANTS

SRC = Path(logitherm.__file__).parent

ORDER = """
version errors paths arrays rng draw ragged schedule vocabulary model state
rules.base rules.temperature rules.dynamic rules.rank rules.threshold rules.probability_floor rules.collision
rules.conformal rules.logit_gap rules.entropy_bound rules.tail_free rules.typical rules.greedy_threshold rules.quadratic
rules.root rules.target rules.budget rules.penalties rules.repeats rules.constrain rules.exclude_top
rules.memory rules.mirostat rules.adaptive rules.entropy_rate rules.sequences rules.length rules.dry
rules.masked rules.engines rules.grammar rules
kernels kernels.codes kernels.cpu kernels.cpu.lanes kernels.cpu.weights kernels.cpu.workspace kernels.cpu.coins
kernels.cpu.blocks kernels.cpu.rows kernels.cpu.first kernels.cpu.candidates kernels.cpu.largest kernels.cpu.edits
kernels.cpu.nucleus kernels.cpu.statistics kernels.cpu.heats kernels.cpu.order kernels.cpu.floors kernels.cpu.narrow
kernels.cpu.chain kernels.cpu.calls
kernels.gpu kernels.gpu.keys kernels.gpu.coins kernels.gpu.passes kernels.gpu.search kernels.gpu.heat kernels.gpu.draw
kernels.gpu.chain kernels.gpu.entry kernels.given kernels.compiling told
show show.table show.conditions show.waterfall show.replay show.remarks show.comparison
show.html show.shown show.html_trace show.html_text show.html_comparison show.html_replay
show.html_remarks show.html_lists
show.figure_shown show.figure show.figure_bars show.figure_text show.figure_table show.figure_replay show.figure_shares
plan sampler presets recipe vary
critical trace
models.byte_level models.places models.onnx_cache models.onnx models.toy models.callable
models.key_values models.tokens models.transformers models.guidance
models
recording recording.logits recording.form recording.reading recording.verify recording.replay recording.writer
generation generation.detokenise generation.stop generation.prompts generation.batch generation.speculative
generation.loop generation.measures
comparison
api look remarks remarks.form remarks.families remarks.idle remarks.order remarks.steps remarks.lint
playground playground.texts playground.writing playground.views playground.editor playground.asked playground.guard
playground.keep playground.app
notebook.modules notebook.live notebook.recipe_editor notebook.waterfall notebook
cli cli.errors cli.options cli.output cli.generate cli.explain cli.compare cli.verify cli.replay cli.lint
cli.recipes cli.models cli.doctor cli.play cli.main __main__
__init__
""".split()  # noqa: SIM905 (read it as a tree)
"""Every module, in import order: a file imports only what stands before it, also late and for types only."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split(".")[1:])
    return name.startswith("logitherm.") and (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file())


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            below = {f"{module}.{alias.name}" for alias in node.names}
            modules = {name for name in below if is_module(name)}
            found |= modules | ({module} if len(modules) < len(below) else set())
    ours = {name for name in found if name.partition(".")[0] == "logitherm"}
    return {"__init__" if name == "logitherm" else name.removeprefix("logitherm.") for name in ours}


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(module_name(path) for path in SRC.rglob("*.py"))


def test_a_file_imports_only_what_stands_above_it():
    wrong = [
        f"{name} imports {other}"
        for path in SRC.rglob("*.py")
        for name in [module_name(path)]
        for other in imported(path)
        if ORDER.index(other) >= ORDER.index(name)
    ]
    assert wrong == []


def test_the_order_test_can_see_a_wrong_import(tmp_path):
    path = tmp_path / "late.py"
    path.write_text("def f():\n    from logitherm.sampler import Sampler\n    import logitherm.api\n")
    assert imported(path) == {"sampler", "api"}
    path.write_text("import logitherm as lt\nfrom logitherm import cli, rules, Sampler\nfrom numpy import array\n")
    assert imported(path) == {"__init__", "cli", "rules"}


def test_rooms_stay_small():
    lengths = {module_name(path): len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 300} == {}


def test_import_is_cheap():
    code = "import sys, logitherm; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "numba",
        "torch",
        "onnxruntime",
        "tokenizers",
        "matplotlib",
        "rich",
        "typer",
        "click",
        "transformers",
        "triton",
    }
    assert "numpy" in loaded
    assert heavy.isdisjoint(loaded)


def test_every_mutant_still_breaks_something():
    """A mutant whose text is gone from its file stops `make mutants`, and the law behind it goes unwatched."""
    assert [(m.file, m.old) for m in MUTANTS if m.old not in (SRC / m.file).read_text()] == []


def test_every_public_name_is_there():
    assert all(hasattr(logitherm, name) for name in logitherm.__all__)
    assert set(logitherm.LAZY) <= set(dir(logitherm))
