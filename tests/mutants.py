"""Break the code in one place after another and demand that the tests notice: `make mutants`.

Each entry is a file, a piece of its text, what replaces it, and the test that must fail then. A law's test that has no
entry here has not been seen to fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "logitherm"


class Mutant(NamedTuple):
    """One break."""

    file: str
    old: str
    new: str
    test: str


HF = "tests/models/test_transformers_models.py::test_"
PLACES = "tests/models/test_places.py"
LONGEST = 600
"""Seconds that a test may take on broken code."""

LAWS = "tests/test_laws.py::test_law_"
KERNELS = "tests/kernels"
THEORY = "tests/theory/"
FLOORS, NARROW = "tests/kernels/test_floors.py", "tests/kernels/test_narrow.py"
ORDER = "tests/kernels/test_order.py::test_"
CARDS = "tests/kernels/test_gpu.py::test_"
IDLE, TRAPS, STEPS = (f"tests/remarks/test_{name}.py" for name in ("idle", "order", "steps"))
RESULTS = "tests/show/test_results.py"
MUTANTS = [
    # ruff: noqa: E501
    # law 1: one currency, float64, removed stays removed
    Mutant("arrays.py", "np.array(x, dtype=np.float64, order=\"C\")", "np.array(x)", LAWS + "1_logits_in_float64"),
    Mutant("arrays.py", 'x.detach().to(torch.float64, copy', 'x.detach().to(torch.float32, copy', LAWS + "1_the_dtype"),
    Mutant("rules/base.py", "return keep(logits, logits >= ", "return keep(at.raw + 0 * logits, at.raw >= ", LAWS + "1_logits"),
    # law 2: order is the recipe
    Mutant("sampler.py", "tuple(flat))", "tuple(sorted(flat, key=str)))", LAWS + "2_"),
    # law 3: neutral
    Mutant("rules/rank.py", "| (p >= 1)", "", LAWS + "3_"),
    Mutant("rules/threshold.py", "else NEG_INF", "else -700.0", LAWS + "3_"),
    # law 4: apply changes nothing
    Mutant(
        "rules/base.py",
        "        if cold is False:\n            return logits / t",
        "        if cold is False:\n            logits /= t\n            return logits",
        LAWS + "4_apply",
    ),
    Mutant("sampler.py", "        state = State.start(prompts, seed, rows)", "        state = State.start(prompts, None, rows)", LAWS + "4_a_"),
    # law 5: rows do not see each other
    Mutant("arrays.py", "xp.sum(xp.exp(shifted), axis=-1, keepdims=True)", "xp.sum(xp.exp(shifted))", "tests/test_state.py"),
    Mutant("rules/threshold.py", "return top(logits) +", "return top(logits).max() +", LAWS + "5_per_row"),
    Mutant("state.py", "self.seed[index] if seed is None", "self.seed[: len(index)] if seed is None", LAWS + "5_a_row"),
    Mutant("state.py", "np.concatenate([self.prompt, other.prompt])", "np.concatenate([self.prompt, other.prompt + 1])", LAWS + "5_"),
    Mutant("state.py", "for row in self.state.row.tolist()]", "for row in range(len(self.state))]", LAWS + "5_per_row"),
    Mutant("models/onnx.py", "counts - 1, [empty]", "counts * 0 + counts.max() - 1, [empty]", "tests/models/test_onnx.py"),
    # law 6: randomness is a function
    Mutant("rng.py", "ROUNDS = 10", "ROUNDS = 9", "tests/test_rng.py::test_known"),
    Mutant("rng.py", ">> 11) * 2.0**-53", ">> 12) * 2.0**-52", "tests/test_rng.py"),
    Mutant("rng.py", "position >> 32, lane & WORD", "position * 0, lane & WORD", LAWS + "6_"),
    Mutant("rng.py", "lane & WORD, lane >> 32", "0, 0", LAWS + "6_"),
    Mutant("state.py", "if seed is None and len(np.unique(index)) < len(index):", "if False:", LAWS + "6_copies"),
    Mutant("state.py", "secrets.randbits(32)", "12345", LAWS + "6_copies"),
    # law 7: the draw
    Mutant("draw.py", "running > target", "running >= target", LAWS + "7_"),
    Mutant("draw.py", "running[:, -1:]", "1.0", LAWS + "7_"),
    # laws 8 and 10: NumPy and torch
    Mutant("arrays.py", "descending=True", "descending=False", "tests/test_laws.py::test_laws_8"),
    # law 9: edges
    Mutant("rules/base.py", "SLACK = 1e-6", "SLACK = 0.0", "tests/test_golden.py"),
    Mutant("rules/rank.py", "before(w) < p", "before(w) + w < p", LAWS + "9_top_p"),
    Mutant("rules/rank.py", "min(k or size, size) - 1", "min(k or size, size)", LAWS + "9_"),
    Mutant("rules/base.py", "logits >= self.cutoff", "logits > self.cutoff", LAWS + "9_ties"),
    Mutant("arrays.py", "tied & (xp.cumsum(tied, axis=-1) == 1)", "tied", LAWS + "9_a_cold"),
    Mutant("rules/base.py", "GREEDY = 1e-6", "GREEDY = 1e-7", LAWS + "9_a_cold"),
    # law 11: refuse early
    Mutant("rules/base.py", "number != value or ", "", "tests/rules"),
    Mutant("rules/base.py", "isinstance(value, bool | str | bytes)", "isinstance(value, str)", LAWS + "11_"),
    Mutant("sampler.py", "if not np.isfinite(numpy(top(raw))).all():", "if False:", LAWS + "11_"),
    Mutant("sampler.py", "if not np.isfinite(numpy(top(final))).all():", "if False:", LAWS + "11_"),
    # law 12: import is cheap, every probability carries its stage
    Mutant("recipe.py", "import ast\n", "import ast\nimport rich\n", "tests/test_house.py::test_import"),
    Mutant("rng.py", "import hashlib\n", "import hashlib\nimport logitherm.draw\n", "tests/test_house.py::test_a_file"),
    Mutant("trace.py", "if total[text] > 1 else", "if total[text] > 9 else", "tests/test_trace.py"),
    # dynamic temperature
    Mutant("rules/dynamic.py", '"log_perplexity": entropy', '"log_perplexity": max_p', "tests/test_golden.py"),
    Mutant("rules/dynamic.py", "(n - 1) // 2", "n // 2", "tests/test_golden.py"),
    Mutant("rules/dynamic.py", "< 0.5) - 1", "< 0.4) - 1", "tests/rules"),
    Mutant("rules/dynamic.py", "deviation * deviation", "abs(deviation)", "tests/test_golden.py"),
    Mutant("rules/dynamic.py", 'at.raw if self.of == "raw"', 'at.raw if self.of == "kept"', "tests/rules"),
    Mutant("rules/dynamic.py", "xp.maximum(t, low)", "t", "tests/rules"),
    Mutant("rules/dynamic.py", "xp.minimum(xp.maximum(t, low), high)", "xp.maximum(t, low)", "tests/rules"),
    Mutant("rules/dynamic.py", "count(xp.isfinite(logits))", "count(logits == logits)", "tests/rules"),
    Mutant("rules/dynamic.py", "memory[:, 1:]", "memory[:, :-1]", "tests/rules"),
    Mutant("rules/dynamic.py", "np.minimum(-step.raw_logprobs, MOST_SURPRISED)", "-step.raw_logprobs", "tests/rules"),
    # cutoffs and shapes
    Mutant("rules/probability_floor.py", "return namespace(logits).minimum(cutoff, top(logits))", "return cutoff", "tests/rules/test_probability_floor.py"),
    Mutant("rules/probability_floor.py", "math.log(fraction * (1 - SLACK))", "math.log(fraction)", "tests/rules/test_probability_floor.py"),
    Mutant("rules/probability_floor.py", "log_of(math.sqrt(e))) - entropy(logits)", "log_of(math.sqrt(e))) + entropy(logits)", "tests/rules/test_probability_floor.py"),
    Mutant("rules/probability_floor.py", "log_of(math.sqrt(e))", "log_of(e)", "tests/rules/test_probability_floor.py"),
    Mutant("rules/probability_floor.py", "top(logits) - namespace(logits).log(total(logits)) +", "top(logits) +", "tests/rules/test_probability_floor.py"),
    Mutant("rules/probability_floor.py", "flat = (p * xp.exp(entropy(logits))) ** 2", "flat = p * xp.exp(entropy(logits))", "tests/rules/test_critical_cutoffs.py"),
    Mutant("rules/collision.py", "collision(logits) * (1 - SLACK))\n\n    def critical", "collision(logits))\n\n    def critical", "tests/rules/test_probability_floor.py"),
    Mutant("rules/collision.py", "(n * collision(logits) - 1 / largest)", "(n * collision(logits) - 1)", "tests/rules/test_probability_floor.py"),
    Mutant("rules/collision.py", "count(xp.isfinite(logits))", "count(logits == logits)", "tests/rules/test_probability_floor.py"),
    Mutant("rules/logit_gap.py", "    n = count(alive)\n    gap", "    n = count(alive) - 1\n    gap", "tests/rules/test_logit_gap.py"),
    Mutant("rules/logit_gap.py", "away = keep(gap -", "away = (gap -", "tests/rules/test_logit_gap.py"),
    Mutant("rules/logit_gap.py", "drop / xp.cumsum(xp.ones_like(drop), axis=-1)", "drop", "tests/rules/test_logit_gap.py"),
    Mutant("rules/logit_gap.py", "heaviest * (1 - SLACK)", "heaviest", "tests/rules/test_logit_gap.py"),
    Mutant("rules/logit_gap.py", "xp.floor(tau * (1 + SLACK)", "xp.floor(0 * (1 + SLACK)", "tests/rules/test_logit_gap.py"),
    Mutant("rules/logit_gap.py", "return keep(rank * spread", "return keep(rank", "tests/rules/test_critical_cutoffs.py"),
    Mutant("rules/entropy_bound.py", "xp.log1p(others) -", "0 * others -", "tests/rules/test_shapes.py"),
    Mutant("rules/entropy_bound.py", "(h <= alpha", "(h < 0.99 * alpha", "tests/rules/test_shapes.py"),
    Mutant("rules/entropy_bound.py", "rank > 0, 0.0)", "rank > 1, 0.0)", "tests/rules/test_critical_cutoffs.py"),
    Mutant("rules/tail_free.py", "2 * p[:, 1:]", "p[:, 1:]", "tests/rules/test_shapes.py"),
    Mutant("rules/tail_free.py", "(rank < n) | short", "(rank <= n) | short", "tests/rules/test_tail_free.py"),
    Mutant("rules/tail_free.py", "STRAIGHT = 1e-6", "STRAIGHT = 0.0", "tests/rules/test_shapes.py"),
    Mutant("rules/typical.py", "log_softmax(logits) + entropy(logits)", "log_softmax(logits)", "tests/rules/test_shapes.py"),
    Mutant("rules/typical.py", "before(w) < p * (1 - SLACK)", "before(w) + w < p * (1 - SLACK)", "tests/rules/test_shapes.py"),
    Mutant("rules/exclude_top.py", "reach & (logits > least)", "reach & (logits >= least)", "tests/rules/test_exclude_top.py"),
    Mutant("rules/exclude_top.py", "~gone | spared", "~gone", "tests/rules/test_exclude_top.py"),
    Mutant("rules/exclude_top.py", "at.uniform() < at", "at.uniform() > at", "tests/rules/test_exclude_top.py"),
    Mutant("rules/exclude_top.py", "[*line, *vocabulary.eos]", "[*vocabulary.eos]", "tests/rules/test_exclude_top.py"),
    Mutant("rules/quadratic.py", "(3 - curve) / 2 +", "(3 - curve) +", "tests/rules/test_shapes.py"),
    Mutant("rules/quadratic.py", "bent = top(logits) -", "bent = top(logits).max() -", "tests/rules/test_shapes.py"),
    Mutant("rules/greedy_threshold.py", "xp.where(unsure, greedy(logits), logits)", "xp.where(unsure, logits, greedy(logits))", "tests/rules/test_shapes.py"),
    Mutant("rules/greedy_threshold.py", "* (1 - SLACK)", "* (1 + SLACK)", "tests/rules/test_shapes.py"),
    Mutant("rules/budget.py", "return wanted + stay - out, beta", "return wanted - stay - out, beta", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "xp.log(mass) + beta * most", "xp.log(mass)", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "TopP(self.p).cutoff", "TopP(0.9).cutoff", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "s * mean - most - xp.log(mass)", "s * mean - xp.log(mass)", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "away = added - mean", "away = added", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", ">= -NEAR", ">= 9", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "xp.where(nowhere, zero, one), nowhere", "one, nowhere", "tests/rules/test_budget.py"),
    Mutant("rules/budget.py", "keep(log_softmax(at.raw), alive)", "log_softmax(keep(at.raw, alive))", "tests/rules/test_budget.py"),
    Mutant("rules/conformal.py", "entropy(logits) >= like(self.edges", "entropy(logits) < like(self.edges", "tests/rules/test_conformal.py"),
    Mutant("rules/conformal.py", "rows > own, 0.0)", "rows >= own, 0.0)", "tests/rules/test_conformal.py"),
    Mutant("rules/conformal.py", "(len(masses) + 1) * coverage", "len(masses) * coverage", "tests/rules/test_conformal.py"),
    Mutant("rules/conformal.py", "ceil(mass * STEPS + 2)", "ceil(mass * STEPS)", "tests/rules/test_conformal.py"),
    Mutant("rules/conformal.py", "xp.isfinite(own), inf)", "xp.isfinite(own), 1.0)", "tests/rules/test_conformal.py"),
    Mutant("rules/entropy_bound.py", "FIRST = 100", "FIRST = 99", "tests/test_transformers_cuts.py"),
    Mutant("rules/entropy_bound.py", "keep(part, part < inf, 2.0)", "part", "tests/rules/test_critical_cutoffs.py"),
    Mutant("rules/typical.py", "furthest + TIED", "furthest", "tests/rules/test_shapes.py"),
    Mutant("rules/tail_free.py", "<= z + SLACK", "<= z", "tests/rules/test_shapes.py"),
    Mutant("rules/mirostat.py", "mu * (1 + SLACK)", "mu", "tests/rules/test_mirostat.py"),
    Mutant("rules/dynamic.py", "if isinstance(self.window, tuple):", "if False:", "tests/rules/test_temperature.py"),
    # masks from outside, guidance, speculation
    Mutant("rules/masked.py", "self._matcher.after(token), tokens)", "self._matcher, tokens)", "tests/rules/test_grammar.py"),
    Mutant("rules/masked.py", "self._matcher.ends())", "True)", "tests/rules/test_grammar.py"),
    Mutant("rules/masked.py", "or not self.mask[token]:", "or False:", "tests/rules/test_grammar.py"),
    Mutant("rules/masked.py", "return Place(self._rule, None, tokens, self.wrong)", "return self._rule.first", "tests/rules/test_grammar.py"),
    Mutant("rules/masked.py", "places[:] = [place.after(token) for place, token in zip(memory, step", "places[:] = [memory[0].after(token) for place, token in zip(memory, step", "tests/rules/test_grammar.py"),
    Mutant("rules/masked.py", 'if name != "first"', "", "tests/rules/test_grammar.py"),
    Mutant("rules/engines.py", "copy = self.matcher.deep_copy()", "copy = self.matcher", "tests/rules/test_grammar.py"),
    Mutant("rules/engines.py", "fork = self.matcher.fork()", "fork = self.matcher", "tests/rules/test_grammar.py"),
    Mutant("models/onnx_cache.py", "fits = len(ends) <= self.array.shape[1]", "fits = True", "tests/models/test_places.py::test_a_row_may"),
    Mutant("models/key_values.py", " and len(slots) <= len(self.tensors[0])", "", "tests/models/test_places.py::test_a_row_may"),
    Mutant("models/guidance.py", "theirs + self._scale * (ours - theirs)", "ours + self._scale * (ours - theirs)", "tests/models/test_guidance.py"),
    Mutant("models/guidance.py", "if self._scale == 1:", "if False:", "tests/models/test_guidance.py"),
    Mutant("models/guidance.py", "log_softmax(first), log_softmax(second)", "first, second", "tests/models/test_guidance.py"),
    Mutant("models/guidance.py", "self.second.crop(behind)", "self.second.crop(cut)", "tests/models/test_guidance.py"),
    Mutant("models/guidance.py", ", first != -inf)", ", first == first)", "tests/models/test_guidance.py"),
    Mutant("models/guidance.py", "self._alpha * (1 - SLACK)", "self._alpha * (1 + SLACK)", "tests/models/test_guidance.py"),
    Mutant("generation/speculative.py", "coins[k] * q[tokens[k]] < p[k, tokens[k]]", "coins[k] * q[tokens[k]] < 1.2 * p[k, tokens[k]]", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "draw(np.log(rest)[None]", "draw(np.log(p[k])[None]", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "state.position, number) for number in (ACCEPT, REPLACE)", "state.position, number) for number in (ACCEPT, ACCEPT)", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "uniform(fork.seed, fork.position))", "uniform(fork.seed, fork.position, ACCEPT))", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "cache.crop((seen + own).tolist())", "cache", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "counts[place] > i + 1]", "counts[place] > i]", "tests/generation/test_speculative.py"),
    Mutant("generation/speculative.py", "np.minimum(lengths, self._draft.context) - 1", "lengths - 1", "tests/generation/test_speculative.py"),
    # critical values and the trace
    Mutant("rules/rank.py", "gather(logits, token)) + 1", "gather(logits, token))", "tests/test_trace.py"),
    Mutant("rules/rank.py", "/ (1 - SLACK)", "* 1.0", "tests/test_trace.py"),
    Mutant("rules/threshold.py", "gather(weights(logits), token)", "gather(weights(logits), token) * 1.001", "tests/test_trace.py"),
    Mutant("critical.py", "side = keeps[0] if now", "side = keeps[1] if now", "tests/test_trace.py"),
    Mutant("critical.py", "GRID = 40", "GRID = 2", "tests/test_trace.py"),
    Mutant("critical.py", "if setting == off:", "if False:", "tests/test_trace.py"),
    Mutant("critical.py", "TIGHT, LONGEST = 1e-13", "TIGHT, LONGEST = 1e-6", "tests/test_trace.py"),
    Mutant("trace.py", "p[:drawn].sum()", "p[: drawn + 1].sum()", "tests/test_trace.py"),
    # drawings
    Mutant("show/html.py", "escape(printable(c), quote=False)", "printable(c)", "tests/show/test_html.py"),
    Mutant("show/html.py", "escape(printable(str(value)))", "escape(str(value))", "tests/show/test_html.py"),
    Mutant("show/html.py", "visible(text, token_id)", "f'“{text}”'", "tests/show/test_html.py::test_hostile"),
    Mutant("show/html_trace.py", "if remover and here[\"logit\"] is None", "if False", "tests/show/test_html.py::test_a_trace"),
    Mutant("show/html_text.py", "figure_cell(t[\"raw_p\"], t[\"raw_p\"])", "figure_cell(t[\"final_p\"], 0)", "tests/show/test_html.py::test_a_text"),
    Mutant("show/style.css", "--faint: #59636e", "--faint: #8c959f", "tests/show/test_html.py::test_every_colour"),
    Mutant("show/style.css", ".logitherm table {", "table {", "tests/show/test_html.py::test_the_style"),
    Mutant("show/figure_bars.py", "axes.barh(place, p, 0.7", "axes.barh(place, p * 0.99, 0.7", "tests/show/test_figure.py"),
    Mutant("show/figure_bars.py", "gone.index(True) - 0.5", "gone.index(True) + 0.5", "tests/show/test_figure.py"),
    Mutant("show/figure_text.py", "below[place] += height", "pass", "tests/show/test_figure.py::test_the_figure"),
    Mutant("show/figure.py", "if ord(c) in known else", "if True else", "tests/show/test_figure.py"),
    Mutant("show/figure.py", '"text.parse_math", "text.usetex"', '"text.usetex",', "tests/show/test_figure.py::test_hostile"),
    Mutant("show/figure.py", "axis.set_ticks(", "str(", "tests/show/test_figure.py::test_a_users"),
    # every result shows itself
    Mutant("recording/replay.py", "class Replay(Printed, Drawn)", "class Replay(Printed)", RESULTS),
    Mutant("show/table.py", ", force_terminal=False", "", RESULTS),
    Mutant("show/html_replay.py", 'figure_cell(t["p"], t["p"])', 'figure_cell(t["old_p"], t["p"])', RESULTS),
    Mutant("show/html_remarks.py", 'if remark["kind"] == "note"', "if True", RESULTS),
    Mutant("show/html_lists.py", 'tag("td", f["message"]', 'tag("td", f["what"]', RESULTS),
    Mutant("show/figure_replay.py", 'if (tokens[i]["drawn"] != tokens[i]["id"]) == parts', 'if (tokens[i]["fate"] == "impossible") == parts', RESULTS),
    Mutant("show/figure_shares.py", 'r["alone"] / steps', 'r["acted"] / steps', RESULTS),
    Mutant("show/figure_shares.py", '(f["token"], f["text"])', '(f["token"] - 1, f["text"])', RESULTS),
    Mutant("recording/form.py", "@dataclass(frozen=True, repr=False)\nclass Recording", "@dataclass(frozen=True)\nclass Recording", RESULTS),
    Mutant("paths.py", "not path.parent.is_dir()", "False", "tests/cli/test_output.py"),
    Mutant("trace.py", "(final >= cutoff) & np.isfinite(final)", "final >= cutoff", "tests/generation"),
    Mutant("trace.py", "np.argsort(-final[ids], kind=\"stable\")", "np.argsort(-ids)", "tests/generation"),
    # statistics
    Mutant("rng.py", "* 2.0**-53\n", "* 2.0**-53 * 0.9\n", "tests/test_statistics.py"),
    # states and buffers
    Mutant("ragged.py", "and bool((self.written.lengths == self.lengths).all())", "", "tests/test_state.py"),
    Mutant("ragged.py", "self.written.lengths[:] = lengths", "pass", "tests/test_state.py"),
    Mutant("sampler.py", "lanes.append(lane(f\"{rule.name}#{seen[rule.name]}\"))", "lanes.append(0)", LAWS + "6_every"),
    Mutant("sampler.py", "#{seen[rule.name]}", "#1", LAWS + "6_every"),
    Mutant("state.py", "self.state.position, self.lane)", "self.state.position, 0)", LAWS + "6_every"),
    Mutant("arrays.py", ", order=\"C\")", ")", LAWS + "5_the_memory"),
    Mutant("sampler.py", "raw.flags.writeable = False", "pass", "tests/test_state.py"),
    # rules that look back
    Mutant("rules/penalties.py", "logits > 0, logits / r", "logits > 1, logits / r", "tests/rules"),
    Mutant("rules/penalties.py", '"output": tokens[begun:]', '"output": tokens', "tests/rules"),
    Mutant("rules/penalties.py", "1 - (age - window) / decay", "1 - (age - window + 1) / decay", "tests/rules/test_penalties.py"),
    Mutant("rules/penalties.py", "(age < window).astype", "(age <= window).astype", "tests/rules/test_penalties.py"),
    Mutant("rules/penalties.py", "age < n - n // 2", "age < n // 2", "tests/rules/test_penalties.py"),
    Mutant("rules/penalties.py", "np.where(age < window, x, -1.0)", "x", "tests/rules/test_penalties.py"),
    Mutant("rules/penalties.py", "np.arange(len(seen))[::-1]", "np.arange(len(seen))", "tests/rules/test_penalties.py"),
    Mutant("rules/penalties.py", "self.past(logits, at, summed=True)", "self.past(logits, at)", "tests/rules/test_penalties.py"),
    Mutant("told.py", "rule.plain for rule", "True for rule", "tests/kernels/test_edits.py::test_a_penalty"),
    Mutant("rules/repeats.py", "runs[:, :-1]", "runs[:, 1:]", "tests/rules"),
    Mutant("rules/constrain.py", "np.add.at(amounts, ids, [amount", "np.put(amounts, ids, [amount", "tests/rules"),
    Mutant("rules/constrain.py", "at.state.position < n", "at.state.position <= n", "tests/rules"),
    # feedback
    Mutant("rules/memory.py", "history.lengths - 1", "history.lengths - 0", "tests/rules"),
    Mutant("sampler.py", "if at.memory is memory", "", "tests/rules/test_adaptive.py"),
    Mutant("rules/mirostat.py", "step.raw_logprobs if self.surprise ==", "step.raw_logprobs if self.surprise !=", "tests/rules"),
    Mutant("rules/mirostat.py", "np.isfinite(surprise) & np.isfinite(tau)", "np.isfinite(tau)", "tests/rules"),
    Mutant("rules/mirostat.py", "(places + 1) / places", "(places + 2) / (places + 1)", "tests/rules"),
    Mutant("rules/mirostat.py", "| (logits == top(logits))", "", "tests/rules"),
    Mutant("rules/adaptive.py", "step.received(memory)", "step.raw", "tests/rules/test_adaptive.py"),
    Mutant("rules/adaptive.py", "target)) - sums[:, 0] / sums[:, 1], 0.0, 1.0)", "target)) - sums[:, 0] / sums[:, 1], 0.0, 9.0)", "tests/rules"),
    Mutant("rules/entropy_rate.py", "np.stack([np.clip(wanted, low, high), held", "np.stack([wanted, held", "tests/rules"),
    Mutant("rules/entropy_rate.py", 'if self.of == "final":', 'if self.of == "raw":', "tests/rules"),
    # the theory
    Mutant("rules/dynamic.py", "softmax(logits) * deviation * deviation", "softmax(logits) * xp.abs(deviation)", THEORY + "test_entropy.py::test_entropy_rises"),
    Mutant("rules/temperature.py", "        return at.column(self.t)", "        return at.column(self.t) * 1.001", THEORY + "test_distances.py::test_the_numbers"),
    Mutant("rules/collision.py", "xp.sum(w * w, axis=-1, keepdims=True)", "xp.sum(w * w * w, axis=-1, keepdims=True)", THEORY + "test_entropy.py::test_entropy_lies"),
    Mutant("rules/root.py", "xp.abs(error) < slope * (high - low)", "slope > 0", THEORY + "test_solver.py::test_newton_alone"),
    Mutant("rules/target.py", "/ mass - mean * mean", "/ mass", THEORY + "test_solver.py::test_about_seven"),
    Mutant("rules/root.py", "(low + high) / 2)", "low + (high - low) / 50)", THEORY + "test_solver.py::test_the_hardest"),
    Mutant("rules/dynamic.py", 'source = at.raw if self.of == "raw" else logits', "source = logits", THEORY + "test_invariances.py::test_each"),
    Mutant("rules/dynamic.py", "    n = count(xp.isfinite(logits))\n    return entropy", "    n = count(logits == logits)\n    return entropy", THEORY + "test_invariances.py::test_each"),
    Mutant("rules/mirostat.py", "size = log(max(2, logits.shape[-1]))", "size = log(max(2, int(n.max())))", THEORY + "test_invariances.py::test_each"),
    Mutant("rules/quadratic.py", "factor * d * d * ((3", "factor * d * abs(top(logits)) * ((3", THEORY + "test_invariances.py::test_each"),
    Mutant("rules/penalties.py", "logits > 0, logits / r", "logits > 1, logits / r", THEORY + "test_invariances.py::test_each"),
    Mutant("rules/quadratic.py", "xp.where(alive & (factor > 0), bent", "xp.where(alive | (factor > 0), bent", THEORY + "test_free_energy.py::test_the_identity"),
    Mutant("rules/dynamic.py", '"entropy": entropy,', '"entropy": varentropy,', THEORY + "test_free_energy.py::test_dynamic"),
    Mutant("rules/base.py", "return keep(logits, logits >= self.cutoff(logits, at))", "return keep(logits, logits >= self.cutoff(logits, at)) * 1.01", THEORY + "test_distances.py"),
    Mutant("rules/threshold.py", "math.log(p * (1 - SLACK))", "p * (1 - SLACK) - 1", THEORY + "test_order.py::test_min_p"),
    Mutant("rules/entropy_rate.py", "entropy(step.raw / like(t, step.raw)[:, None])", "entropy(step.raw)", THEORY + "test_feedback.py::test_an_error"),
    Mutant("rules/entropy_rate.py", "np.stack([np.clip(wanted, low, high), held", "np.stack([wanted, held", THEORY + "test_feedback.py::test_at_a_bound"),
    Mutant("rules/mirostat.py", "mu - eta * error", "mu - 0.9 * eta * error", THEORY + "test_feedback.py::test_mirostat_winds"),
    Mutant("rules/mirostat.py", "np.where(learns, tau, 0.0)", "np.where(learns, tau + 0.2, 0.0)", THEORY + "test_feedback.py::test_mirostat_is_stable"),
    Mutant("rules/adaptive.py", "np.clip(2 * np.asarray(at.values(self.target)) -", "np.clip(3 * np.asarray(at.values(self.target)) -", THEORY + "test_feedback.py::test_adaptive_p_keeps"),
    Mutant("rules/target.py", "return solve(logits, at.column(self.h))", "return solve(logits, 0.9 * entropy(logits))", THEORY + "test_fixed_points.py::test_a_target"),
    # runs, ends, repeats
    Mutant("rules/sequences.py", "tokens[max(0, len(tokens) - max(map(len, runs))) :]", "tokens[len(tokens) - max(map(len, runs)) :]", "tests/rules"),
    Mutant("rules/sequences.py", "amounts[row, runs[i][-1]] +=", "amounts[row, runs[i][-1]] =", "tests/rules"),
    Mutant("rules/sequences.py", "last[len(last) - len(r) + 1 :] == r[:-1]", "last[: len(r) - 1] == r[:-1]", "tests/rules"),
    Mutant("rules/constrain.py", "        if not self.ids:\n            raise", "        if False:\n            raise", "tests/rules"),
    Mutant("rules/length.py", "at.state.position >= n - 1", "at.state.position >= n", "tests/rules"),
    Mutant("rules/length.py", "xp.abs(finite) * (grown - 1)", "finite * (grown - 1)", "tests/rules"),
    Mutant("rules/length.py", "at.values(self.factor), dtype=np.float64) ** over, MOST)", "at.values(self.factor), dtype=np.float64) ** over, np.inf)", "tests/rules"),
    Mutant("rules/dry.py", "max(0, min(lengths[k - left], right - k))", "0", "tests/rules/test_dry.py"),
    Mutant("rules/dry.py", "return i - max(ended)", "return i - min(ended)", "tests/rules/test_dry.py"),
    Mutant("rules/dry.py", "if () not in breakers.get(token, ())", "", "tests/rules/test_dry.py"),
    Mutant("rules/dry.py", "min(length - allowed, most)", "(length - allowed)", "tests/rules/test_dry.py"),
    Mutant("rules/dry.py", "[start:][:MOST_TOKENS]", "[:MOST_TOKENS]", "tests/rules/test_dry.py"),
    Mutant("schedule.py", "if position >= self.steps:", "if position > self.steps + 1:", "tests/rules"),
    # texts
    Mutant("generation/detokenise.py", 'getincrementaldecoder("utf-8")', 'getincrementaldecoder("latin-1")', "tests/generation"),
    Mutant("generation/stop.py", "min(ends, key=lambda e: e[0])", "max(ends, key=lambda e: e[0])", "tests/generation"),
    Mutant("generation/stop.py", "sorted(strings, key=len, reverse=True)", "sorted(strings, key=len)", "tests/generation"),
    Mutant("generation/stop.py", "range(1, len(s))", "range(2, len(s))", "tests/generation"),
    Mutant("generation/batch.py", "tokens = tokens[self._places(done)]", "tokens = tokens[: len(tokens) - len(done)]", "tests/generation"),
    Mutant("generation/batch.py", "state = self._waiting.take(new)", "state = self._waiting.take(new, seed=0)", "tests/generation"),
    Mutant("generation/batch.py", "next(last) if self.rows[place] in gone else place", "stay[place]", "tests/generation"),
    Mutant("generation/batch.py", "places)], cache.take(places)", "places)], cache.take(places[::-1])", "tests/generation"),
    Mutant("generation/loop.py", "in sorted(zip(rows, drawn, strict=True), key=itemgetter(0)):", "in zip(rows, drawn, strict=True):", "tests/generation"),
    Mutant("generation/loop.py", "+ count > self._model.context", "+ count > self._model.context + 1", "tests/generation"),
    # comparisons
    Mutant("comparison.py", "if not np.isfinite(q[kept]).all():", "if False:", "tests/test_comparison.py"),
    Mutant("comparison.py", "_kl(this, first),", "_kl(first, this),", "tests/test_comparison.py"),
    Mutant("comparison.py", ".sum() / 2),", ".sum()),", "tests/test_comparison.py"),
    Mutant("comparison.py", "if x != y), min", "if x == y), min", "tests/test_comparison.py"),
    Mutant("generation/measures.py", "1 - different", "different", "tests/test_comparison.py"),
    Mutant("generation/measures.py", "half = quantile(len(values) - 1) *", "half = 1.6 *", "tests/test_comparison.py"),
    Mutant("vary.py", "arguments | {parameter or fields(old)[0].name: value}", "{parameter or fields(old)[0].name: value}", "tests/test_comparison.py"),
    # trace files
    Mutant("recording/logits.py", 'kind = "float32" if', 'kind = "float32" if True or', "tests/recording"),
    Mutant("recording/logits.py", "np.argsort(-row, kind=\"stable\")[:top], token", "np.argsort(-row, kind=\"stable\")[:top], 0", "tests/recording"),
    Mutant("recording/logits.py", "float(mass) - float(np.log(count))", "float(mass)", "tests/recording"),
    Mutant("recording/form.py", "(before + text)", "(text)", "tests/recording"),
    Mutant("recording/reading.py", "stated == digest_of(content, before)", "True", "tests/recording"),
    Mutant("recording/verify.py", "if entry.u != u:", "if False:", "tests/recording"),
    Mutant("recording/verify.py", "if drawn != entry.token:", "if False:", "tests/recording"),
    Mutant("recording/verify.py", "if entry.position != position:", "if False:", "tests/recording"),
    Mutant("recording/form.py", "state, [entry.token]).state", "state, [0]).state", "tests/recording"),
    Mutant("recording/verify.py", "not abs(p - stored) <= CLOSE", "False", "tests/recording"),
    Mutant("recording/writer.py", "self._file.flush()", "pass", "tests/recording"),
    Mutant("recording/writer.py", "if int(step.tokens[0]) == token and", "if", "tests/recording"),
    Mutant("recording/writer.py", "self._top = top if all(memory is None for memory in start.memory) else None", "self._top = top", "tests/recording"),
    Mutant("recording/replay.py", "if log_p == NEG_INF:", "if False:", "tests/recording"),
    # kernels; the first two make them trust float32
    Mutant("kernels/cpu/rows.py", "near > doubt", "True", KERNELS),
    Mutant("kernels/cpu/candidates.py", "near = target - before < slack or running - target < slack", "near = False", KERNELS),
    Mutant("kernels/cpu/weights.py", "low = np.float32(scale * 2**PART - np.float64(high))", "low = np.float32(0.0)", KERNELS),
    Mutant("kernels/cpu/weights.py", "POWERS32 = [float(np.float32(c)) for c in _fit(6)]", "POWERS32 = [float(np.float32(c)) for c in _fit(4)]", KERNELS),
    Mutant("kernels/cpu/rows.py", "tail[i - full * CHUNK] = row[i]", "pass", KERNELS),
    Mutant("kernels/cpu/rows.py", "not bad and top < np.inf", "top < np.inf", KERNELS),
    Mutant("kernels/cpu/largest.py", "return keep(values, ids, n, nth_largest(scratch, n, k))", "return keep(values, ids, n, nth_largest(scratch, n, k + 1))", KERNELS),
    Mutant("kernels/cpu/chain.py", "            if came == FINE and own <= COLDEST:", "            if False:", KERNELS),
    Mutant("kernels/cpu/chain.py", "if np.float64(near) < limit else near", "if False else near", KERNELS),
    Mutant("kernels/cpu/coins.py", "c0, c1, c2, c3 = position & LOW, position >> HALF", "c0, c1, c2, c3 = position & LOW, np.uint64(0)", KERNELS),
    Mutant("kernels/cpu/statistics.py", "second / mass / t / t - mean * mean", "second / mass / t / t", KERNELS),
    Mutant("told.py", "value(rule.p) * (1 - SLACK)]) if value(rule.p) < 1", "value(rule.p)]) if value(rule.p) < 1", KERNELS),
    Mutant("told.py", 'entry[1 + OF] = getattr(rule, "of", "kept") == "raw"', "pass", KERNELS),
    Mutant("kernels/cpu/rows.py", "    if slip == 0.0 or less <= 0.0:\n        return 0.0\n", "    return 0.0\n", KERNELS),
    Mutant("kernels/cpu/rows.py", "math.log(n / (less * mass))", "math.log(n / mass)", KERNELS),
    Mutant("kernels/cpu/first.py", "(ROUGH_SUM * stray - GAP_SUM * gap) / t", "0.0", KERNELS),
    Mutant("kernels/cpu/first.py", "mean = weighted((maxima, sums), sixteens, ()) / mass + gap", "mean = weighted((maxima, sums), sixteens, ()) / mass", KERNELS),
    Mutant("kernels/cpu/candidates.py", "certain = slip == 0.0 or ", "certain = True or ", KERNELS),
    Mutant("kernels/cpu/edits.py", "drawn[e] += j >= begun", "drawn[e] += 1", KERNELS),
    Mutant("kernels/cpu/edits.py", "if same and last < size:", "if last < size:", KERNELS),
    Mutant("kernels/cpu/edits.py", "if len(past) - begun < now[2]:", "if True:", KERNELS),
    Mutant("kernels/cpu/edits.py", "    return many > others", "    return False", KERNELS),
    Mutant("kernels/cpu/edits.py", "            work.weights[low] += work.more[e]", "            pass", KERNELS),
    Mutant("kernels/cpu/edits.py", "            work.sums[work.edited[e] // CHUNK] += work.more[e]", "            pass", KERNELS),
    Mutant("kernels/cpu/rows.py", "            buffer[work.edited[e] % CHUNK] += work.more[e]", "            pass", KERNELS),
    Mutant("kernels/cpu/edits.py", "> MOST:", "> 1e300:", KERNELS),
    Mutant("kernels/cpu/calls.py", "marked = mark(row)  # ", "marked = 0.0  # ", KERNELS),
    Mutant("kernels/cpu/floors.py", "above = now[0] - math.log(z)", "above = now[0] + math.log(z)", FLOORS),
    Mutant("kernels/cpu/floors.py", "min(now[0], now[1] - entropy)", "now[1] - entropy", FLOORS),
    Mutant("kernels/cpu/floors.py", "DOUBT = 1.01 * ROUGH_SUM", "DOUBT = 0.0", FLOORS),
    Mutant("kernels/cpu/floors.py", "n, top, 0.5 * t, False, exact)", "n, top, t, False, exact)", FLOORS),
    Mutant("kernels/cpu/floors.py", "if left <= 1 or floor + off <= 0.0:", "if left <= 1:", FLOORS),
    Mutant("kernels/cpu/floors.py", "if off >= 0.5 * floor:", "if False:", FLOORS),
    Mutant("kernels/cpu/floors.py", "_, away, squares = _strewn(row, work, chunks, n, mean)", "_, away, squares = _strewn(row, work, chunks, n, top)", FLOORS),
    Mutant("kernels/cpu/order.py", "or (np.float64(work.spare[m - 1]) - bottom) / m <= heaviest:", "or True:", FLOORS),
    Mutant("kernels/cpu/order.py", "place = max(place, int(fewest))", "pass", FLOORS),
    Mutant("kernels/cpu/order.py", "    if n < 0 and place > m:", "    if False:", FLOORS),
    Mutant("kernels/cpu/order.py", "if chunk < full else lowest(tail, 0, ())", "if chunk < full else most", FLOORS),
    Mutant("kernels/cpu/order.py", "least + 2.0 * w[m - 2]", "least", ORDER + "the_bends"),
    Mutant("kernels/cpu/order.py", "work.spare[m - 2]), 0.0", "work.spare[m - 1]), 0.0", ORDER + "the_last_place"),
    Mutant("kernels/cpu/order.py", "if m < 3:", "if m < 2:", ORDER + "the_last_place"),
    Mutant("kernels/cpu/order.py", "if reached > bound - off:", "if False:", ORDER + "a_bound"),
    Mutant("kernels/cpu/order.py", "some, unit = min(m, HUNDRED)", "some, unit = m", ORDER + "ties"),
    Mutant("kernels/cpu/order.py", "DIGITS * alpha * whole + ZERO", "0.0", ORDER + "a_bound"),
    Mutant("kernels/cpu/floors.py", "if abs(entropy - edge) <= off:", "if False:", ORDER + "an_entropy"),
    Mutant("kernels/cpu/floors.py", "off, place = doubt + EXACT_SUM * (1.0 + entropy), 0", "off, place = 0.0, 0", ORDER + "an_entropy"),
    Mutant("kernels/cpu/chain.py", "if came != FINE or p == 1.0:", "if came != FINE:", ORDER + "a_range"),
    Mutant("kernels/cpu/largest.py", "elif k < row.shape[0] // 4:", "elif False:", ORDER + "a_place"),
    Mutant("kernels/cpu/largest.py", "if not (many >= k and low >= LOWEST):", "if False:", ORDER + "first_k"),
    Mutant("kernels/cpu/largest.py", "if some >= k:", "if some >= k - 1:", ORDER + "first_k"),
    Mutant("told.py", "all(len(rule.p) <= RANGES", "all(True", ORDER + "ranges"),
    Mutant("kernels/cpu/chain.py", "if slip > 0.0 and kind != TOP_N_SIGMA:", "if False:", FLOORS),
    Mutant("kernels/cpu/chain.py", "        if len(work.edited):\n            return ASK, cut, n", "        pass", FLOORS),
    Mutant("kernels/cpu/chain.py", "seen = seen if kind == MIN_P else NOT_YET", "seen = seen", FLOORS),
    Mutant("kernels/cpu/narrow.py", "moved_as * 2.0**112", "moved_as * 2.0**111", NARROW),
    Mutant("kernels/cpu/narrow.py", "sized = b.select(endless, ", "sized = b.select(b.not_(endless), ", NARROW),
    Mutant("kernels/cpu/narrow.py", "        from_float16((narrow[size - WIDTH :], row[size - WIDTH :]), 1, ())\n", "", NARROW),
    Mutant("kernels/cpu/narrow.py", "sized = b.select(denormal, ", "sized = b.select(b.not_(denormal), ", NARROW),
    Mutant("told.py", "and not (head and any(", "and not (False and any(", FLOORS),
    Mutant("kernels/cpu/chain.py", "if not (COLDEST_RUN < t < HOTTEST_RUN and ", "if not (t > 0.0 and ", FLOORS),
    Mutant("kernels/given.py", "if not (flags.c_contiguous and flags.aligned):", "if False:", NARROW),
    Mutant("told.py", "known = CUT.keys() if exact else CUT.keys() - DYNAMIC.keys() - FLOORS.keys()", "known = CUT.keys()", FLOORS),
    Mutant("kernels/cpu/calls.py", "and written[i] == lengths[i]", "", KERNELS),
    Mutant("kernels/cpu/calls.py", "lengths[i] < history.shape[1] and ", "", KERNELS),
    Mutant("sampler.py", "if moved.any() or not (np.abs(found - log_ps) < REMEMBERED * (1.0 - found)).all():", "if False:", KERNELS),
    # recipes
    Mutant("recipe.py", '"vllm": (Temperature, MinP, TopK, TopP)', '"vllm": (Temperature, TopK, TopP, MinP)', "tests/test_recipe.py"),
    Mutant("recipe.py", "if name in REGISTRY:", "if name in REGISTRY and not entry_points(group=PLUGINS, name=name):", "tests/test_recipe.py"),
    Mutant("recipe.py", "        if quote:\n", "        if False:\n", "tests/test_recipe.py"),
    # remarks on recipes
    Mutant("remarks/families.py", "    if isinstance(rule, BOUNDED):\n        return rule == type(rule)(**rule.neutral)\n", "", IDLE),
    Mutant("remarks/families.py", "span(rule.t)[1] <= GREEDY", "span(rule.t)[0] <= GREEDY", IDLE),
    Mutant("remarks/families.py", "span(rule.t)[0] > GREEDY", "span(rule.t)[1] > GREEDY", IDLE),
    Mutant("remarks/families.py", "return span(value) == (neutral, neutral)", "return span(value)[0] == neutral", IDLE),
    Mutant("remarks/families.py", "Presence, Dry, LengthDecay\n", "Presence, LengthDecay\n", IDLE),
    Mutant("remarks/idle.py", "        live.remove(i)\n", "", IDLE),
    Mutant("remarks/idle.py", "* (1 - SLACK) > 0.5", "> 0.4", IDLE),
    Mutant("remarks/idle.py", "return not moves or all(", "return True or all(", IDLE),
    Mutant("remarks/idle.py", "            steady = False", "            pass", IDLE),
    Mutant("remarks/idle.py", "        elif not isinstance(rules[k], Cutoff | Quadratic | Tempering):\n            break", "", IDLE),
    Mutant("remarks/idle.py", "                least, most = span(first.k)\n                if least > 0 and", "                least, most = span(first.k)\n                if", IDLE),
    Mutant("remarks/idle.py", "isinstance(first, MinP) and span(first.p)[0] > 0:", "isinstance(first, MinP):", IDLE),
    Mutant("remarks/idle.py", "most <= span(rule.k)[0]:", "most <= span(rule.k)[1]:", IDLE),
    Mutant("remarks/idle.py", "        if not isinstance(first, Cutoff | Tempering):\n            break", "", IDLE),
    Mutant("remarks/idle.py", "        if not isinstance(last, TopK | MinP) and not warm(last):\n            break", "", IDLE),
    Mutant("remarks/idle.py", "if _only(between, (Cutoff, Temperature)) else None", "", IDLE),
    Mutant("remarks/idle.py", "return t * log(", "return log(", IDLE),
    Mutant("remarks/idle.py", "        if not isinstance(rules[k], TopK | TopNSigma) and not warm(rules[k]):\n            break", "", IDLE),
    Mutant("remarks/idle.py", "n[0] - 1 < least[0]", "n[0] < least[0]", TRAPS),
    Mutant("remarks/idle.py", "not allowed - removed:", "not allowed:", TRAPS),
    Mutant("remarks/order.py", "or span(rule.t)[0] <= 1:", "or span(rule.t)[1] <= 1:", TRAPS),
    Mutant("remarks/order.py", "span(rule.p)[0] ** t:", "span(rule.p)[0] ** (1 / t):", TRAPS),
    Mutant("remarks/order.py", "heat(heats) if all(map(warm, heats)) else None", "heat(heats)", TRAPS),
    Mutant("remarks/order.py", "if t and t < 1 and (alike", "if t and (alike", TRAPS),
    Mutant("remarks/families.py", "span(rule.h)[1] <= 0", "span(rule.h)[1] < 0", IDLE),
    Mutant("remarks/order.py", " and not isinstance(rules[k], UNSCALED)]", "]", TRAPS),
    Mutant("remarks/order.py", "if isinstance(rule, LAST) and", "if steers(rule) and", TRAPS),
    Mutant("remarks/order.py", 'and rule.of == "raw" and others', "and others", TRAPS),
    Mutant("remarks/order.py", "(Tempering,) if isinstance(rule, EntropyCap) else ", "", TRAPS),
    Mutant("remarks/order.py", "or span(rule.t_max)[1] < inf", "or False", TRAPS),
    Mutant("remarks/steps.py", "counts[i] += bool(removed or np.abs(new - p).max() > SAME)", "counts[i] += bool(removed)", STEPS),
    Mutant("remarks/steps.py", "                before, p = after, new\n", "", STEPS),
    Mutant("remarks/steps.py", "                    break  # what", "                    pass  # what", STEPS),
    Mutant("remarks/steps.py", "for text in range(len(recording.head.texts)):", "for text in range(1):", STEPS),
    Mutant("remarks/steps.py", " and not (greedy(rules[alone]) or maxima(rules[alone]))", "", STEPS),
    Mutant("remarks/lint.py", "    remarks += watched(sampler, steps, acted, live)", "    remarks += watched(sampler, steps, acted, range(len(live)))", STEPS),
    Mutant("cli/lint.py", "    if not found.clean:", "    if found.remarks:", "tests/cli/test_lint.py"),
    Mutant("cli/recipes.py", "covered((*before, example))", "covered((example,))", "tests/cli/test_lint.py"),
    Mutant("cli/recipes.py", '"some" if any(yes) else "no"', '"no"', "tests/cli/test_lint.py"),
    Mutant("cli/recipes.py", '"\\nSource: ")\n    lines = rest.partition("\\nExample: ")[0].splitlines()', '"\\nSource: ")\n    lines = rest.splitlines()[:1]', "tests/cli/test_lint.py"),
    # models
    Mutant("models/callable.py", "seen if row.stale else new", "new", "tests/models"),
    Mutant("models/byte_level.py", "*range(0xA1, 0xAD)", "*range(0xA1, 0xAE)", "tests/models"),
    Mutant("models/byte_level.py", "self._tokenizer.encode_special_tokens = True", "pass", "tests/models"),
    # Hugging Face models
    Mutant("models/key_values.py", "self.columns - old + new for", "new for", HF + "the_cache"),
    Mutant("models/key_values.py", "t[rows, :, end - self.columns : end]", "t[rows, :, : self.columns]", PLACES),
    Mutant("models/key_values.py", "columns - self.columns : columns] = t", ": self.columns] = t", PLACES),
    Mutant("models/key_values.py", "mine[slot, :, : end - columns] = 0", "pass", PLACES),
    Mutant("models/key_values.py", "for new, old in moved:", "for new, old in ():", PLACES),
    Mutant("models/onnx_cache.py", "self.array[:, slot, :, end:] = 0", "pass", PLACES),
    Mutant("models/onnx_cache.py", "            if new != old:", "            if False:", PLACES),
    Mutant("models/places.py", "if any(seen.get(slot, 0) > start for", "if any(False for", PLACES),
    Mutant("models/places.py", "seen[slot] = max(end, seen.get(slot, 0))", "seen[slot] = end", PLACES),
    Mutant("models/places.py", "if slot not in seen)", ")", PLACES),
    Mutant("models/places.py", "return line if line == self.slots else", "return", PLACES),
    Mutant("models/key_values.py", "all(type(layer) in plain", "all(layer", HF + "only_models"),
    Mutant("models/key_values.py", 'hasattr(part, "create_', 'hasattr(part, "no_create_', HF + "the_cache"),
    Mutant("models/transformers.py", "range(n - new, n)] for n in lengths", "range(columns - new, columns)] for n in lengths", HF + "the_cache"),
    Mutant("models/transformers.py", "or min(lengths) < columns:", "or False:", HF + "law_5"),
    Mutant("models/transformers.py", 'feed["logits_to_keep"] = 1', "pass", HF + "only_the_last"),
    Mutant("models/transformers.py", "if missing := sorted(report[\"missing_keys\"])", "if missing := []", HF + "weights"),
    Mutant("models/transformers.py", 'getattr(generation, "eos_token_id", None), ', "", HF + "the_generation"),
    Mutant("models/transformers.py", "        logging.disable_progress_bar()", "        pass", HF + "the_commands"),
    Mutant("models/tokens.py", "split_special_tokens=True", "split_special_tokens=False", "tests/models/test_tokens.py"),
    Mutant("models/tokens.py", 'b"" if added.special else ', "", "tests/models/test_tokens.py"),
    Mutant("models/tokens.py", 'if "ByteLevel" in kinds', "if False", "tests/models/test_tokens.py"),
    Mutant("models/tokens.py", "BYTE.get(piece) or ", "", "tests/models/test_tokens.py"),
    Mutant("models/tokens.py", "text[len(before) :] if", "text if", "tests/models/test_tokens.py"),
    Mutant("models/tokens.py", "if any(control in", "if all(control == 0 and", "tests/models/test_tokens.py"),
    Mutant("models/__init__.py", "cutoff=CLOSE", "cutoff=1.0", "tests/models/test_onnx.py::test_wrong_folders"),
    Mutant("generation/prompts.py", "_chat(model, prompt, system) if chat else ", "", "tests/models/test_tokens.py"),
    Mutant("../../examples/lstm.py", "read(new_ids, state)", "read(new_ids)", "tests/test_examples.py::test_the_lstm"),
    # kernels for graphics cards: the same, or asked for
    Mutant("kernels/gpu/keys.py", "bits = tl.where(bits == MINUS_ZERO, 0, bits)", "bits = bits + 0", CARDS + "zeros"),
    Mutant("kernels/gpu/coins.py", "(position >> 32)", "(position >> 31)", CARDS + "the_coins"),
    Mutant("kernels/gpu/passes.py", '((x != x) | (x == float("inf")))', '(x == float("inf"))', CARDS + "spoiled"),
    Mutant("kernels/gpu/passes.py", "on += tl.where(key == pivot, w, 0.0)", "on += tl.where(key >= pivot, w, 0.0)", CARDS + "the_guess"),
    Mutant("kernels/gpu/search.py", "(above + margin < target * (1.0 - slack)) & (above + on - margin > target * (1.0 + slack))", "above < target", CARDS + "cuts_that"),
    Mutant("kernels/gpu/search.py", "pivot = (low + (high - low) // 2).to(tl.int32)", "pivot = low.to(tl.int32)", CARDS + "the_guess"),
    Mutant("kernels/gpu/heat.py", "tl.maximum(square - mean * mean, 0.0)", "tl.maximum(square, 0.0)", CARDS + "temperatures"),
    Mutant("kernels/gpu/heat.py", "unsure = 8.0 * share", "unsure = 0.0 * share", CARDS + "temperatures"),
    Mutant("kernels/gpu/heat.py", "4.0 * doubt * (tl.log(n", "0.0 * doubt * (tl.log(n", CARDS + "sums_of_doubtful"),
    Mutant("kernels/gpu/draw.py", "under & over & plain", "plain", CARDS + "draws_that"),
    Mutant("kernels/gpu/draw.py", "before += tl.sum(w, axis=0)", "before += 0.0", CARDS + "kept_sets"),
    Mutant("kernels/gpu/chain.py", "k - 0.5", "k + 0.5", CARDS + "kept_sets"),
    Mutant("kernels/gpu/chain.py", "(t == 1.0) & (doubt == 0.0)", "t < 0.0", CARDS + "kept_sets"),
    Mutant("kernels/gpu/chain.py", "cold = high <= COLDEST", "cold = high < 0.0", CARDS + "kept_sets"),
    Mutant("kernels/gpu/entry.py", "if (found[:, 0] != FINE).any():", "if False:", CARDS + "a_batch"),
    Mutant("kernels/gpu/entry.py", "logits = logits.contiguous()", "pass", CARDS + "logits_are"),
    Mutant("plan.py", "CARDS.draw(logits, state.seed, state.position, told)", "CARDS.draw(logits, state.seed, state.position, told[:1])", CARDS + "a_step"),
]  # fmt: skip


def killed(mutant: Mutant) -> bool:
    """Whether the named test fails on the broken code; the file is restored whatever happens."""
    path = SRC / mutant.file
    whole = path.read_text()
    if whole.count(mutant.old) < 1:
        raise SystemExit(f"{mutant.file} no longer holds {mutant.old!r}; mend the list")
    try:
        path.write_text(whole.replace(mutant.old, mutant.new, 1))
        target, _, prefix = mutant.test.partition("::")
        select = ["-k", prefix] if prefix else []
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow",
            target,
            *select,
        ]
        broken = {**os.environ, "PYTHONPATH": str(SRC.parent)}  # this checkout, wherever an installed one points
        done = subprocess.run(command, cwd=ROOT, capture_output=True, env=broken, timeout=LONGEST)
        return done.returncode in (1, 2)  # 2: not even collected
    except subprocess.TimeoutExpired:
        return True  # a break that makes a loop endless is noticed too
    finally:
        path.write_text(whole)


def main() -> None:
    """Run all mutants, or those whose file or text holds the first argument."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    survivors = []
    chosen = [m for m in MUTANTS if wanted in m.file or wanted in m.old]
    for number, mutant in enumerate(chosen, 1):
        dead = killed(mutant)
        if not dead:
            survivors.append(mutant)
        print(
            f"{number:3}/{len(chosen)} {'killed  ' if dead else 'SURVIVED'} {mutant.file}: {mutant.old.strip()!r}",
            flush=True,
        )
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants killed")
    raise SystemExit(bool(survivors))


if __name__ == "__main__":
    main()
