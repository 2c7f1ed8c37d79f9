"""From a user's text to the ids that a model begins with."""

from __future__ import annotations

from logitherm.errors import PromptError
from logitherm.model import Model
from logitherm.vocabulary import ChatVocabulary


def read_prompt(model: Model, prompt: str | None, chat: bool = False, system: str | None = None) -> list[int]:
    """The ids of a prompt, or of a chat in which it is the user's message; PromptError if it is empty or longer than
    the model's context.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt must be text; got {prompt!r}")
    if not prompt:
        raise PromptError("the prompt is empty; give the model some text to go on from")
    for text in (prompt, system or ""):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PromptError(f"the prompt must be valid Unicode text; got {ascii(text)[:60]}") from None
    ids = _chat(model, prompt, system) if chat else model.vocabulary.encode(prompt)
    if model.context is not None and len(ids) > model.context:
        raise PromptError(f"the prompt has {len(ids):,} tokens; {model.name} holds {model.context:,}")
    return ids


def _chat(model: Model, prompt: str, system: str | None) -> list[int]:
    if not isinstance(model.vocabulary, ChatVocabulary):
        raise PromptError(f"{model.name} has no chat template; leave out chat")
    return model.vocabulary.chat(prompt, system)
