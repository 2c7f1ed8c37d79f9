"""What others do for the same recipe: transformers' processors, torch by hand, NumPy by sorting and by hand.

A peer draws a token for each row of a batch, and shows the probabilities that it draws from, by the same code. Each is
in the best form that we know of, one row at a time where that is fastest on a processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.generation import logits_process as theirs

from benchmarks.recipes import Recipe

STAIRS = 1024, 16_384
"""How many of the likeliest tokens are tried for a nucleus before a whole row is sorted."""


@dataclass(frozen=True)
class Peer:
    """Somebody else's sampler.

    draw:          a token a row, for (rows, vocabulary) logits as `reads` gives them; may return the seconds that it
                   spent on the array it draws from.
    probabilities: those that it draws a row (vocabulary,) from.
    reads:         what it is handed, made of float32 rows before the clock runs.
    close:         how far its probabilities may be from ours, in total.
    """

    draw: Callable[[Any], float | None]
    probabilities: Callable[[np.ndarray], np.ndarray]
    reads: Callable[[np.ndarray], Any] = torch.from_numpy
    close: float = 1e-5


def transformers_peer(recipe: Recipe) -> Peer:
    """Its processors, softmax and multinomial, as its `generate` calls them.

    It has no temperature that follows the entropy: there it is top_p alone, which is less work.
    """
    processors: list[Any] = [theirs.TemperatureLogitsWarper(recipe.t)] if recipe.t != 1 else []
    processors += [theirs.TopKLogitsWarper(recipe.k)] if recipe.k else []
    processors += [theirs.TopPLogitsWarper(recipe.p)] if recipe.p < 1 else []
    processors += [theirs.MinPLogitsWarper(recipe.min_p)] if recipe.min_p else []

    @torch.no_grad()
    def shaped(scores: Any) -> Tensor:
        for processor in processors:
            scores = processor(None, scores)
        return torch.softmax(scores, dim=-1)

    def draw(logits: Tensor) -> None:
        torch.multinomial(shaped(logits), 1).squeeze(1)

    return Peer(draw, lambda row: shaped(torch.from_numpy(row)[None])[0].numpy())


def torch_peer(recipe: Recipe, size: int) -> Peer:
    """By hand: the k largest instead of a sort, memory made beforehand, one uniform number instead of multinomial."""
    room = torch.empty(size), torch.empty(size)
    narrowed = partial(_narrowed, recipe, room)

    @torch.no_grad()
    def draw(logits: Tensor) -> None:
        for row in logits:
            ids, weights = narrowed(row)
            summed = torch.cumsum(weights, -1, out=room[1][: len(weights)])
            place = torch.searchsorted(summed, torch.rand(1) * summed[-1], right=True).clamp_(max=len(weights) - 1)
            (place if ids is None else ids[place]).item()

    @torch.no_grad()
    def probabilities(row: np.ndarray) -> np.ndarray:
        ids, weights = narrowed(torch.from_numpy(row))
        found = torch.zeros(size)
        found[slice(None) if ids is None else ids] = weights
        return (found / found.sum()).numpy()

    return Peer(draw, probabilities)


def _narrowed(recipe: Recipe, room: tuple[Tensor, Tensor], row: Tensor) -> tuple[Tensor | None, Tensor]:
    """The tokens that stay, None if all do, and their weights."""
    if recipe.k:
        values, ids = torch.topk(row, recipe.k)
        weights = torch.softmax(values / recipe.t, -1)
        kept = int((weights.cumsum(-1) - weights < recipe.p).sum()) if recipe.p < 1 else recipe.k
        return ids[:kept], weights[:kept]
    if recipe.min_p:
        ids = torch.nonzero(row >= row.amax() + recipe.t * log(recipe.min_p))[:, 0]
        return ids, torch.softmax(row[ids] / recipe.t, -1)
    t = recipe.t
    if recipe.heat:
        whole = torch.logsumexp(row, -1)
        log_p = torch.sub(row, whole, out=room[0])
        t = recipe.heat[0] - recipe.heat[1] * float(torch.dot(torch.exp(log_p, out=room[1]), log_p))
    scaled = row if t == 1 else torch.mul(row, 1 / t, out=room[0])
    if recipe.p == 1:
        return None, torch.softmax(scaled, -1, out=room[0])
    whole = torch.logsumexp(scaled, -1)
    for k in (*(k for k in STAIRS if k < len(row)), len(row)):
        values, ids = torch.topk(scaled, k) if k < len(row) else torch.sort(scaled, descending=True)
        weights = values.sub_(whole).exp_()
        summed = weights.cumsum(-1)
        if summed[-1] >= recipe.p or k == len(row):
            break
    kept = int(torch.searchsorted(summed, recipe.p)) + 1
    return ids[:kept], weights[:kept]


def numpy_peer(recipe: Recipe, by_hand: bool) -> Peer:
    """As it is mostly written, sorting all ids by their logits; or by hand, without sorting ids."""
    narrowed, rng = partial(_by_hand if by_hand else _sorted, recipe), np.random.default_rng(0)

    def draw(rows: np.ndarray) -> None:
        for row in rows:
            ids, weights = narrowed(row)
            summed = np.cumsum(weights, dtype=np.float64)
            place = min(int(np.searchsorted(summed, rng.random() * summed[-1], side="right")), len(weights) - 1)
            int(place if ids is None else ids[place])

    def probabilities(row: np.ndarray) -> np.ndarray:
        ids, weights = narrowed(row)
        found = np.zeros(len(row))
        found[slice(None) if ids is None else ids] = weights / weights.sum()
        return found

    return Peer(draw, probabilities, lambda rows: rows)


def _heat(recipe: Recipe, row: np.ndarray) -> float:
    if recipe.heat is None:
        return recipe.t
    z = row - row.max()
    weights = np.exp(z)
    total = weights.sum()
    return recipe.heat[0] + recipe.heat[1] * float(np.log(total) - np.dot(weights, z) / total)


def _sorted(recipe: Recipe, row: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    z = row / np.float32(_heat(recipe, row))
    if not recipe.k and recipe.p == 1:
        weights = np.exp(z - z.max())
        weights[weights < recipe.min_p] = 0.0
        return None, weights
    ids = np.argsort(-z)[: recipe.k or None]
    weights = np.exp(z[ids] - z[ids[0]])
    summed = np.cumsum(weights, dtype=np.float64)
    kept = int(np.searchsorted(summed, recipe.p * summed[-1])) + 1 if recipe.p < 1 else len(ids)
    return ids[:kept], weights[:kept]


def _by_hand(recipe: Recipe, row: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    t, top, ids = _heat(recipe, row), row.max(), None
    if recipe.k:
        least = np.partition(row, len(row) - recipe.k)[-recipe.k]
        ids = np.flatnonzero(row >= least)
    elif recipe.min_p:
        ids = np.flatnonzero(row >= top + t * log(recipe.min_p))
    values = row if ids is None else row[ids]
    if recipe.p < 1:
        falling = np.sort(values)[::-1]
        summed = np.cumsum(np.exp((falling - top) * np.float32(1 / t)), dtype=np.float64)
        kept = values >= falling[min(int(np.searchsorted(summed, recipe.p * summed[-1])), len(falling) - 1)]
        ids = np.flatnonzero(kept) if ids is None else ids[kept]
        values = row[ids]
    return ids, np.exp((values - top) * np.float32(1 / t))
