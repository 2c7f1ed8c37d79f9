"""Grammar engines as matchers: llguidance and xgrammar, each imported when a grammar is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from logitherm.errors import BackendUnavailable, RecipeError
from logitherm.rules.masked import Matcher
from logitherm.vocabulary import Vocabulary

Start = Callable[[str, str, Vocabulary], Matcher]
"""A matcher at its beginning, from a kind of grammar, its text, and the vocabulary."""


def pieces(vocabulary: Vocabulary) -> list[bytes]:
    """What each token adds to a text; nothing if it is a control token or ends the text."""
    ends = set(vocabulary.eos)
    return [b"" if token in ends else vocabulary.bytes_of(token) for token in range(vocabulary.size)]


class Words:
    """A vocabulary as llguidance reads it, with an end of its own behind the last token: a model may have several, or
    none.
    """

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = [*pieces(vocabulary), b""]
        self.eos_token_id = vocabulary.size
        self.special_token_ids = [token for token, piece in enumerate(self.tokens) if not piece]
        self._encode = vocabulary.encode
        self._start = len(vocabulary.encode(""))
        self._ids = {piece: token for token, piece in enumerate(self.tokens) if piece}
        self._lengths = sorted({len(piece) for piece in self._ids}, reverse=True)

    def __call__(self, text: str | bytes) -> list[int]:
        """The tokens of a text as the model's own tokenizer splits it, or else the longest first: how the engine wants
        a piece of text to be spelt where the grammar leaves no choice.
        """
        data = text.encode() if isinstance(text, str) else text
        try:
            ids = self._encode(data.decode())[self._start :]
            if b"".join(self.tokens[token] for token in ids) == data:
                return ids
        except UnicodeDecodeError:
            pass
        return self._greedy(data)

    def _greedy(self, data: bytes) -> list[int]:
        ids = []
        while data:
            known = (data[:n] for n in self._lengths if data[:n] in self._ids)
            piece = next(known, None)
            if piece is None:
                break  # nothing spells this byte: the engine finds that out
            ids.append(self._ids[piece])
            data = data[len(piece) :]
        return ids


TOKENIZERS: WeakKeyDictionary[Vocabulary, Any] = WeakKeyDictionary()
"""What llguidance has made of vocabularies, for as long as these live: a large one takes a second."""


class LLGuidance(NamedTuple):
    """A matcher of llguidance; it computes a mask in place, and is copied before it reads a token."""

    matcher: Any
    size: int

    def allowed(self) -> np.ndarray:
        """(vocabulary,) bool."""
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, count=self.size, bitorder="little").astype(bool)

    def ends(self) -> bool:
        """Whether the grammar is satisfied."""
        return bool(self.matcher.is_accepting())

    def after(self, token: int) -> LLGuidance:
        """A copy that has read the token."""
        copy = self.matcher.deep_copy()
        copy.consume_token(token)
        return self._replace(matcher=copy)


def llguidance(kind: str, text: str, vocabulary: Vocabulary) -> LLGuidance:
    """A grammar in llguidance."""
    try:
        from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
    except ImportError as error:
        raise BackendUnavailable("grammars need llguidance: pip install 'logitherm[grammar]'") from error
    if vocabulary not in TOKENIZERS:
        words = Words(vocabulary)
        TOKENIZERS[vocabulary] = LLTokenizer(TokenizerWrapper(words), n_vocab=len(words.tokens))
    tokenizer = TOKENIZERS[vocabulary]
    read = {
        "json_schema": LLMatcher.grammar_from_json_schema,
        "regex": LLMatcher.grammar_from_regex,
        "lark": LLMatcher.grammar_from_lark,
    }
    grammar = read[kind](text)
    if wrong := LLMatcher.validate_grammar(grammar, tokenizer):
        raise unreadable("llguidance", kind, wrong)
    return LLGuidance(LLMatcher(tokenizer, grammar, log_level=0), vocabulary.size)


class XGrammar(NamedTuple):
    """A matcher of xgrammar, forked before it reads a token."""

    matcher: Any
    size: int

    def allowed(self) -> np.ndarray:
        """(vocabulary,) bool."""
        import torch

        bits = torch.zeros(self.size // 32 + 1, dtype=torch.int32)
        self.matcher.fill_next_token_bitmask(bits)
        return np.unpackbits(bits.numpy().view(np.uint8), count=self.size, bitorder="little").astype(bool)

    def ends(self) -> bool:
        """Whether the grammar is satisfied."""
        return bool(self.matcher.is_completed())

    def after(self, token: int) -> XGrammar:
        """A fork that has read the token."""
        fork = self.matcher.fork()
        fork.accept_token(token)
        return self._replace(matcher=fork)


def xgrammar(kind: str, text: str, vocabulary: Vocabulary) -> XGrammar:
    """A grammar in xgrammar."""
    try:
        import xgrammar as engine
    except ImportError as error:
        raise BackendUnavailable("engine='xgrammar' needs xgrammar: pip install xgrammar") from error
    known = engine.TokenizerInfo(
        [*pieces(vocabulary), b""], vocab_type=engine.VocabType.RAW, stop_token_ids=[vocabulary.size]
    )
    compiler = engine.GrammarCompiler(known, max_threads=1)
    read = {"json_schema": compiler.compile_json_schema, "regex": compiler.compile_regex}
    try:
        compiled = read[kind](text)
    except (RuntimeError, ValueError) as error:
        raise unreadable("xgrammar", kind, str(error)) from None
    return XGrammar(engine.GrammarMatcher(compiled), vocabulary.size)


def unreadable(engine: str, kind: str, why: str) -> RecipeError:
    """What an engine says of a grammar, in one line."""
    return RecipeError(f"Grammar.text must be a {kind} that {engine} can read; it says: {' '.join(why.split())[:300]}")


ENGINES: dict[str, tuple[Start, tuple[str, ...]]] = {
    "llguidance": (llguidance, ("json_schema", "regex", "lark")),
    "xgrammar": (xgrammar, ("json_schema", "regex")),
}
"""Each engine by name: how it begins, and what kinds of grammar it reads."""
