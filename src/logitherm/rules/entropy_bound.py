"""A cutoff by entropy: what stays may be a given part as uncertain as the row it came from."""

from __future__ import annotations

from dataclasses import dataclass

from logitherm.arrays import Array, count, descending, gather, keep, namespace, top
from logitherm.rules.base import SLACK, Cutoff, Numbers, parameter
from logitherm.state import At


def growing(down: Array) -> Array:
    """The entropy, nats, of the first 1, 2, … of logits sorted downwards; -inf ones add nothing.

    With w = exp(l − l₁) and M their sum it is log M − Σ w log w / M; both terms are sums of numbers ≥ 0, so that even
    an entropy of 1e-20 is right in its first digits.
    """
    xp = namespace(down)
    z = down - down[:, :1]
    w = xp.exp(z)
    others = xp.concatenate([xp.zeros_like(w[:, :1]), xp.cumsum(w[:, 1:], axis=-1)], axis=-1)
    return xp.log1p(others) - xp.cumsum(w * keep(z, xp.isfinite(z), 0.0), axis=-1) / (1 + others)


@dataclass(frozen=True)
class TopH(Cutoff, name="top_h"):
    """Add tokens from the likeliest down while the entropy of what is kept stays within alpha times the row's.

    alpha: the part of the row's entropy, in (0, 1]; one, or one a row. 1 is off. Usual 0.4; smaller is stricter.
       Both entropies are true ones: of the kept tokens with their masses brought to sum 1, and of all that this rule
       receives. The likeliest token always stays.
    logits (rows, vocabulary) float64 -> the same shape; what stays is untouched, the rest becomes -inf.
    Ties: tokens that tie with the last one added all stay, so the bound may be passed by them, and by nothing else. A
    bound that is met exactly, to one part in a million, holds.
    Raises RecipeError if alpha is outside (0, 1].
    Source: Potraghloo, Azizi, Kundu, Pedram, "Top-H Decoding: Adapting the Creativity and Coherence with Bounded
    Entropy in Text Generation", NeurIPS 2025, arXiv:2509.02510, algorithm 1. Not TopHLogitsWarper of transformers,
    which looks at 100 tokens and brings no masses to sum 1 (docs/differences.md).
    Example: p = [.4, .3, .2, .1] has H = 1.2799, and its first two and three have .6829 and 1.0609, so top_h(0.6)
    with a bound of .7679 keeps two, top_h(0.4) with .5119 one, and top_h(0.9) with 1.1519 three.
    """

    alpha: Numbers = parameter("in (0, 1]", lambda a: 0 < a <= 1, unit="part of the entropy")

    neutral = {"alpha": 1.0}
    examples = ({"alpha": 0.4}, {"alpha": 0.8}, {"alpha": 0.05})
    steers = "alpha", ">="

    def cutoff(self, logits: Array, at: At) -> Array:
        """The logit of the last token added."""
        down = descending(logits)
        h = growing(down)
        alpha = at.column(self.alpha)
        inside = (h <= alpha * (1 + SLACK) * h[:, -1:]) | (down == top(logits)) | (alpha >= 1)
        return gather(down, count(inside) - 1)

    def critical(self, logits: Array, token: int) -> Array:
        """The entropy with the token added, over the row's, over 1 + 1e-6; 0 for the maxima."""
        h = growing(descending(logits))
        rank = count(logits > gather(logits, token))
        whole = h[:, -1:] * (1 + SLACK)
        return keep(gather(h, rank) / keep(whole, whole > 0, 1.0), rank > 0, 0.0)
