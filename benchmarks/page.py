"""docs/performance.md, from what was found and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import end_to_end as texts
from benchmarks.cases import FINAL, FIRST, Key
from benchmarks.each_rule import PLAIN, recipe_of
from benchmarks.in_situ import FORWARD
from benchmarks.one_step import (
    FLOOR,
    KERNEL,
    LLAMA,
    LLAMA_BARE,
    NUMPY,
    NUMPY_BEST,
    OVERWRITTEN,
    STEP,
    THEIRS,
    THEIRS_TWO,
    TORCH,
)
from benchmarks.playground import READY, SLIDER, weight
from benchmarks.recipes import RECIPES, TOP_P
from benchmarks.rows import GPT2_SIZE, KINDS
from benchmarks.shapes import SMALL
from benchmarks.store import Store
from benchmarks.targets import HEADS, PROMISED, Results, targets, theirs
from benchmarks.turns import Found
from benchmarks.words import CHECKED, CLOCKS, PEERS, PROFILE, RULES, SHARE, TARGETS


def page(results: Results, store: Store) -> str:
    """The whole page; parts that were not measured are left out."""
    parts = [
        "# Performance",
        _lead(results),
        _share(results),
        _made(store),
        TARGETS,
        _score(results),
        _targets(results),
    ]
    parts += _titled("Where the time of a step goes", _profile(results))
    parts += _titled("Each rule", _rules(results))
    there = {key[3] for key, _ in _of(results, "hot")}
    kinds = [f"- *{kind}*: {what}." for kind, what in KINDS.items() if kind in there]
    parts += [PEERS, *kinds, CHECKED, _absent(results)]
    parts += _titled("In situ: right after a forward pass", _in_situ(results))
    parts += _titled("End to end: text to text", _end_to_end(results))
    parts += _titled("From the command to the first piece of text", _starts(results))
    parts += _titled("The playground", _playground(results))
    parts += _titled("Memory of a thread", _memory(results))
    parts += [CLOCKS, *_hot(results), *_spread(results)]
    parts += _titled("Cold: after the caches were overwritten", _cold(results))
    return _joined(part for part in parts if part) + "\n"


def _joined(parts: Iterable[str]) -> str:
    """Parts with an empty line between them, but for the lines of a list."""
    text, before = "", ""
    for part in parts:
        text += ("\n" if part.startswith("- ") and before.startswith("- ") else "\n\n" if text else "") + part
        before = part
    return text


def _lead(results: Results) -> str:
    found = results.get(("in situ", str(SMALL), "flat", 1, TOP_P.text))
    if not found:
        return ""
    a, b = (_part(found, name) for name in (THEIRS, STEP))
    return (
        f"**Of the time that a token takes, sampling is {a:.0%} with transformers and {b:.1%} with Logitherm**, in a "
        f"small model ({SMALL}, {GPT2_SIZE:,} tokens, one row, one thread, `{TOP_P.text}`). The larger the model, the "
        "smaller both: the table says how much."
    )


def _share(results: Results) -> str:
    rows = []
    for (_, shape, kind, batch, recipe), found in _of(results, "in situ"):
        if recipe == TOP_P.text:
            times = [f"{found[name]['median']:,.0f}" for name in (FORWARD, THEIRS, STEP)]
            parts = [f"{_part(found, name):.1%}" for name in (THEIRS, STEP)]
            rows.append([shape, kind, batch, times[0], times[1], f"**{parts[0]}**", times[2], f"**{parts[1]}**"])
    heads = ["model", "rows", "batch", "forward pass", "transformers", "of the step", "`Sampler.step`", "of the step"]
    return SHARE + "\n\n" + table(heads, rows) if rows else ""


def _part(found: Found, name: str) -> float:
    """What part of a decoding step sampling is."""
    return found[name]["median"] / (found[name]["median"] + found[FORWARD]["median"])


def _made(store: Store) -> str:
    stamp, loads, first, last = store.about()
    command = "make bench" if store.path.stem == "full" else "make bench ARGS=--quick"
    versions = ", ".join(
        f"{name} {value}" for name, value in stamp.items() if name not in ("processor", "system", "sources")
    )
    return (
        f"Made by `{command}` on {stamp['processor']}, from {first} to {last}. {stamp['system']}, {versions}. "
        f"Load average while it ran: {min(loads):.1f} to {max(loads):.1f}. All times are in microseconds unless told; "
        "medians unless told."
    )


def _score(results: Results) -> str:
    all_of_them = list(targets(results))
    met = sum(target.verdict == "met" for target in all_of_them)
    return f"{met} of {len(all_of_them)} are met."


def _profile(results: Results) -> str:
    """What a step is made of, beside what the target about transformers leaves it."""
    rows = []
    for recipe in RECIPES:
        for kind in FINAL:
            if found := results.get(("hot", FIRST, 1, kind, recipe.text)):
                step, kernel, floor = (found[name]["median"] for name in (STEP, KERNEL, FLOOR))
                bound = PROMISED.get((recipe.text, kind), PROMISED.get((recipe.text, ""), 0))
                allowed = f"{theirs(found) / bound:.1f}" if bound else "–"
                cells = [f"{micros:.1f}" for micros in (step, floor, kernel - floor, step - kernel)]
                rows.append([code(recipe.text), kind, *cells, allowed])
    heads = ["recipe", "rows", "`Sampler.step`", "np.max", "rest of the kernel", "Python around it", "target allows"]
    return PROFILE + "\n\n" + table(heads, rows) if rows else ""


def _rules(results: Results) -> str:
    """Every rule by itself, those first that gain most by a kernel."""
    rows = []
    for (_, name), found in _of(results, "rule"):
        plain = found[PLAIN]["median"]
        step = found.get(STEP, found[PLAIN])["median"]
        ours = [_number(step), f"{plain / step:.0f}×"] if STEP in found else ["–", "–"]
        rows.append((step / plain, [code(recipe_of(str(name))), _number(plain), *ours]))
    heads = ["rule", "plain body", "with the kernel", "faster"]
    return RULES + "\n\n" + table(heads, [row for _, row in sorted(rows, key=lambda r: r[0])]) if rows else ""


def _absent(results: Results) -> str:
    """Who was not there."""
    found = results.get(("hot", FIRST, 1, "peaked", TOP_P.text), {})
    said = [] if LLAMA in found else ["llama-cpp-python was not installed, so llama.cpp was not timed."]
    if THEIRS_TWO not in found:
        said.append("Only one core was allowed, so transformers was timed with one thread alone.")
    return " ".join(said)


def _targets(results: Results) -> str:
    return table(HEADS, [[cell.replace("|", "\\|") for cell in target.cells()] for target in targets(results)])


PEOPLE = STEP, KERNEL, THEIRS, TORCH, NUMPY, NUMPY_BEST, LLAMA, LLAMA_BARE, FLOOR


def _hot(results: Results) -> list[str]:
    """Medians, a table for each vocabulary and batch, those of one row first."""
    found = []
    groups = sorted({key[1:3] for key, _ in _of(results, "hot")}, key=lambda group: (group[1], group[0]))
    for size, batch in groups:
        rows = []
        for (_, its_size, its_batch, kind, recipe), times in _of(results, "hot"):
            if (its_size, its_batch) == (size, batch):
                cells = [_micros(times, name) if name != THEIRS else _number(theirs(times)) for name in PEOPLE]
                ratios = [f"{theirs(times) / times[own]['median']:.0f}×" for own in (STEP, KERNEL)]
                rows.append([kind, code(recipe), *cells, *ratios])
        title = f"### Hot: V = {size:,}, {'one row' if batch == 1 else f'{batch} rows'}"
        heads = ["rows", "recipe", *PEOPLE, "step is faster than transformers", "kernel is"]
        found.append(title + "\n\n" + table(heads, rows))
    return found


def _spread(results: Results) -> list[str]:
    rows = []
    for (_, size, batch, kind, recipe), times in _of(results, "hot"):
        if (size, batch) == (FIRST, 1):
            rows.append([kind, code(recipe), *(_wide(times[name]) for name in (STEP, KERNEL, THEIRS, FLOOR))])
    heads = ["rows", "recipe", STEP, KERNEL, "transformers, 1 thread", FLOOR]
    title = f"### Hot: means and spread, V = {FIRST:,}, one row\n\nMean (p10 – p90).\n\n"
    return [title + table(heads, rows)] if rows else []


def _cold(results: Results) -> str:
    rows = []
    for (_, size, kind, recipe), times in _of(results, "cold"):
        cells = [_micros(times, name) for name in (STEP, KERNEL, THEIRS, TORCH, FLOOR)]
        ratio = f"{times[THEIRS]['median'] / times[STEP]['median']:.0f}×"
        rows.append([f"{size:,}", kind, code(recipe), *cells, ratio])
    said = f"Each call after {OVERWRITTEN >> 20} MiB were written over; one row, one thread.\n\n"
    heads = ["V", "rows", "recipe", STEP, KERNEL, THEIRS, TORCH, FLOOR, "step is faster"]
    return said + table(heads, rows) if rows else ""


def _in_situ(results: Results) -> str:
    rows = []
    for (_, shape, kind, batch, recipe), times in _of(results, "in situ"):
        cells = [_wide(times[name], "median") for name in (FORWARD, STEP, KERNEL, THEIRS, TORCH, FLOOR)]
        ratio = f"{times[THEIRS]['median'] / times[STEP]['median']:.0f}×"
        rows.append([shape, kind, batch, code(str(recipe)), *cells, ratio])
    heads = ["model", "rows", "batch", "recipe", FORWARD, STEP, KERNEL, THEIRS, TORCH, FLOOR, "step is faster"]
    return "Median (p10 – p90); one thread.\n\n" + table(heads, rows) if rows else ""


def _end_to_end(results: Results) -> str:
    rows = []
    for (_, kind, batch), times in _of(results, "end to end"):
        cells = [_wide(times[name], "median") for name in (texts.OURS, texts.THEIRS, texts.GREEDY)]
        rows.append([kind, batch, *cells, f"{times[texts.THEIRS]['median'] / times[texts.OURS]['median']:.2f}×"])
    said = f"{SMALL}, one thread; the time of a step, in which each row gets a token: median (p10 – p90).\n\n"
    return said + table(["rows", "batch", texts.OURS, texts.THEIRS, texts.GREEDY, "faster"], rows) if rows else ""


def _starts(results: Results) -> str:
    rows = []
    for key, found in [*_of(results, "cold start"), *_of(results, "compiling")]:
        what = f"first byte of `logitherm generate`, {key[1]}" if len(key) > 1 else "compiling, in the background"
        rows += [
            [what, name, *(f"{times[q] / 1e6:.2f}" for q in ("median", "p10", "p90"))] for name, times in found.items()
        ]
    return (
        "Seconds, each in a new process.\n\n" + table(["what", "kernels", "median", "p10", "p90"], rows) if rows else ""
    )


def _playground(results: Results) -> str:
    rows = []
    for _, found in _of(results, "playground"):
        for name, promised, what in ((SLIDER, "≤ 100, p95 ≤ 200", "p95"), (READY, "≤ 2,000", "p90")):
            cells = [f"{found[name][q] / 1e3:,.0f}" for q in ("median", what)]
            rows.append([name, promised, cells[0], f"{cells[1]} ({what})"])
        rows.append(["page weight, KB", "≤ 300", f"{weight() / 1e3:.0f}", "–"])
    said = "In Chromium, milliseconds; the slider with five rules on the logits of GPT-2 (50,257 tokens).\n\n"
    return said + table(["what", "promised", "median", "spread"], rows) if rows else ""


def _memory(results: Results) -> str:
    rows = []
    for (_, size), found in _of(results, "memory"):
        sizes = [found["workspace"].get(name) for name in ("allocated", "resident")]
        cells = [f"{b / 2**20:.2f} MiB ({b / int(size):.1f} V)" if b is not None else "not measured" for b in sizes]
        rows.append([f"{size:,}", *cells])
    heads = ["V", "workspace, bytes allocated", "grown by the first steps of every recipe, resident"]
    return table(heads, rows) if rows else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def code(recipe: object) -> str:
    """A recipe in a cell of a table."""
    return f"`{recipe}`".replace("|", "\\|")


def _of(results: Results, part: str) -> list[tuple[Key, Found]]:
    return [(key, found) for key, found in results.items() if key[0] == part]


def _titled(title: str, text: str) -> list[str]:
    return [f"## {title}", text] if text else []


def _micros(times: Found, name: str) -> str:
    return _number(times[name]["median"]) if name in times else "–"


def _wide(found: dict[str, float], middle: str = "mean") -> str:
    return f"{_number(found[middle])} ({_number(found['p10'])} – {_number(found['p90'])})"


def _number(micros: float) -> str:
    return f"{micros:,.1f}" if micros < 1000 else f"{micros:,.0f}"
