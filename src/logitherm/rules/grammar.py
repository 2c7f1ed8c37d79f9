"""A grammar: only tokens that can still become a text of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from logitherm.errors import RecipeError
from logitherm.rules.base import choice, words
from logitherm.rules.engines import ENGINES
from logitherm.rules.masked import Masked, Matcher
from logitherm.vocabulary import Vocabulary


@dataclass(frozen=True)
class Grammar(Masked, name="grammar"):
    r"""Keep only the tokens after which the text can still become one of a grammar; let it end only where it is one.

    text: the grammar: a JSON schema, a regular expression, or a grammar in llguidance's Lark dialect. "" is off and
       neutral.
    kind: which of these it is: "json_schema", "regex" or "lark".
    engine: who reads it: "llguidance" (pip install 'logitherm[grammar]') or "xgrammar" (pip install xgrammar; JSON
       schemas and regular expressions here).
    Every row has a state of its own, from its first drawn token on: the prompt is no part of the text. It is a value,
    as all memory is: a fork goes on by itself, `observe` reads what was drawn elsewhere, an old state stays true.
    The rule must know the model's tokens: `sampler.bind(vocabulary)`, which `generate` and `explain` do by themselves.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf, ids beyond the
    vocabulary and control tokens among it. After the end only the end is left. A token limit may cut a text short.
    Put it before rules that cut: they then see only what is possible, and always leave something.
    Where the grammar leaves no choice, llguidance asks for the tokens into which the model's own tokenizer splits that
    text; xgrammar allows every spelling.
    Raises RecipeError if the text is no grammar, for a wrong word, or at the start if nobody bound the rule;
    BackendUnavailable without the engine; LogitsError, naming the row, where a forced token did not fit or no token
    can come next.
    Source: llguidance 1.9.1 (LLMatcher), xgrammar 0.2.8 (GrammarMatcher); the masks are theirs.
    Example: grammar("1+2", kind="regex") over the tokens 1, 2, 12 and end allows 1 and 12; after 1 the same and 2;
    after 12 the end.
    """

    text: str = words("a grammar as text")
    kind: str = choice("json_schema", "regex", "lark", default="json_schema")
    engine: str = choice(*ENGINES, default="llguidance")

    neutral = {"text": ""}
    examples = (
        {"text": '{"type": "integer"}'},
        {"text": "[12]+", "kind": "regex", "engine": "xgrammar"},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = ENGINES[self.engine][1]
        if self.kind not in kinds:
            raise RecipeError(
                f"Grammar.kind must be one of {', '.join(map(repr, kinds))} for {self.engine}; got {self.kind!r}"
            )
        if self.kind == "json_schema" and self.text:
            try:
                schema = json.loads(self.text)
            except (ValueError, RecursionError) as error:
                raise RecipeError(f"Grammar.text must be a JSON schema; got {self.text!r}: {error}") from None
            if not isinstance(schema, dict | bool):
                raise RecipeError(f"Grammar.text must be a JSON schema, an object; got {self.text!r}")

    def start(self, vocabulary: Vocabulary) -> Matcher:
        """The engine's matcher."""
        return ENGINES[self.engine][0](self.kind, self.text, vocabulary)
