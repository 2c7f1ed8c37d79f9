"""The front door: load_model, generate, stream, explain. `import logitherm` reaches these lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np

from logitherm.errors import LogitsError, ModelError, PromptError, RecipeError
from logitherm.generation.loop import MOST_TEXTS, Generation, Limits, Piece, Run, at_least, read_prompt
from logitherm.model import Model
from logitherm.models import load_model
from logitherm.recipe import load_recipe
from logitherm.rules import Rule
from logitherm.sampler import Sampler
from logitherm.trace import Trace, trace
from logitherm.vocabulary import label

Recipe = str | Path | Sampler | Rule | None
"""What names a recipe: its text, a preset, a file, a sampler, a rule, or None for the preset "default"."""


def find(recipe: Recipe) -> Sampler:
    """The sampler that a recipe names."""
    return load_recipe("default" if recipe is None else recipe)


def _model(model: Model | str | Path | None) -> Model:
    if isinstance(model, str | Path | None):
        return load_model(model)
    if not hasattr(model, "vocabulary"):
        raise ModelError(
            f"a model must have a vocabulary; wrap a function in lt.CallableModel(function, vocabulary): {model!r}"
        )
    return model


def _check_chat(chat: bool, system: str | None) -> None:
    if system is not None and not chat:
        raise PromptError("a system message needs a chat: set chat (--chat) too")


class Options(TypedDict, total=False):
    """What `generate` and `stream` hand on to `start`; `generate` says what each means."""

    model: Model | str | Path | None
    max_new_tokens: int
    seed: int | Sequence[int] | None
    stop: str | Sequence[str] | None
    batch_size: int
    details: bool
    chat: bool
    system: str | None


def start(
    prompts: Sequence[str],
    recipe: Recipe = None,
    *,
    model: Model | str | Path | None = None,
    max_new_tokens: int = 100,
    seed: int | Sequence[int] | None = None,
    stop: str | Sequence[str] | None = None,
    batch_size: int = 16,
    details: bool = False,
    chat: bool = False,
    system: str | None = None,
) -> Run:
    """Prompts on their way to texts: iterate for pieces, read `.texts` at any time, also after an interruption.

    Parameters as in `generate`; one row for each prompt.
    """
    _check_chat(chat, system)
    limits = Limits(max_new_tokens, (stop,) if isinstance(stop, str) else tuple(stop or ()))
    sampler = find(recipe)
    loaded = _model(model)
    return Run(loaded, sampler, prompts, limits, seed, batch_size, details, chat, system)


@overload
def generate(  # type: ignore[overload-overlap]  # a str is a sequence of str too; this overload comes first
    prompt: str, recipe: Recipe = None, *, n: None = None, **options: Unpack[Options]
) -> Generation: ...
@overload
def generate(prompt: str, recipe: Recipe = None, *, n: int, **options: Unpack[Options]) -> list[Generation]: ...
@overload
def generate(
    prompt: Sequence[str], recipe: Recipe = None, *, n: int | None = None, **options: Unpack[Options]
) -> list[Generation]: ...
def generate(
    prompt: str | Sequence[str], recipe: Recipe = None, *, n: int | None = None, **options: Unpack[Options]
) -> Generation | list[Generation]:
    """Text that continues a prompt.

    prompt: a text, or several; not empty.
    recipe: recipe text such as "temperature(0.7) | top_p(0.9)", a preset, a recipe file, or a sampler. None is the
            preset "default": temperature(0.8) | top_p(0.95). A model's own generation_config is never applied.
    n:      how many texts for each prompt; with it, or with several prompts, the result is a list, prompt by prompt.
    options:
      model:          a name, a folder, or a Model; None is Nutshell, the story model that ships with Logitherm.
      max_new_tokens: at most so many tokens, 1 or more; 100 unless given.
      seed:           a whole number s (text i has seed s + i), one for each text, or None for a fresh one; each
                      result has its own.
      stop:           strings that end a text; they are not part of it.
      batch_size:     how many texts to run at once, 16 unless given. It changes speed, not tokens, but for the last
                      digits of the model's logits.
      details:        fill in each token's probabilities, entropies, temperature and kept count.
      chat:           each prompt is a user's message, put into the model's chat template; the text is the answer.
      system:         with chat, the system message before it.
    Raises RecipeError, PromptError, ModelError before any work; LogitsError if the model gives logits that cannot be
    drawn from (in a list of texts that one alone ends, with stop "error" and its `error`).
    """
    if not isinstance(prompt, str | Sequence):
        raise PromptError(f"a prompt must be text, or a list of texts; got {prompt!r}")
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if n is not None:
        at_least("n", n, 1)
        if n * len(prompts) > MOST_TEXTS:
            raise RecipeError(f"n must make at most {MOST_TEXTS:,} texts; got {n!r}")
    run = start([p for p in prompts for _ in range(n or 1)], recipe, **options)
    for _ in run:
        pass
    if not isinstance(prompt, str) or n is not None:
        return run.texts
    if run.texts[0].error is not None:
        raise LogitsError(run.texts[0].error)
    return run.texts[0]


def stream(prompt: str, recipe: Recipe = None, **options: Unpack[Options]) -> Iterator[Piece]:
    """Give the pieces of one text as they come; each prints as its text.

    Parameters as in `generate`, checked at the call. A piece holds whole characters; the last says why the text ended.
    """
    return _pieces(start([prompt], recipe, **options))


def _pieces(run: Run) -> Iterator[Piece]:
    yield from run
    if run.texts[0].error is not None:
        raise LogitsError(run.texts[0].error)


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
    _check_chat(chat, system)
    if (prompt is None) == (logits is None):
        raise PromptError("explain needs either a prompt or logits")
    if logits is not None:
        if step != 1 or model is not None or chat:
            raise PromptError("explain needs a prompt for step=, model= and chat=; logits are one step")
        return _explain_logits(sampler, logits, tokens, seed, top)
    loaded = _model(model)
    vocabulary = loaded.vocabulary
    sampler = sampler.bind(vocabulary)
    ids = read_prompt(loaded, prompt, chat, system)
    state = sampler.start([ids], seed)
    row, cache = loaded.prefill([ids])
    for place in range(1, step):
        drawn = sampler.step(row, state)
        token, state = int(drawn.tokens[0]), drawn.state
        if token in vocabulary.eos or (loaded.context is not None and len(ids) + place > loaded.context):
            why = "the model ended it" if token in vocabulary.eos else "the context is full"
            raise PromptError(f"step must be at most {place}; got {step}: {why} there (seed {int(state.seed[0])})")
        row, cache = loaded.step([token], cache)
    return trace(sampler, row, state, top, lambda token: label(vocabulary, token))[0]


def _explain_logits(sampler: Sampler, logits: Any, tokens: Sequence[str] | None, seed: int | None, top: int) -> Trace:
    row = logits if hasattr(logits, "shape") else np.asarray(logits, dtype=np.float64)
    if row.ndim == 2 and row.shape[0] == 1:
        row = row[0]
    if row.ndim != 1 or not len(row):
        raise LogitsError(f"logits must be one row of numbers; got shape {tuple(row.shape)}")
    if tokens is not None and len(tokens) != len(row):
        raise LogitsError(f"tokens must name each of the {len(row)} logits; got {len(tokens)}")
    state = sampler.start([[]], seed)
    return trace(sampler, row[None], state, top, lambda token: tokens[token] if tokens else None)[0]
