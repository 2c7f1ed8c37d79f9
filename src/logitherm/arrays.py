"""The array operations that rules may use, the same for NumPy arrays and torch tensors.

Both libraries share most names (`exp`, `where`, `amax`, `cumsum`, with `axis=` and `keepdims=`), so a rule's body is
written once on `xp = namespace(x)`. This file holds only where they differ, and what several rules need.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A NumPy array or a torch tensor; logits are (rows, vocabulary), float64 inside a chain, -inf where removed."""

NEG_INF = float("-inf")


def is_torch(x: object) -> bool:
    """Whether x is a torch tensor; never imports torch to find out."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)  # another thread may be importing torch just now
    return tensor is not None and isinstance(x, tensor)


def namespace(x: Array) -> Any:
    """The module whose functions work on x: numpy or torch."""
    return sys.modules["torch"] if is_torch(x) else np


def float64(x: Array) -> Array:
    """A float64 copy of x in row order, on its own device, without gradient; lists become NumPy arrays.

    Always a copy, so that a step stays true when its caller reuses the buffer; always in row order, so that sums do not
    depend on how the caller's memory lies.
    """
    if is_torch(x):
        torch = sys.modules["torch"]
        return x.detach().to(torch.float64, copy=True, memory_format=torch.contiguous_format)
    return np.array(x, dtype=np.float64, order="C")


def numpy(x: Array) -> np.ndarray:
    """X as a NumPy array on the host."""
    return x.detach().cpu().numpy() if is_torch(x) else np.asarray(x)


def like(values: Any, x: Array) -> Array:
    """The numbers `values` as an array of x's library, device and dtype."""
    if is_torch(x):
        return sys.modules["torch"].as_tensor(values, dtype=x.dtype, device=x.device)
    return np.asarray(values, dtype=x.dtype)


def top(logits: Array) -> Array:
    """The largest logit of each row, (rows, 1); NaN where a row holds a NaN."""
    return namespace(logits).amax(logits, axis=-1, keepdims=True)


def descending(x: Array) -> Array:
    """Each row's values from largest to smallest."""
    if is_torch(x):
        return sys.modules["torch"].sort(x, dim=-1, descending=True).values
    return np.flip(np.sort(x, axis=-1), axis=-1)


def ascending(x: Array) -> Array:
    """The places of each row's values from smallest to largest; equal values in the order of their places."""
    if is_torch(x):
        return sys.modules["torch"].argsort(x, dim=-1, stable=True)
    return np.argsort(x, axis=-1, kind="stable")


def gather(x: Array, index: Any) -> Array:
    """The entries of each row at an index: (rows, 1) for one integer, else the shape of an array of them."""
    if isinstance(index, int):
        return x[:, index : index + 1]
    if is_torch(x):
        return sys.modules["torch"].take_along_dim(x, index.long(), dim=-1)
    return np.take_along_axis(x, index.astype(np.int64), axis=-1)


def first(mask: Array) -> Array:
    """(rows,) the index of the first true entry of each row."""
    return mask.int().argmax(dim=-1) if is_torch(mask) else mask.argmax(axis=-1)


def count(mask: Array) -> Array:
    """How many entries of each row are true, (rows, 1) integers."""
    return namespace(mask).sum(mask, axis=-1, keepdims=True)


def before(weights: Array) -> Array:
    """The running sum of each row up to but without each entry, left to right."""
    xp = namespace(weights)
    running = xp.cumsum(weights, axis=-1)
    return xp.concatenate([xp.zeros_like(running[:, :1]), running[:, :-1]], axis=-1)


def weights(logits: Array) -> Array:
    """exp(logit − largest logit): the probabilities but for their common divisor; removed tokens weigh 0."""
    return namespace(logits).exp(logits - top(logits))


def softmax(logits: Array) -> Array:
    """The probabilities of each row; removed tokens have 0."""
    w = weights(logits)
    return w / namespace(w).sum(w, axis=-1, keepdims=True)


def log_softmax(logits: Array) -> Array:
    """The log-probabilities of each row in nats; removed tokens have -inf."""
    xp = namespace(logits)
    shifted = logits - top(logits)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def surprisal(logits: Array) -> Array:
    """−log p of each kept token in nats, and 0 for removed ones, so that p · surprisal is always finite."""
    xp = namespace(logits)
    logp = log_softmax(logits)
    return xp.where(xp.isfinite(logp), -logp, xp.zeros_like(logp))


def entropy(logits: Array) -> Array:
    """The Shannon entropy of each row in nats, (rows, 1)."""
    return namespace(logits).sum(softmax(logits) * surprisal(logits), axis=-1, keepdims=True)


def keep(values: Array, mask: Array, otherwise: float = NEG_INF) -> Array:
    """The values where the mask is true, -inf (or another number) elsewhere; what stays is untouched."""
    return namespace(values).where(mask, values, like(otherwise, values))


def only(values: Array, mask: Array) -> Array:
    """The values where the mask is true, 0 elsewhere, whatever stood there."""
    return keep(values, mask, 0.0)


def greedy(logits: Array) -> Array:
    """Keep one token a row: the lowest id among the largest logits."""
    xp = namespace(logits)
    tied = logits == top(logits)
    return keep(logits, tied & (xp.cumsum(tied, axis=-1) == 1))
