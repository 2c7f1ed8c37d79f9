"""The front door for looking: explain one step, compare recipes, replay a stored text. `import logitherm` reaches these
lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from logitherm import comparison
from logitherm.api import Options, Recipe, check_chat, find, find_model, limits, start
from logitherm.comparison import Comparison
from logitherm.critical import Name
from logitherm.errors import LogitsError, PromptError, RecipeError
from logitherm.generation.loop import MOST_TEXTS, Run, at_least
from logitherm.generation.prompts import read_prompt
from logitherm.model import Model
from logitherm.presets import presets
from logitherm.recording import replay as replaying
from logitherm.recording.replay import Replay
from logitherm.rules import Rule
from logitherm.sampler import Sampler
from logitherm.state import State, fresh_seed
from logitherm.trace import Trace, trace
from logitherm.vary import varied
from logitherm.vocabulary import label


def explain(
    prompt: str | None = None,
    recipe: Recipe = None,
    *,
    logits: Any = None,
    tokens: Sequence[str] | None = None,
    model: Model | str | Path | None = None,
    seed: int | None = None,
    top: int = 10,
    step: int = 1,
    chat: bool = False,
    system: str | None = None,
) -> Trace:
    """Why a token was picked: what each rule kept and removed, where the draw landed, what would have changed it.

    prompt: explain the token that follows this text; or give `logits` instead, without any model.
    logits: (vocabulary,) numbers, -inf for tokens that cannot come.
    tokens: names for the logits, as many as there are.
    seed:   as in `generate`: the same seed explains the same token that `generate` drew. None is fresh; read
            `trace.seed`.
    top:    how many leading tokens to list, 0 or more.
    step:   which token after the prompt, 1 for the first; those before it are drawn with the same seed and recipe.
    chat, system: as in `generate`.
    Raises PromptError, RecipeError, LogitsError; PromptError also if the text ends before that token.
    """
    sampler = find(recipe)
    at_least("top", top, 0)
    at_least("step", step, 1)
    if logits is not None and step != 1:
        raise PromptError("explain needs a prompt for step=; logits are one step")
    seen = begin("explain", prompt, logits, tokens, model, chat, system)
    sampler = seen.bind(sampler)
    state = sampler.start([seen.ids], seed)
    row, cache = seen.logits, seen.cache
    for place in range(1, step):
        assert seen.model is not None
        drawn = sampler.step(row, state)
        token, state = int(drawn.tokens[0]), drawn.state
        ended = token in seen.model.vocabulary.eos
        if ended or (seen.model.context is not None and len(seen.ids) + place > seen.model.context):
            why = "the model ended it" if ended else "the context is full"
            raise PromptError(f"step must be at most {place}; got {step}: {why} there (seed {int(state.seed[0])})")
        row, cache = seen.model.step([token], cache)
    return trace(sampler, row, state, top, seen.name)[0]


@dataclass(frozen=True)
class Beginning:
    """Where one begins to look: the logits after a prompt, or some that were given; then there is no model.

    logits: (1, vocabulary). ids: the prompt's tokens. name: the text of a token. cache: the model's, of the prompt.
    """

    logits: Any
    ids: Sequence[int]
    name: Name
    model: Model | None = None
    cache: Any = None

    def bind(self, sampler: Sampler) -> Sampler:
        """The sampler for these tokens."""
        return sampler if self.model is None else sampler.bind(self.model.vocabulary)


def begin(
    who: str,
    prompt: str | None,
    logits: Any,
    tokens: Sequence[str] | None,
    model: Model | str | Path | None,
    chat: bool,
    system: str | None,
) -> Beginning:
    """The logits after a prompt, or those that are given. `who` asks, for the words of PromptError and LogitsError."""
    check_chat(chat, system)
    if tokens is not None and logits is None:
        raise LogitsError("tokens needs logits")
    if (prompt is None) == (logits is None):
        raise PromptError(f"{who} needs either a prompt or logits")
    if prompt is None:
        if model is not None or chat:
            raise PromptError(f"{who} needs a prompt for model= and chat=; logits are one step")
        row, name = _read_logits(logits, tokens)
        return Beginning(row, (), name)
    loaded = find_model(model)
    ids = read_prompt(loaded, prompt, chat, system)
    row, cache = loaded.prefill([ids])
    return Beginning(row, ids, lambda token: label(loaded.vocabulary, token), loaded, cache)


def compare(
    prompt: str | None = None,
    recipes: Recipe | Sequence[Recipe] = None,
    *,
    vary: str | None = None,
    logits: Any = None,
    tokens: Sequence[str] | None = None,
    model: Model | str | Path | None = None,
    seed: int | None = None,
    top: int = 10,
    n: int = 0,
    max_new_tokens: int = 100,
    stop: str | Sequence[str] | None = None,
    batch_size: int = 16,
    chat: bool = False,
    system: str | None = None,
) -> Comparison:
    """Several recipes on the same logits, and the texts that they give under the same seeds.

    prompt:  compare what follows this text; or give `logits` instead, without any model.
    recipes: two or more, each as in `generate`; the others are compared with the first. With `vary`, at most one.
    vary:    one parameter at several values, "temperature=0.1,0.5,1" or "dynamic_temperature.entropy=0.1,0.4": in the
             recipe, or of that rule alone.
    logits, tokens, seed, top: as in `explain`.
    n:       how many texts to draw with each recipe: 0 for none; text i of every recipe has seed + i.
    max_new_tokens, stop, batch_size: as in `generate`, for the texts. chat, system: as in `generate`.
    Raises PromptError, RecipeError, LogitsError before any work.
    """
    found, runs = comparing(
        prompt,
        recipes,
        vary=vary,
        logits=logits,
        tokens=tokens,
        model=model,
        seed=seed,
        top=top,
        n=n,
        max_new_tokens=max_new_tokens,
        stop=stop,
        batch_size=batch_size,
        chat=chat,
        system=system,
    )
    for run in runs:
        for _ in run:
            pass
    return comparison.with_texts(found, [run.texts for run in runs])


def comparing(
    prompt: str | None,
    recipes: Recipe | Sequence[Recipe],
    *,
    vary: str | None,
    logits: Any,
    tokens: Sequence[str] | None,
    model: Model | str | Path | None,
    seed: int | None,
    top: int,
    n: int,
    max_new_tokens: int,
    stop: str | Sequence[str] | None,
    batch_size: int = 16,
    chat: bool,
    system: str | None,
) -> tuple[Comparison, list[Run]]:
    """What `compare` does, up to drawing the texts: the comparison on the logits, and each recipe's run."""
    samplers = candidates(recipes, vary)
    at_least("top", top, 0)
    at_least("n", n, 0)
    if n > MOST_TEXTS:
        raise RecipeError(f"n must be at most {MOST_TEXTS:,}; got {n:,}")
    at_least("batch_size", batch_size, 1)
    limits(max_new_tokens, stop)
    if logits is not None and n:
        raise PromptError("compare needs a prompt for n=; logits are one step")
    seed = fresh_seed() if seed is None else seed
    parameter = vary.partition("=")[0].strip() if vary else None
    seen = begin("compare", prompt, logits, tokens, model, chat, system)
    bound = {label: seen.bind(sampler) for label, sampler in samplers.items()}
    found = comparison.compare(bound, seen.logits, State.start([seen.ids], seed), top, seen.name, prompt, parameter)
    same = Options(
        model=seen.model,
        seed=seed,
        max_new_tokens=max_new_tokens,
        stop=stop,
        batch_size=batch_size,
        details=True,
        chat=chat,
        system=system,
    )
    return found, [start([str(prompt)] * n, sampler, **same) for sampler in samplers.values()] if n else []


