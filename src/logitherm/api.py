"""The front door for texts: load_model, generate, stream. `import logitherm` reaches these lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict, Unpack, overload

from logitherm.errors import LogitsError, ModelError, PromptError, RecipeError
from logitherm.generation.loop import MOST_TEXTS, Generation, Limits, Piece, Run, at_least
from logitherm.model import Model
from logitherm.models import load_model
from logitherm.recipe import load_recipe
from logitherm.recording.writer import writable
from logitherm.rules import Rule
from logitherm.sampler import Sampler

Recipe = str | Path | Sampler | Rule | None
"""What names a recipe: its text, a preset, a file, a sampler, a rule, or None for the preset "default"."""


def find(recipe: Recipe) -> Sampler:
    """The sampler that a recipe names."""
    return load_recipe("default" if recipe is None else recipe)


def find_model(model: Model | str | Path | None) -> Model:
    """The model that is meant: itself, or by name or folder."""
    if isinstance(model, str | Path | None):
        return load_model(model)
    if not hasattr(model, "vocabulary"):
        raise ModelError(
            f"a model must have a vocabulary; wrap a function in lt.CallableModel(function, vocabulary): {model!r}"
        )
    return model


def limits(max_new_tokens: int, stop: str | Sequence[str] | None) -> Limits:
    """When texts end, checked: RecipeError."""
    if not isinstance(stop, str | Sequence | None):
        raise RecipeError(f"stop must be a text or a list of texts; got {stop!r}")
    return Limits(max_new_tokens, (stop,) if isinstance(stop, str) else tuple(stop or ()))


def check_chat(chat: bool, system: str | None) -> None:
    """PromptError for a system message without a chat."""
    if not isinstance(system, str | None):
        raise PromptError(f"a system message must be text; got {system!r}")
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
    save_trace: str | Path | None
    trace_top: int | None
    chat: bool
    system: str | None
    draft: Model | str | Path | None
    ahead: int


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
    save_trace: str | Path | None = None,
    trace_top: int | None = None,
    chat: bool = False,
    system: str | None = None,
    draft: Model | str | Path | None = None,
    ahead: int = 4,
) -> Run:
    """Prompts on their way to texts: iterate for pieces, read `.texts` at any time, also after an interruption.

    Parameters as in `generate`; one row for each prompt.
    """
    check_chat(chat, system)
    ends = limits(max_new_tokens, stop)
    sampler = find(recipe)
    path = None if save_trace is None else Path(save_trace)
    if trace_top is not None:
        at_least("trace_top", trace_top, 1)
        if path is None:
            raise RecipeError("trace_top needs save_trace")
    if path:
        writable(path)
    return Run(
        find_model(model),
        sampler,
        prompts,
        ends,
        seed,
        size=batch_size,
        details=details,
        save=path,
        save_top=trace_top,
        chat=chat,
        system=system,
        draft=None if draft is None else find_model(draft),
        ahead=ahead,
    )


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
      save_trace:     a file to which every step is written as it is drawn: the logits, u and the token. `verify`
                      derives its tokens again, `replay` shows another recipe on it.
      trace_top:      keep only so many of a step's largest logits and a summary of the others, or more where these
                      would not give the same token; all unless given.
      chat:           each prompt is a user's message, put into the model's chat template; the text is the answer.
      system:         with chat, the system message before it.
      draft:          a model with the same tokens that proposes some for `model` to take or replace (speculative
                      decoding): other tokens for the same seed, of the same distribution. Not with save_trace.
      ahead:          with draft, how many tokens it proposes at a time, 1 or more; 4 unless given.
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
