"""DRY ("don't repeat yourself"): the longer the repeat that a token would go on with, the less likely it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, log
from typing import Any, Self

import numpy as np

from logitherm.arrays import Array, like
from logitherm.errors import RecipeError
from logitherm.rules.base import Numbers, Rule, is_text, listed, parameter
from logitherm.rules.sequences import Run, run
from logitherm.state import At
from logitherm.vocabulary import Vocabulary

LARGEST = 88.7228391
"""base^x stops at exp of this, near the largest float32, as in llama.cpp."""

BREAKERS = ("\n", ":", '"', "*")
"""llama.cpp's default sequence breakers."""

LONGEST, MOST_TOKENS = 40, 20
"""Bytes that a breaker may have, and how many of its tokens after the first are looked at."""


def breaker(name: str, value: Any) -> str | Run:
    """A text, which `bind` turns into runs of ids, or such a run."""
    if isinstance(value, str):
        if not is_text(value) or not 0 < len(value.encode()) <= LONGEST:
            raise RecipeError(f"{name} must be texts of 1 to {LONGEST} bytes, or runs of ids; got {value!r} in it")
        return value
    return run(name, value)


def spelled(text: str, vocabulary: Vocabulary) -> Iterator[Run]:
    """The runs of tokens that spell a text: each token that holds it; each that ends within it, and what follows."""
    wanted = text.encode()
    rests: dict[int, list[int]] = {}
    for token in range(vocabulary.size):
        word = vocabulary.bytes_of(token)
        if wanted in word:
            yield (token,)
            continue
        for cut in range(1, len(wanted)):
            if word.endswith(wanted[:cut]):
                if cut not in rests:
                    start = len(vocabulary.encode(""))  # the model's start token, which no text has inside
                    rests[cut] = vocabulary.encode(wanted[cut:].decode(errors="ignore"))[start:][:MOST_TOKENS]
                yield (token, *rests[cut])


@lru_cache
def by_first(breakers: tuple[Run, ...]) -> dict[int, list[Run]]:
    """The breakers by their first token, without it."""
    found: dict[int, list[Run]] = {}
    for first, *rest in breakers:
        found.setdefault(first, []).append(tuple(rest))
    return found


def unbroken(tokens: Sequence[int], breakers: dict[int, list[Run]]) -> int:
    """How many tokens stand after the last breaker: no repeat counts for more."""
    n = len(tokens)
    for i in range(n):
        rests = breakers.get(tokens[n - 1 - i], ())
        ended = [len(r) for r in rests if len(r) <= i and tuple(tokens[n - i : n - i + len(r)]) == r]
        if ended:
            return i - max(ended)
    return n


def repeats(tokens: Sequence[int]) -> list[int]:
    """For each k how many of the last tokens also stand k places earlier; 0 for k = 0. At most 2n comparisons.

    The Z-algorithm, read from the end: what lies within a repeat that is known already need not be compared again.
    """
    back = list(reversed(tokens))
    n = len(back)
    lengths = [0] * n
    left = right = 0  # back[left:right] is equal to back[: right - left], and reaches farthest
    for k in range(1, n):
        length = max(0, min(lengths[k - left], right - k))
        if k + length >= right:
            while k + length < n and back[length] == back[k + length]:
                length += 1
            left, right = k, k + length
        lengths[k] = length
    return lengths


def longest(tokens: Sequence[int], allowed: int, breakers: dict[int, list[Run]]) -> dict[int, int]:
    """The tokens that would go on with a repeat of allowed tokens or more, each with the longest such repeat."""
    limit = unbroken(tokens, breakers)
    found: dict[int, int] = {}
    if limit < allowed:
        return found
    for k, length in enumerate(repeats(tokens)[1:], 1):
        following = tokens[len(tokens) - k]
        if min(length, limit) >= found.get(following, allowed):
            found[following] = min(length, limit)
    return {token: length for token, length in found.items() if () not in breakers.get(token, ())}


