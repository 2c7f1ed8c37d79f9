"""Models that run in ONNX Runtime from a folder made by training/export.py; Nutshell, which ships with Logitherm, is
one.

A folder holds model.onnx (its inputs and outputs are described in training/export.py), tokenizer.json and model.json
(name, context, start, eos, and for people about and parameters). Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from logitherm.errors import BackendUnavailable, ModelError, PromptError
from logitherm.models.byte_level import ByteLevel
from logitherm.models.onnx_cache import OnnxCache

FILES = "model.onnx", "tokenizer.json", "model.json"
NUTSHELL = Path(__file__).parent / "nutshell"
SILENT = "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"
"""Variables that keep ONNX Runtime from reporting its use over the network and from writing a device id into the
user's cache, as its builds (1.31 was looked at) do unless told otherwise. Whoever sets them keeps their own choice."""


class OnnxModel:
    """A Llama in ONNX Runtime, with its key/value cache.

    folder:  where model.onnx, tokenizer.json and model.json are.
    threads: how many CPU threads one matrix product may use; 1 is fastest for a model of a few million parameters.
    Logits are float32 and belong to this machine: another processor or another batch size may round them differently.
    Raises ModelError if a file is missing or broken, BackendUnavailable without onnxruntime.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        for name in FILES:
            if not (folder / name).is_file():
                raise ModelError(f"the model folder {folder} has no {name}; training/export.py writes such folders")
        try:
            card: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
            self.name = str(card["name"])
            self.context: int | None = int(card["context"])
            self.about = str(card.get("about", ""))
            self.parameters: int | None = int(card["parameters"]) if "parameters" in card else None
            start, eos = int(card["start"]), [int(token) for token in card["eos"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"cannot read {folder / 'model.json'}: {error!r}") from None
        self._folder = folder
        self.vocabulary = ByteLevel(folder / "tokenizer.json", start, eos)
        self._session = _session(folder / "model.onnx", threads)
        self._caches = [i.name for i in self._session.get_inputs() if i.name.startswith(("key.", "value."))]
        if not self._caches:
            raise ModelError(f"{folder / 'model.onnx'} has no inputs key.0, value.0 …; training/export.py writes them")
        _, self._heads, _, self._width = self._session.get_inputs()[-1].shape
        width = self._session.get_outputs()[0].shape[1]
        if width != self.vocabulary.size:
            raise ModelError(
                f"{folder}: the model gives {width} logits, the tokenizer has {self.vocabulary.size} tokens"
            )

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of its files, one after the other."""
        files = (self._folder / name for name in FILES)
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, OnnxCache]:
        """Next-token logits (rows, vocabulary) float32 after the prompts, and the cache.

        Raises PromptError if a prompt is empty or longer than the context.
        """
        for row in rows:
            if not 0 < len(row) <= (self.context or len(row)):
                raise PromptError(f"a prompt must have 1 to {self.context} tokens for {self.name}; got {len(row)}")
        counts = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.zeros((len(rows), counts.max(initial=0)), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        empty = np.zeros((len(rows), self._heads, 0, self._width), dtype=np.float32)
        logits, new = self._run(ids, np.zeros_like(counts), counts - 1, [empty] * len(self._caches))
        return logits, OnnxCache.of(new, counts)

    def step(self, ids: Sequence[int], cache: OnnxCache) -> tuple[np.ndarray, OnnxCache]:
        """Next-token logits (rows, vocabulary) float32 after one more token a row, and the new cache.

        Raises PromptError if a row is full.
        """
        after = cache.grown()
        if self.context is not None and (longest := int(after.lengths.max())) > self.context:
            raise PromptError(f"{self.name} holds {self.context} tokens; a row would get {longest}")
        new_ids = np.array(ids, dtype=np.int64)[:, None]
        logits, new = self._run(new_ids, cache.lengths, np.zeros(len(ids), dtype=np.int64), after.feed())
        after.write(new)
        return logits, after

    def _run(
        self, ids: np.ndarray, past: np.ndarray, last: np.ndarray, cached: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Logits, and the new keys and values; training/export.py says what the inputs are. The session copies none."""
        feed = {"ids": ids, "past": past, "last": last}
        logits, *new = self._session.run(None, feed | dict(zip(self._caches, cached, strict=True)))
        return logits, new


def _session(path: Path, threads: int) -> Any:
    for name in SILENT:
        os.environ.setdefault(name, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable("this model needs ONNX Runtime: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's exceptions share no public base
        raise ModelError(f"cannot read the model {path}: {error}") from None
