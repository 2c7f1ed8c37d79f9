"""The figures of docs/theory.md: what each shows is computed by the rules themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from logitherm import Sampler
from logitherm.arrays import entropy, log_softmax, softmax
from logitherm.rules import DynamicTemperature, EntropyRate, Temperature
from logitherm.rules.base import Rule
from logitherm.rules.target import solve
from logitherm.show.figure import blank, describe, finish, looking
from logitherm.state import At, Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEATHER = [1.2, 2.0, 3.5, 3.0, 1.8, 1.0]
WHERE = {
    "All rows alike": "every dynamic T is a constant: nothing to win",
    "Rows differ, model right": "the constant is the best there is",
    "Rows differ, model wrong": "too sure where it is unsure: heat there wins",
}
"""The panels of the first figure, and what each says."""


def gains() -> dict[str, Any]:
    """By panel and rule: mean entropies, and mean log-likelihoods over the best constant of the same entropy."""
    rng = np.random.default_rng(1)
    varied = rng.normal(size=(60, 200)) * rng.uniform(0.5, 5.0, size=(60, 1))
    alike = np.array([rng.permutation(varied[30]) for _ in range(60)])
    tau = 0.4 + 0.2 * entropy(varied)
    rows = (alike, varied, varied)
    truths = (alike, varied, varied / tau)
    rules: dict[str, Callable[[float], Rule]] = {
        "hotter where unsure": lambda s: DynamicTemperature(0.4 * s, entropy=0.2 * s),
        "cooler where unsure": lambda s: DynamicTemperature(1.2 * s, entropy=-0.1 * s),
    }
    found: dict[str, Any] = {}
    for panel, x, truth in zip(WHERE, rows, truths, strict=True):
        constants = [_judged(Temperature(t), x, truth) for t in np.geomspace(0.05, 20, 400).tolist()]
        h, score = np.array(constants).T
        found[panel] = {}
        for name, rule in rules.items():
            points = np.array([_judged(rule(s), x, truth) for s in np.geomspace(0.1, 4, 60).tolist()])
            inside = (points[:, 0] > 0.3) & (points[:, 0] < 4.0)
            points = points[inside][np.argsort(points[inside, 0])]
            found[panel][name] = points[:, 0], points[:, 1] - np.interp(points[:, 0], h, score)
    return found


def _judged(rule: Rule, x: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The mean entropy of what a rule makes of the rows, and its mean log-likelihood under the truth."""
    sampler = Sampler(rule)
    out = sampler.apply(x, sampler.start([[]] * len(x), seed=0))
    return float(entropy(out).mean()), float((softmax(out) * log_softmax(truth)).sum(axis=1).mean())


def gains_figure(data: dict[str, Any], dark: bool) -> Figure:
    """Three panels: when dynamic temperature cannot help, when it can only lose, and when it wins."""
    with looking(dark) as look:
        figure = blank(9.2, 2.9)
        panels = figure.subplots(1, len(WHERE), sharex=True, sharey=True)
        for axes, (title, note) in zip(panels, WHERE.items(), strict=True):
            describe(axes, title, note)
            axes.axhline(0, color=look.ink, linewidth=1.6)
            colours = (look.chosen, look.bar)
            for (name, (h, gain)), colour, dashes in zip(data[title].items(), colours, ("-", "--"), strict=True):
                axes.plot(h, gain, dashes, color=colour, linewidth=2, label=name)
                axes.fill_between(h, 0, gain, where=gain > 1e-6, color=colour, alpha=0.25, linewidth=0)
            axes.set_xlabel("mean entropy, nats")
        panels[0].text(4.0, 0.012, "best constant T", ha="right", color=look.ink, fontsize=8)
        panels[0].set_ylabel("log-likelihood above it, nats")
        panels[0].legend(loc="lower left", fontsize=8, frameon=False)
        return finish(figure)


def curve() -> dict[str, Any]:
    """H over T of the weather row, alone and with a second maximum, a target, its root, and Newton's way to it."""
    rows = {"one likeliest": np.array([WEATHER]), "two tie": np.array([[3.5, *WEATHER[1:]]])}
    heats = np.geomspace(0.03, 60, 300)
    curves = {name: [float(entropy(row / t)[0, 0]) for t in heats] for name, row in rows.items()}
    target = 1.2
    return {"T": heats, "curves": curves, "h": target, "root": float(solve(rows["one likeliest"], target)[0, 0])}


