"""Mirostat: a ceiling on surprise that falls when the drawn token was more surprising than wanted, and rises if less.

The surprise of a token is −log2 of its probability, in bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np

from logitherm.arrays import Array, count, descending, gather, keep, like, log_softmax, namespace, only, top
from logitherm.rules.base import SLACK, Numbers, Rule, choice, parameter
from logitherm.rules.memory import asked
from logitherm.state import At, Step

BIT = log(2.0)
"""Nats in a bit."""

RANKS = 100
"""From how many of the likeliest tokens version 1 reads the slope of the row."""

FLAT = 1e-12
"""The least slope, which is divided by."""


@dataclass(frozen=True)
class Mirostat(Rule, name="mirostat"):
    """Remove tokens more surprising than a ceiling mu, which after each token moves so that the mean surprise is tau.

    tau: the wanted surprise of the drawn tokens, bits, > 0; one, or one a row. inf is neutral. Usual 3 to 5.
    eta: how far mu moves for each bit of error, ≥ 0. Usual 0.1; the paper's code uses 1.
    version: 2 (the default) keeps the tokens with −log2 p ≤ mu. 1 keeps the k likeliest, k = floor of
       (e · 2^mu / (1 − V^−e))^(1/s), at least 1, with e = s − 1, V the size of the vocabulary, and s the slope of the
       100 likeliest tokens: s = Σ t·b / Σ t², t = log((i + 1) / i), b = log(p of rank i / p of rank i + 1), i from 1.
    surprise: of the drawn token: "raw", under the model's own probabilities before any rule (the default, as in the
       paper's code), or "sampled", under those that it was drawn with, after the whole chain (as in llama.cpp). They
       are two controllers: the second sees less surprise, and so removes less.
    mu starts at 2·tau; after each token mu becomes mu − eta · (surprise − tau). Numbers may be a list with one value a
    row, or a schedule. p is of what this rule receives; put it last, after the temperature.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf. The likeliest
    token always stays, and so does what ties with it, or with the k-th; a surprise of exactly mu, to one part in a
    million, is not above it. A row with one token left has no slope: it stays. A forced token that was impossible
    (probability 0) teaches nothing. Where the text cannot reach tau, mu grows without end (here as in both sources).
    Raises RecipeError if a number is out of its range.
    Source: Basu et al., "Mirostat", arXiv:2007.14966, as its authors' mirostat.py has it (basusourya/mirostat, commit
    444fce24); llama.cpp (src/llama-sampler.cpp, commit 00efb3e1): version 2, the 100 tokens and the rounding of k.
    Example: p = [1/2, 1/4, 1/8, 1/8] has surprises 1, 2, 3, 3, so mirostat(1.0), whose mu starts at 2, keeps tokens 0
    and 1. If 0 is drawn the error is 0; if 1 is, mu becomes 2 − 0.1 · (2 − 1) = 1.9 and only token 0 stays.
    """

    tau: Numbers = parameter("a number > 0, or inf (= off)", lambda t: t > 0, unit="bits")
    eta: Numbers = parameter("a finite number >= 0", lambda e: 0 <= e < inf, unit="bits of mu per bit", default=0.1)
    version: int = parameter("1 or 2", lambda v: v in (1, 2), unit="version", default=2, whole=True)
    surprise: str = choice("raw", "sampled", default="raw")

    neutral = {"tau": inf}
    examples = ({"tau": 1.9}, {"tau": 2.9, "eta": 0.5, "version": 1, "surprise": "sampled"})

    def init(self, rows: int) -> np.ndarray:
        """(rows,) mu in bits, NaN before the first token, when it is 2·tau."""
        return np.full(rows, np.nan)

    def ceiling(self, at: At) -> np.ndarray:
        """(rows,) mu in bits."""
        return np.where(np.isnan(at.memory), 2 * np.asarray(at.values(self.tau)), at.memory)

    def apply(self, logits: Array, at: At) -> Array:
        """The logits at or below the ceiling of surprise."""
        mu = like(self.ceiling(at), logits)[:, None]
        versions = set(at.values(self.version))
        first = logits >= gather(descending(logits), rank(logits, mu) - 1) if 1 in versions else None
        second = (-log_softmax(logits) / BIT <= mu * (1 + SLACK)) | (logits == top(logits)) if 2 in versions else None
        if first is None or second is None:
            return keep(logits, second if first is None else first)
        return keep(logits, namespace(logits).where(at.column(self.version) == 1, first, second))

    def advance(self, memory: np.ndarray, step: Step) -> np.ndarray:
        """The ceilings, moved by the surprise of the tokens just drawn."""
        at = asked(step)
        tau, eta = np.asarray(at.values(self.tau)), np.asarray(at.values(self.eta))
        mu = np.where(np.isnan(memory), 2 * tau, memory)
        with np.errstate(invalid="ignore"):  # a row may have nothing left where tokens are forced
            surprise = -(step.raw_logprobs if self.surprise == "raw" else step.final_logprobs) / BIT
        learns = np.isfinite(surprise) & np.isfinite(tau)
        error = np.where(learns, surprise, 0.0) - np.where(learns, tau, 0.0)
        moved: np.ndarray = mu - eta * error
        return moved


def rank(logits: Array, mu: Array) -> Array:
    """The k of version 1 at the ceilings mu, (rows, 1), whole numbers from 1 to the tokens not removed."""
    xp = namespace(logits)
    down = descending(logits)[:, :RANKS]
    pairs = xp.isfinite(down[:, 1:])
    places = np.arange(1, down.shape[1])
    t = only(like(np.log((places + 1) / places), logits), pairs)
    b = only(down[:, :-1] - only(down[:, 1:], pairs), pairs)
    squares, one = xp.sum(t * t, axis=-1, keepdims=True), xp.ones_like(mu)
    s = xp.sum(t * b, axis=-1, keepdims=True) / xp.where(squares > 0, squares, one)
    size = log(max(2, logits.shape[-1]))
    e = xp.where(s == 1, one, s - 1)
    scale = xp.where(s == 1, one / size, e / -xp.expm1(-e * size))
    with np.errstate(over="ignore"):  # a ceiling far above all
        k = xp.floor(xp.exp((xp.log(scale) + mu * BIT) / xp.clip(s, FLAT, None)))
    return xp.clip(k, one, like(count(xp.isfinite(logits)), mu))
