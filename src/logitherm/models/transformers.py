"""Any causal language model of Hugging Face transformers, by name or folder, with its own tokenizer and cache.

The model's weights, its numbers and its tokenizer are taken as they are; its generation_config is not, but for the
tokens that end a text. No code from a model's repository ever runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from inspect import signature
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.cache_utils import DynamicCache
from transformers.utils import logging

from logitherm.errors import BackendUnavailable, ModelError, PromptError, RecipeError
from logitherm.models.callable import CallableModel
from logitherm.models.key_values import KeyValues, suits
from logitherm.models.tokens import Tokens

LONGEST = 300
"""How many characters of another library's error message one line may hold."""

DTYPES: dict[str, Any] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class TransformersModel:
    """A causal language model that transformers can load.

    name:   a folder in the Hugging Face layout, or a name, which transformers finds in its cache or on the hub.
    dtype:  what the weights are computed in: "bf16", "fp16", "fp32", or "auto", as they are stored.
    device: "cpu", "cuda", "cuda:1", "mps", or "auto": a GPU if there is one.
    Logits are torch tensors of that dtype on that device (from "mps", which has no float64, they come to the CPU).
    Models whose memory is not keys and values (Mamba and its hybrids) read each row from its first token at every step:
    slow, but right.
    Raises RecipeError for a wrong dtype or device, BackendUnavailable for a device that is not there, both before
    anything is loaded; ModelError if the model cannot be loaded, or if a part of its weights is missing.
    """

    def __init__(self, name: str | Path, dtype: str = "auto", device: str = "auto") -> None:
        if dtype != "auto" and dtype not in DTYPES:
            raise RecipeError(f"dtype must be auto, {', '.join(DTYPES)}; got {dtype!r}")
        self.device = _device(device)
        model, tokenizer = _loaded(str(name), DTYPES.get(dtype, "auto"))
        self._model = model.to(self.device).eval().requires_grad_(False)
        config = model.config.get_text_config(decoder=True)
        self.name = Path(name).resolve().name if Path(name).is_dir() else str(name)
        longest = getattr(config, "max_position_embeddings", None)
        self.context: int | None = longest if isinstance(longest, int) and longest > 0 else None
        width = int(getattr(model.get_output_embeddings(), "out_features", config.vocab_size))
        self.vocabulary = Tokens(tokenizer, width, _ends(model, config, tokenizer, width))
        self._takes = signature(model.forward).parameters.keys()
        self._looks_for_padding = config.pad_token_id is not None  # in ids that come without a mask, to warn of it
        self._anew = None if suits(model) else CallableModel(self._whole, self.vocabulary, name=self.name)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of its tokens and of its weights by name, in the dtype that it computes in."""
        digest = sha256("\n".join(map(repr, map(self.vocabulary.bytes_of, range(self.vocabulary.size)))).encode())
        for name, weights in sorted(self._model.state_dict().items()):
            digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
            digest.update(weights.detach().cpu().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    @torch.inference_mode()
    def prefill(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        """Next-token logits (rows, vocabulary) after the prompts, and the cache.

        Raises PromptError if a prompt is empty or longer than the context.
        """
        for row in rows:
            if not 0 < len(row) <= (self.context or len(row)):
                raise PromptError(f"a prompt must have 1 to {self.context} tokens for {self.name}; got {len(row)}")
        if self._anew:
            return self._anew.prefill(rows)
        longest = max(map(len, rows))
        padded = [[0] * (longest - len(row)) + list(row) for row in rows]
        lengths, cache = [len(row) for row in rows], DynamicCache()
        return self._read(padded, lengths, cache), KeyValues.closed(cache, lengths)

    @torch.inference_mode()
    def step(self, ids: Sequence[int], cache: Any) -> tuple[Tensor, Any]:
        """Next-token logits (rows, vocabulary) after one more token a row, and the new cache.

        Raises PromptError if a row is full.
        """
        if self._anew:
            return self._anew.step(ids, cache)
        longest = cache.columns + 1
        if self.context is not None and longest > self.context:
            raise PromptError(f"{self.name} holds {self.context} tokens; a row would get {longest}")
        after, opened = cache.opened()
        return self._read([[token] for token in ids], after.lengths, opened), after

    def _read(self, ids: list[list[int]], lengths: Sequence[int], cache: DynamicCache) -> Tensor:
        """Read some columns of ids, after which row i has lengths[i] tokens; logits of the last column."""
        new, columns = len(ids[0]), max(lengths)
        feed = {
            "input_ids": torch.tensor(ids),
            "position_ids": torch.tensor([[max(0, place) for place in range(n - new, n)] for n in lengths]),
        }
        if self._looks_for_padding or min(lengths) < columns:
            feed["attention_mask"] = (torch.arange(columns) >= columns - torch.tensor(lengths)[:, None]).long()
        return self._forward(feed, cache)

    @torch.inference_mode()
    def _whole(self, ids: list[int]) -> Tensor:
        """Logits (vocabulary,) after a whole row, without a cache."""
        return self._forward({"input_ids": torch.tensor([ids])})[0]

    def _forward(self, tensors: dict[str, Tensor], cache: DynamicCache | None = None) -> Tensor:
        """Logits of the last column, (rows, vocabulary), in memory of their own."""
        feed: dict[str, Any] = {name: tensor.to(self.device) for name, tensor in tensors.items() if name in self._takes}
        if "logits_to_keep" in self._takes:  # or a long prompt would cost as many rows of logits as it has tokens
            feed["logits_to_keep"] = 1  # the last column, which is every row's last token
        if cache is not None:
            feed["past_key_values"] = cache
        logits: Tensor = self._model(**feed, use_cache=cache is not None, return_dict=True).logits
        last = logits[:, -1].clone() if logits.shape[1] > 1 else logits[:, 0]  # the others are not kept alive
        return last.cpu() if self.device.type == "mps" else last


def _device(name: str) -> torch.device:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise RecipeError(f"device must be auto, cpu, mps, cuda or cuda:N; got {name!r}")
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if name == "auto":
        name = next(kind for kind, count in there.items() if count)
    device = torch.device(name)
    if (device.index or 0) >= there[device.type]:
        raise BackendUnavailable(f"the device {name!r} is not there; this machine has {_listed(there)}")
    return device


def _listed(there: dict[str, int]) -> str:
    return ", ".join(kind if index == 0 else f"{kind}:{index}" for kind, n in there.items() for index in range(n))


def _loaded(name: str, dtype: Any) -> tuple[Any, Any]:
    """The model and the tokenizer of a folder or a name."""
    with _quiet(bars=not Path(name).is_dir()):
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                name, dtype=dtype, output_loading_info=True, trust_remote_code=False
            )
        except ImportError as error:
            raise BackendUnavailable(f"cannot load the model {name!r}: {_line(error)}") from error
        except Exception as error:  # the library's exceptions share no public base
            raise ModelError(_why(name, error)) from None
    if missing := sorted(report["missing_keys"]):  # transformers goes on with random numbers instead
        raise ModelError(f"the model {name!r} lacks {len(missing)} of its weights, such as {missing[0]}")
    if len(tokenizer) <= len(tokenizer.added_tokens_decoder):  # an empty one, made up where there are no files
        raise ModelError(f"the model {name!r} has no tokenizer")
    return model, tokenizer


@contextmanager
def _quiet(bars: bool) -> Iterator[None]:
    """Keep transformers' advice off standard error, and its progress bars too unless there may be a download."""
    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = getLogger("huggingface_hub")  # which tells of every attempt to reach the hub
    told = hub.level
    hub.setLevel(ERROR)
    logging.set_verbosity_error()
    if not bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub.setLevel(told)
        if shown:
            logging.enable_progress_bar()


def _why(name: str, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"the model {name!r} needs Python code from its own repository, which Logitherm does not run"
    if isinstance(error, OSError):
        return f"there is no model {name!r} that transformers can load: {_line(error)}"
    return f"cannot load the model {name!r}: {_line(error)}"


def _line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:LONGEST] or repr(error)


def _ends(model: Any, config: Any, tokenizer: Any, width: int) -> list[int]:
    """The ids that end a text, by any of the three places that may say so."""
    generation = getattr(model, "generation_config", None)
    said = (config.eos_token_id, getattr(generation, "eos_token_id", None), tokenizer.eos_token_id)
    ids = {i for ids in said if ids is not None for i in ([ids] if isinstance(ids, int) else ids)}
    return sorted(i for i in ids if 0 <= i < width)