def curve_figure(data: dict[str, Any], dark: bool) -> Figure:
    """Entropy against temperature: it rises from log m to log n, so each value between is met once."""
    with looking(dark) as look:
        figure = blank(6.4, 3.2)
        axes = figure.subplots()
        axes.set_xscale("log")
        one, two = data["curves"].values()
        axes.plot(data["T"], one, color=look.bar, linewidth=2)
        axes.plot(data["T"], two, "--", color=look.faint, linewidth=2)
        axes.text(0.8, 0.42, "one token is the likeliest", color=look.bar, fontsize=8)
        axes.text(0.22, 0.98, "two tie", ha="right", color=look.faint, fontsize=8)
        for height, words in ((6, "log n = log 6: all alike"), (2, "log m = log 2"), (1, "log m = log 1 = 0")):
            axes.axhline(np.log(height), color=look.line, linewidth=1)
            axes.text(59, np.log(height) + 0.03, words, ha="right", color=look.faint, fontsize=8)
        axes.plot([0.03, data["root"], data["root"]], [data["h"], data["h"], 0], ":", color=look.chosen, linewidth=1.5)
        axes.plot(data["root"], data["h"], "o", color=look.chosen)
        axes.annotate(
            f"target {data['h']} nats\nT = {data['root']:.4f}, and no other",
            (data["root"], data["h"]),
            (14, -4),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=look.chosen,
        )
        axes.set_xlim(0.03, 60)
        axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda t, _: f"{t:g}")
        axes.set_ylim(-0.05, 1.95)
        axes.set_xlabel("temperature")
        axes.set_ylabel("entropy, nats")
        return finish(figure)


@dataclass(frozen=True)
class WindingUp(EntropyRate, name=""):
    """The same controller with a sum that runs on beyond the bounds of T. It is enrolled nowhere."""

    def advance(self, memory: np.ndarray, step: Step) -> np.ndarray:
        """Log T moved by the error, held by nothing."""
        clipped = np.clip(memory[:, 0], *self._bounds(At(step.raw, step.state)))
        found = entropy(step.raw / np.exp(clipped)[:, None])[:, 0]
        return np.stack([memory[:, 0] - np.asarray(self.eta) * (found - self.target), memory[:, 1]], axis=1)


def courses() -> dict[str, Any]:
    """T and the entropy along a text that is sure from token 100 to 199: with the sum held at the bounds, and not."""
    rng = np.random.default_rng(5)
    lines = [rng.normal(scale=8.0 if 100 <= i < 200 else 2.0, size=(1, 400)) for i in range(400)]
    for line in lines[100:200]:
        line[0, rng.integers(400)] += 30.0
    found = {}
    for name, rule in (("held at the bound", EntropyRate(3.0, 0.05)), ("running on", WindingUp(3.0, 0.05))):
        sampler = Sampler(rule)
        state = sampler.start([[]], seed=2)
        course = []
        for line in lines:
            heat = float(np.exp(np.clip(state.memory[0][0, 0], np.log(0.05), np.log(3.0))))
            step = sampler.step(line, state)
            course.append((heat, float(step.final_entropy[0])))
            state = step.state
        found[name] = np.array(course)
    return found


def courses_figure(data: dict[str, Any], dark: bool) -> Figure:
    """A controller that lost its target for a while: one comes back at once, one stays at its bound."""
    with looking(dark) as look:
        figure = blank(6.4, 3.9)
        above, below = figure.subplots(2, 1, sharex=True)
        for (name, course), colour, dashes in zip(data.items(), (look.bar, look.chosen), ("-", "--"), strict=True):
            above.plot(course[:, 0], dashes, color=colour, linewidth=1.8, label=name)
            smooth = np.convolve(course[:, 1], np.ones(9) / 9, "same")
            below.plot(np.arange(4, 396), smooth[4:-4], dashes, color=colour, linewidth=1.8)
        for axes in (above, below):
            axes.axvspan(100, 200, color=look.line, alpha=0.4, linewidth=0)
        above.text(153, 1.5, "the text is sure,\nout of reach", ha="center", fontsize=8)
        below.axhline(3.0, color=look.ink, linewidth=1)
        below.set_xlim(0, 400)
        below.text(403, 3.0, "target", va="center", fontsize=8)
        above.set_ylabel("temperature")
        below.set_ylabel("entropy, nats\n(mean of 9)")
        below.set_xlabel("token")
        above.legend(loc="upper right", fontsize=8, frameon=False, title="the integral is", title_fontsize=8)
        return finish(figure)
