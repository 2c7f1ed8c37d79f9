"""A cutoff by entropy: what stays may be a given part as uncertain as the row it came from.

Two forms: the paper's compares entropies; that of transformers compares sums of −p log p over the first 100 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from logitherm.arrays import Array, count, descending, gather, keep, namespace, only, softmax, surprisal, top
from logitherm.rules.base import SLACK, Cutoff, Numbers, choice, parameter
from logitherm.state import At

FIRST = 100
"""How many tokens transformers' form looks at (top_n there)."""


def spent(down: Array) -> Array:
    """The sums of the first 1, 2, … terms −p log p of logits sorted downwards, p being of the first 100; inf beyond."""
    xp = namespace(down)
    some = down[:, :FIRST]
    terms = xp.cumsum(softmax(some) * surprisal(some), axis=-1)
    return xp.concatenate([terms, xp.full_like(down[:, FIRST:], inf)], axis=-1)


def growing(down: Array) -> Array:
    """The entropy, nats, of the first 1, 2, … of logits sorted downwards; -inf ones add nothing.

    With w = exp(l − l₁) and M their sum it is log M − Σ w log w / M; both terms are sums of numbers ≥ 0, so that even
    an entropy of 1e-20 is right in its first digits.
    """
    xp = namespace(down)
    z = down - down[:, :1]
    w = xp.exp(z)
    others = xp.concatenate([xp.zeros_like(w[:, :1]), xp.cumsum(w[:, 1:], axis=-1)], axis=-1)
    return xp.log1p(others) - xp.cumsum(w * only(z, xp.isfinite(z)), axis=-1) / (1 + others)


@dataclass(frozen=True)
class TopH(Cutoff, name="top_h"):
    """Add tokens from the likeliest down while the entropy of what is kept stays within alpha times the row's.

    alpha: the part of the row's entropy, in (0, 1]; one, or one a row. 1 is off. Usual 0.4; smaller is stricter.
    form: "paper" (unless given): both entropies are true ones, of the kept tokens with their masses brought to sum 1,
       and of all that this rule receives. "transformers": only the 100 likeliest tokens count and can stay, with masses
       that sum to 1; added up are their terms −p log p as they are, of which alpha is the part. 1 keeps all 100.
    The likeliest token always stays.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens that tie with the last one added all stay, so the bound may be passed by them, and by nothing else. A
    bound that is met exactly, to one part in a million, holds.
    Raises RecipeError if alpha is outside (0, 1].
    Source: Potraghloo, Azizi, Kundu, Pedram, "Top-H Decoding: Adapting the Creativity and Coherence with Bounded
    Entropy in Text Generation", NeurIPS 2025, arXiv:2509.02510, algorithm 1; TopHLogitsWarper of transformers 5.23
    (logits_process.py), another rule under the same name (docs/differences.md).
    Example: p = [.4, .3, .2, .1] has H = 1.2799, and its first two and three have .6829 and 1.0609, so top_h(0.6)
    with a bound of .7679 keeps two, top_h(0.4) with .5119 one, and top_h(0.9) with 1.1519 three. Its terms add up to
    .3665, .7277, 1.0496, 1.2799, so top_h(0.9, form="transformers") keeps three, and at 0.6 two.
    """

    alpha: Numbers = parameter("in (0, 1]", lambda a: 0 < a <= 1, unit="part of the entropy")
    form: str = choice("paper", "transformers", default="paper")

    neutral = {"alpha": 1.0, "form": "paper"}
    examples = ({"alpha": 0.4}, {"alpha": 0.8}, {"alpha": 0.05}, {"alpha": 0.6, "form": "transformers"})
    steers = "alpha", ">="

    def reached(self, down: Array) -> tuple[Array, Array]:
        """What is compared, after the first 1, 2, … of logits sorted downwards, and its value for them all."""
        h = growing(down) if self.form == "paper" else spent(down)
        size = h.shape[-1] if self.form == "paper" else min(h.shape[-1], FIRST)
        return h, gather(h, size - 1)

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the last token added."""
        down = descending(logits)
        h, whole = self.reached(down)
        alpha = at.column(self.alpha)
        inside = (h <= alpha * (1 + SLACK) * whole) | (down == top(logits))
        return gather(down, count(inside) - 1)

    def critical(self, logits: Array, token: int) -> Array:
        """What is reached with the token, over the whole, over 1 + 1e-6; 0 for the maxima, 2 where no alpha will do."""
        h, whole = self.reached(descending(logits))
        rank = count(logits > gather(logits, token))
        whole = whole * (1 + SLACK)
        part = gather(h, rank) / namespace(h).where(whole > 0, whole, namespace(h).ones_like(whole))
        return keep(keep(part, part < inf, 2.0), rank > 0, 0.0)
