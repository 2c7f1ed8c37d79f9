"""What was promised, and what was measured: V = 128,256 and one row unless told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks import end_to_end as texts
from benchmarks.cases import FINAL, FIRST, Key
from benchmarks.one_step import FLOOR, KERNEL, LLAMA, LLAMA_BARE, NUMPY, SHORT, STEP, THEIRS, THEIRS_TWO, TORCH
from benchmarks.recipes import BOTH, ENTROPY, MIN_P, TEMPERATURE, TOP_K, TOP_P, Recipe
from benchmarks.rows import GPT2_SIZE
from benchmarks.shapes import SMALL
from benchmarks.turns import Found

Results = Mapping[Key, Found]


HEADS = "target", "promised", "`Sampler.step`", "the kernel alone", "verdict"


PROMISED = {
    (TEMPERATURE.text, ""): 90,
    (TOP_K.text, ""): 250,
    (MIN_P.text, ""): 280,
    (TOP_P.text, "peaked"): 400,
    (TOP_P.text, "flat"): 280,
    (ENTROPY.text, "peaked"): 230,
    (ENTROPY.text, "flat"): 150,
}
"""How many times faster than transformers, by recipe and kind of rows ("": any); the entropy's by means."""


@dataclass(frozen=True)
class Target:
    """A promise and its measure.

    bound:  at least so much, or at most if `most`.
    step:   what `Sampler.step`, or whatever else a user calls, reaches; None where the target is about the kernel.
    kernel: what the bare kernel reaches; None where there is none.
    unit:   what stands behind the numbers.
    """

    what: str
    bound: float
    step: float | None
    kernel: float | None
    most: bool = False
    unit: str = "×"

    @property
    def verdict(self) -> str:
        """Met, missed, or met by the kernel alone."""
        first = self.kernel if self.step is None else self.step
        if first is None:
            return "not measured"
        if self._reached(first):
            return "met"
        return "met by the kernel only" if self._reached(self.kernel) else "missed"

    def cells(self) -> list[str]:
        """As a row of a table."""
        sign = "≤" if self.most else "≥"
        digits = 1 if self.bound >= 20 else 2
        measured = ["–" if v is None else f"{v:.{digits}f}{self.unit}" for v in (self.step, self.kernel)]
        return [self.what, f"{sign} {round(self.bound, 2):g}{self.unit}", *measured, self.verdict]

    def _reached(self, value: float | None) -> bool:
        return value is not None and (value <= self.bound if self.most else value >= self.bound)


def targets(results: Results) -> Iterator[Target]:
    """All promises, in the order of the page; the worse of peaked and flat rows where not told."""
    for recipe in (TEMPERATURE, TOP_K, MIN_P):
        yield _against(results, f"transformers, `{recipe.text}`", PROMISED[recipe.text, ""], recipe, THEIRS)
    for kind in FINAL:
        bound = PROMISED[TOP_P.text, kind]
        yield _against(results, f"transformers, `{TOP_P.text}`, {kind}", bound, TOP_P, THEIRS, kinds=(kind,))
    for kind in FINAL:
        what, bound = f"transformers' top_p, entropy's T + top_p, {kind}, means", PROMISED[ENTROPY.text, kind]
        yield _against(results, what, bound, ENTROPY, THEIRS, kinds=(kind,), by="mean")
    for recipe in (TOP_K, BOTH):
        yield _against(results, f"torch by hand, `{recipe.text}`", 15, recipe, TORCH)
    everything = TEMPERATURE, TOP_K, MIN_P, TOP_P, BOTH
    for name, bound, how in ((LLAMA, 10, "with"), (LLAMA_BARE, 5, "without")):
        each = [_against(results, "", bound, recipe, name) for recipe in everything]
        worst, kernel = _least(target.step for target in each), _least(target.kernel for target in each)
        yield Target(f"llama.cpp {how} building its array, worst recipe", bound, worst, kernel)
    yield _against(results, f"NumPy, sorting ids, `{TOP_P.text}`", 100, TOP_P, NUMPY)
    yield _in_situ(results)
    yield from (_end_to_end(results, batch, bound) for batch, bound in ((1, 1.5), (8, 2.5)))
    for recipe, most in ((TOP_K, 1.5), (MIN_P, 1.5), (TEMPERATURE, 4.0), (TOP_P, 8.0)):
        yield _floor(results, recipe, most)
    yield _around(results)
    found = results.get(("memory", FIRST), {}).get("workspace")
    size = found["allocated"] / 1e6 if found else None
    yield Target("workspace of a thread (8 bytes a token + 1 MB)", 8 * FIRST / 1e6 + 1, None, size, True, " MB")


def theirs(found: Found, by: str = "median") -> float:
    """Transformers' best, of one thread and two, in microseconds."""
    return min(found[name][by] for name in (THEIRS, THEIRS_TWO) if name in found)


def _against(
    results: Results,
    what: str,
    bound: float,
    recipe: Recipe,
    name: str,
    kinds: tuple[str, ...] = FINAL,
    by: str = "median",
) -> Target:
    """How many times as long as ours a peer takes."""
    ratios: dict[str, list[float]] = {STEP: [], KERNEL: []}
    for kind in kinds:
        found = results.get(("hot", FIRST, 1, kind, recipe.text), {})
        if name in found:
            peer = theirs(found, by) if name == THEIRS else found[name][by]
            for own, times in ratios.items():
                times.append(peer / found[own][by])
    return Target(what, bound, _least(ratios[STEP]), _least(ratios[KERNEL]))


def _in_situ(results: Results) -> Target:
    found = [results.get(("in situ", str(SMALL), kind, 1, TOP_P.text)) for kind in FINAL]
    step, kernel = (_least(f[THEIRS]["median"] / f[own]["median"] for f in found if f) for own in (STEP, KERNEL))
    return Target(f"transformers, `{TOP_P.text}`, in situ, V = {GPT2_SIZE:,}", 50, step, kernel)


def _end_to_end(results: Results, batch: int, bound: float) -> Target:
    found = [results.get(("end to end", kind, batch)) for kind in FINAL]
    ratio = _least(f[texts.THEIRS]["median"] / f[texts.OURS]["median"] for f in found if f)
    return Target(f"`model.generate`, `{TOP_P.text}`, batch {batch}", bound, ratio, None)


def _floor(results: Results, recipe: Recipe, bound: float) -> Target:
    found = [results.get(("hot", FIRST, 1, kind, recipe.text)) for kind in FINAL]
    ratios = [f[KERNEL]["median"] / f[FLOOR]["median"] for f in found if f]
    return Target(f"`np.max`, `{recipe.text}`", bound, None, max(ratios, default=None), most=True)


def _around(results: Results) -> Target:
    found = results.get(("around", SHORT))
    micros = found[STEP]["median"] - found[KERNEL]["median"] if found else None
    return Target(f"Python around the kernel, a row of {SHORT} tokens", 4, micros, None, True, " µs")


def _least(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return min(there, default=None)