def candidates(recipes: Recipe | Sequence[Recipe], vary: str | None) -> dict[str, Sampler]:
    """The samplers to compare, by label: a preset's name, a varied value, or the recipe itself."""
    if not isinstance(recipes, str | Path | Sampler | Rule | Sequence | None):
        raise RecipeError(f"recipes must be a list of recipes; got {recipes!r}")
    several = list(recipes) if isinstance(recipes, Sequence) and not isinstance(recipes, str) else [recipes]
    given = several if several != [None] else []
    if vary is not None:
        if len(given) > 1:
            raise RecipeError(f"with vary, compare takes one recipe at most; got {len(given)}")
        return varied(vary, find(given[0]) if given else None)
    named = {str(recipe) if recipe in presets() else str(find(recipe)): find(recipe) for recipe in given}
    if len(set(named.values())) < 2:
        raise RecipeError(f"compare needs two recipes that differ, or vary; got {len(named)}")
    return named


def replay(path: str | Path, recipe: Recipe = None, text: int = 0) -> Replay:
    """What another recipe would have made of each token of a trace file, from the stored logits, without the model.

    path:   a trace file, as `generate(save_trace=…)` makes one.
    recipe: the other recipe, as in `generate`.
    text:   which text of the file, from 0.
    Raises TraceError if the file cannot be read as a trace file or has no such text; RecipeError.
    """
    return replaying.replay(path, find(recipe), text)


def recall(path: str | Path, step: int, recipe: Recipe = None, text: int = 0, top: int = 10) -> Trace:
    """Why a stored token was picked, as `explain` tells it, without the model.

    path:   a trace file. step: which token of the text, from 1. text: which text of the file, from 0.
    recipe: another recipe to look at the step with; None is the one that drew it.
    Where the file keeps only the largest logits, the smallest are what their summary makes of them.
    Raises TraceError if the file cannot be read as a trace file or has no such step; RecipeError.
    """
    return replaying.recall(path, step, text, None if recipe is None else find(recipe), top)


def _read_logits(logits: Any, tokens: Sequence[str] | None) -> tuple[Any, Name]:
    """(1, vocabulary) logits that somebody gave, and what their tokens are called."""
    try:
        row = logits if hasattr(logits, "shape") else np.asarray(logits, dtype=np.float64)
    except (TypeError, ValueError):
        raise LogitsError(f"logits must be one row of numbers; got {logits!r}") from None
    if isinstance(row, np.ndarray) and row.dtype.kind not in "fiu":
        raise LogitsError(f"logits must be one row of real numbers; got {row.dtype}")
    if row.ndim == 2 and row.shape[0] == 1:
        row = row[0]
    if row.ndim != 1 or not len(row):
        raise LogitsError(f"logits must be one row of numbers; got shape {tuple(row.shape)}")
    if tokens is not None and len(tokens) != len(row):
        raise LogitsError(f"tokens must name each of the {len(row)} logits; got {len(tokens)}")
    names = None if tokens is None else list(tokens)
    return row[None], lambda token: None if names is None else names[token]
