"""Keys and values of rows of different lengths, aligned at the right: the cache of a Hugging Face model, as a value.

A model sees the columns of its cache, not our lengths. Padding on the left keeps the distance between two columns equal
to the distance between their tokens, which sliding windows and position biases count, and puts every row's next token
into the same column. docs/decisions/0006-left-padded-caches.md has the whole story.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

COLUMNS = -2
"""The axis of keys and values (rows, heads, columns, width) along which rows grow."""


@dataclass(frozen=True, eq=False)
class KeyValues:
    """What a model has computed of its rows. Immutable: its tensors are read and copied, never written.

    tensors: keys, values, keys, values … of the layers, each (rows, heads, columns, width); row i's tokens are its last
             lengths[i] columns, what lies before them is never attended to. Empty before anything was read.
    lengths: how many tokens each row has.
    """

    tensors: tuple[Tensor, ...]
    lengths: tuple[int, ...]

    @property
    def columns(self) -> int:
        """How many columns the tensors have; as many as the longest row has tokens."""
        return max(self.lengths, default=0)

    def take(self, rows: Sequence[int]) -> Self:
        """These rows, in this order, without the columns that none of them uses."""
        lengths = tuple(self.lengths[row] for row in rows)
        unused = self.columns - max(lengths, default=0)
        index = torch.tensor(list(rows), dtype=torch.long)
        return type(self)(tuple(t[:, :, unused:].index_select(0, index.to(t.device)) for t in self.tensors), lengths)

    def join(self, other: Self) -> Self:
        """The rows of this, then the rows of the other; the narrower is padded on the left."""
        columns = max(self.columns, other.columns)
        pairs = zip(self.tensors, other.tensors, strict=True)
        joined = (torch.cat([_widened(a, columns), _widened(b, columns)]) for a, b in pairs)
        return type(self)(tuple(joined), self.lengths + other.lengths)

    def crop(self, lengths: Sequence[int]) -> Self:
        """The same rows, row i cut to its first lengths[i] tokens and shifted to the right again."""
        pairs = list(zip(lengths, self.lengths, strict=True))
        if not all(0 <= new <= old for new, old in pairs):
            raise ValueError(f"crop lengths must be in [0, {list(self.lengths)}]; got {list(lengths)}")
        ends = torch.tensor([self.columns - old + new for new, old in pairs])
        source = (ends[:, None] + torch.arange(-max(lengths), 0)).clamp(min=0)[:, None, :, None]
        cut = tuple(torch.take_along_dim(t, source.to(t.device), dim=COLUMNS) for t in self.tensors)
        return type(self)(cut, tuple(lengths))

    def opened(self) -> DynamicCache:
        """The same tensors as transformers wants them; a model that reads on makes longer ones and leaves these."""
        cache = DynamicCache()
        for keys, values in zip(self.tensors[::2], self.tensors[1::2], strict=True):
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
            cache.layers.append(layer)
        return cache

    @classmethod
    def closed(cls, cache: DynamicCache, lengths: Sequence[int]) -> Self:
        """The value that holds what a model has made of an opened one, now that its rows have these lengths."""
        return cls(tuple(t for layer in cache.layers for t in (layer.keys, layer.values)), tuple(lengths))


ALIBI = "bloom", "mpt"
"""Models that take no positions and need none, because they count distances between columns."""


OWN_MASK = ("git",)
"""Models that take a mask, and do not hide padding by it as others do."""


def suits(model: Any) -> bool:
    """Whether a model remembers keys and values of each layer and nothing else, and lets us say where its tokens stand:
    true of GPT-2, Llama and most, not of Mamba, of hybrids, or of layers that share or compress their keys.
    """
    takes = signature(model.forward).parameters
    placed = "position_ids" in takes or model.config.model_type in ALIBI
    if model._is_stateful or "past_key_values" not in takes or not placed or model.config.model_type in OWN_MASK:
        return False
    if any(hasattr(part, "create_position_ids_from_input_ids") for part in model.modules()):
        return False  # RoBERTa and its kin, whose first position is not 0
    plain = DynamicLayer, DynamicSlidingWindowLayer
    return all(type(layer) in plain for layer in DynamicCache(config=model.config).layers)


def _widened(t: Tensor, columns: int) -> Tensor:
    return pad(t, (0, 0, columns - t.shape[COLUMNS], 0))