@dataclass(frozen=True)
class Dry(Rule, name="dry"):
    """Subtract multiplier · base^(r − allowed_length) where a token would go on with a repeat of r tokens.

    r: of the text's last tokens, how many also stand, in this order, before an earlier occurrence of the token; the
       longest such repeat counts. Nothing is subtracted while r is below allowed_length.
    multiplier: what is subtracted at r = allowed_length, logits, ≥ 0; one, or one a row, or a schedule. 0 is neutral.
       Usual 0.8.
    base: how fast that grows with each further token, ≥ 1; 1.75 unless given. The power stops at e^88.7.
    allowed_length: the longest repeat that costs nothing is one shorter; a whole number ≥ 0; 2 unless given.
    window: how many of the last tokens are looked at, prompt and output, a whole number ≥ 1; all unless given.
    breakers: where a repeat is broken off: r counts no token up to the last breaker, and a breaker of one token never
       becomes less likely. Texts, which `sampler.bind(vocabulary)` turns into runs of ids (`generate` does so), or runs
       of ids. Newline, colon, double quote and asterisk unless given; [] for none. A text is broken wherever it
       is spelled by one token with more around it, or begins at the end of a token and goes on as the vocabulary
       encodes the rest.
    logits (rows, vocabulary) float64 -> the same shape; removed tokens stay removed. The work grows as the window.
    Raises RecipeError if a number is out of its range, and at the first step if breakers are texts still.
    Source: llama.cpp (src/llama-sampler.cpp, commit 00efb3e1, llama_sampler_dry; after koboldcpp pull request 982).
    Example: after 0 1 2 3 0 1 2 the last three tokens stood before a 3, so dry(0.8, breakers=[]) subtracts
    .8 · 1.75^(3 − 2) = 1.4 from logit 3 and nothing from the others; with breakers=[[1]] one token is left, r = 1, and
    it subtracts nothing.
    """

    multiplier: Numbers = parameter("a finite number >= 0 (0 = off)", lambda m: 0 <= m < inf, unit="logits")
    base: Numbers = parameter("a finite number >= 1", lambda b: 1 <= b < inf, unit="factor per token", default=1.75)
    allowed_length: int | Sequence[int] = parameter(
        "a whole number >= 0", lambda n: n >= 0, unit="tokens", default=2, whole=True
    )
    window: int | Sequence[int] | None = parameter(
        "a whole number >= 1", lambda w: w >= 1, unit="tokens", default=None, whole=True
    )
    breakers: Sequence[Any] = listed(breaker, "texts or runs of ids", unit="texts or token ids", default=BREAKERS)

    neutral = {"multiplier": 0.0}
    examples = (
        {"multiplier": 0.8, "breakers": []},
        {"multiplier": 2.0, "base": 1.3, "allowed_length": 1, "window": 4, "breakers": [[2], [3, 2]]},
    )

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with its breakers as runs of ids."""
        texts = [b for b in self.breakers if isinstance(b, str)]
        if not texts:
            return self
        runs = {b for b in self.breakers if not isinstance(b, str)}
        return replace(self, breakers=tuple(sorted(runs.union(*(spelled(text, vocabulary) for text in texts)))))

    def apply(self, logits: Array, at: At) -> Array:
        """The logits less the penalties."""
        multipliers = at.values(self.multiplier)
        if not any(multipliers):
            return logits
        if any(isinstance(b, str) for b in self.breakers):
            raise RecipeError("Dry.breakers must be runs of ids by now: bind the sampler to a model, or breakers=[]")
        amounts = np.zeros(tuple(logits.shape))
        settings = zip(multipliers, *map(at.values, (self.base, self.allowed_length, self.window)), strict=True)
        breakers = by_first(tuple(self.breakers))
        for row, (tokens, (multiplier, base, allowed, window)) in enumerate(
            zip(at.state.tokens, settings, strict=True)
        ):
            most = int(LARGEST / log(base)) if base > 1 else inf
            past = tokens[-window:] if window else tokens
            for token, length in longest(past.tolist(), allowed, breakers).items() if multiplier else ():
                if token < amounts.shape[1]:
                    amounts[row, token] = multiplier * base ** min(length - allowed, most)
        return logits - like(amounts, logits)
