"""Keys and values of rows of different lengths, aligned at the right: the cache of a Hugging Face model, as a value.

A model sees the columns of its cache, not our lengths. Padding on the left keeps the distance between two columns equal
to the distance between their tokens, which sliding windows and position biases count, and puts every row's next token
into the same column. docs/decisions/0006-left-padded-caches.md has the whole story.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from logitherm.models.places import Places

COLUMNS = -2
"""The axis of keys and values (slots, heads, columns, width) along which rows grow."""

SPARE = 64
"""The fewest columns to allocate beyond need. Buffers at least double, so that a step costs the same on average."""


class KeyValues:
    """What a model has computed of its rows. Immutable: nothing that a living value sees is ever written.

    tensors: keys, values, keys, values … of the layers, each (slots, heads, columns, width); read them, never write.
    lengths: how many tokens each row has.
    places:  where its rows lie: row i's tokens are the last lengths[i] columns before places.ends[i], which is the same
             for all; what lies before them is finite and never attended to. Unless given, all of the tensors.
    """

    def __init__(self, tensors: Sequence[Tensor], lengths: Sequence[int], places: Places | None = None) -> None:
        self.tensors = tuple(tensors)
        self.lengths = tuple(lengths)
        rows = len(self.lengths)
        self._places = places or Places(tuple(range(rows)), (self.tensors[0].shape[COLUMNS],) * rows)

    @classmethod
    def closed(cls, cache: DynamicCache, lengths: Sequence[int]) -> KeyValues:
        """The value that holds what a model has made of an empty cache."""
        return cls([t for layer in cache.layers for t in (layer.keys, layer.values)], lengths)

    @property
    def columns(self) -> int:
        """How many columns a model sees; as many as the longest row has tokens."""
        return max(self.lengths, default=0)

    @property
    def _end(self) -> int:
        return max(self._places.ends, default=0)

    def take(self, rows: Sequence[int]) -> KeyValues:
        """These rows, in this order. Copies nothing; the next step moves what does not lie side by side."""
        slots, ends = (tuple(of[row] for row in rows) for of in (self._places.slots, self._places.ends))
        return KeyValues(self.tensors, [self.lengths[row] for row in rows], self._places.part(slots, ends))

    @torch.inference_mode()
    def join(self, other: KeyValues) -> KeyValues:
        """The rows of this, then the rows of the other, which are copied into slots that nobody sees, if there are."""
        end, columns = self._end, other.columns
        slots = self._places.unseen(len(self.tensors[0]))[: len(other.lengths)]
        places = None
        if columns <= end and len(slots) == len(other.lengths):
            starts = self._places.ends + (0,) * len(slots)
            places = self._places.claim(self._places.slots + slots, starts, (end,) * len(starts))
        if places is None:
            wider = self._copied(max(self.columns, columns), slots=len(self.lengths) + len(other.lengths))
            return wider.join(other)
        for mine, theirs in zip(self.tensors, other._side_by_side(), strict=True):
            for slot, row in zip(slots, theirs, strict=True):
                mine[slot, :, : end - columns] = 0  # who was there before may have left a NaN, which no mask hides
                mine[slot, :, end - columns : end] = row
        return KeyValues(self.tensors, self.lengths + other.lengths, places)

    @torch.inference_mode()
    def crop(self, lengths: Sequence[int]) -> KeyValues:
        """The same rows, row i cut to its first lengths[i] tokens; copies nothing if all lose the same number."""
        pairs = list(zip(lengths, self.lengths, strict=True))
        if not all(0 <= new <= old for new, old in pairs):
            raise ValueError(f"crop lengths must be in [0, {list(self.lengths)}]; got {list(lengths)}")
        lost = {old - new for new, old in pairs}
        if len(lost) == 1:
            ends = tuple(end - min(lost) for end in self._places.ends)
            return KeyValues(self.tensors, lengths, self._places.part(self._places.slots, ends))
        last = torch.tensor([self.columns - old + new for new, old in pairs])
        source = (last[:, None] + torch.arange(-max(lengths), 0)).clamp(min=0)[:, None, :, None]
        cut = [torch.take_along_dim(t, source.to(t.device), dim=COLUMNS) for t in self._side_by_side()]
        return KeyValues(cut, lengths)

    def opened(self) -> tuple[KeyValues, DynamicCache]:
        """The value after one more token a row, and the cache through which a model writes that token's column."""
        end, slots = self._end, self._places.in_line()
        places = None
        if end < self.tensors[0].shape[COLUMNS] and len(slots) <= len(self.tensors[0]):  # room for rows taken twice
            starts = tuple(end if new == old else 0 for new, old in zip(slots, self._places.slots, strict=True))
            places = self._places.claim(slots, starts, (end + 1,) * len(slots))
        if places is None:
            return self._copied(self.columns, spare=max(SPARE, self.columns)).opened()
        moved = [(new, old) for new, old in zip(slots, self._places.slots, strict=True) if new != old]
        for t in self.tensors:
            for new, old in moved:
                t[new, :, :end] = t[old, :, :end]
        cache, start = DynamicCache(), end - self.columns
        rows = slice(slots[0], slots[0] + len(slots))
        used = self.tensors if len(slots) == len(self.tensors[0]) else [t[rows] for t in self.tensors]
        cache.layers = [Layer(pair, start, end) for pair in zip(used[::2], used[1::2], strict=True)]
        return KeyValues(self.tensors, [length + 1 for length in self.lengths], places), cache

    def _side_by_side(self) -> list[Tensor]:
        """The tensors (rows, heads, columns, width) of just these rows and columns."""
        slots, end = self._places.slots, self._end
        line = self._places.in_line()
        rows = slice(line[0], line[0] + len(line)) if line == slots else list(slots)
        return [t[rows, :, end - self.columns : end] for t in self.tensors]

    def _copied(self, columns: int, spare: int = 0, slots: int = 0) -> KeyValues:
        """The same rows in buffers of their own, of so many slots, padded on the left to so many columns, with spare
        ones on the right.
        """
        copies, rows = [], len(self.lengths)
        for t in self._side_by_side():
            copy = t.new_empty(max(slots, rows), t.shape[1], columns + spare, t.shape[3])
            copy[:rows, :, : columns - self.columns] = 0
            copy[:rows, :, columns - self.columns : columns] = t
            copies.append(copy)
        return KeyValues(copies, self.lengths, Places(tuple(range(rows)), (columns,) * rows))


class Layer(DynamicLayer):  # type: ignore[misc]
    """One layer of an opened cache, which writes the new column into its buffers; a DynamicLayer copies the past.

    buffers: its keys and values, (rows, heads, columns, width) each.
    start, end: the columns that the model has filled so far.
    """

    is_initialized = True

    def __init__(self, buffers: tuple[Tensor, Tensor], start: int, end: int) -> None:
        self._buffers, self._start, self._end = buffers, start, end  # what else a layer has, this one never asks for

    @property
    def keys(self) -> Tensor:
        """The keys so far."""
        return self._buffers[0][:, :, self._start : self._end]

    @property
    def values(self) -> Tensor:
        """The values so far."""
        return self._buffers[1][:, :, self._start : self._end]

    def get_seq_length(self) -> int:
        """How many columns there are."""
        return self._end - self._start

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the keys and values of the new column; returns those of all columns."""
        begin, self._end = self._end, self._end + key_states.shape[COLUMNS]
        self._buffers[0][:, :, begin : self._end] = key_states
        self._buffers[1][:, :, begin : self._end] = value_states
        return self.keys, self.values


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
