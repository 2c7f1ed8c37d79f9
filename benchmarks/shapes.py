"""Models of GPT-2's shape with random weights, and a tokenizer to go with them: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from benchmarks.rows import GPT2_SIZE, entropy

PEAKED = 2.0
"""The entropy in nats of peaked logits."""

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())


@dataclass(frozen=True)
class Shape:
    """How large a model is."""

    layers: int
    width: int

    def __str__(self) -> str:
        return f"{self.layers} layers × {self.width}"


SMALL, GPT2 = Shape(4, 256), Shape(12, 768)


@cache
def model(shape: Shape, kind: str) -> Any:
    """A GPT-2 of this shape; kind: "flat", as random weights make it, or "peaked", its logits stretched."""
    torch.manual_seed(0)
    heads = shape.width // 64
    config = transformers.GPT2Config(n_layer=shape.layers, n_embd=shape.width, n_head=heads, vocab_size=GPT2_SIZE)
    config.bos_token_id = config.eos_token_id = None
    made = transformers.GPT2LMHeadModel(config).eval().requires_grad_(False)
    if kind == "peaked":
        _stretch(made)
    return made


@torch.no_grad()
def _stretch(made: Any) -> None:
    """Multiply the last norm so that the logits after some prompt have the entropy of peaked ones."""
    row = made(torch.arange(16)[None] * 97).logits[0, -1].numpy()
    low, high = 1.0, 1000.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if entropy(row * middle) > PEAKED else (low, middle)
    made.transformer.ln_f.weight.mul_(low)


def tokenizer() -> Any:
    """A byte-level tokenizer without merges: a letter a token, and words that only the model says."""
    words = [*LETTERS, *(f"Ġ{number}" for number in range(GPT2_SIZE - len(LETTERS)))]
    made = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)


def save(shape: Shape, kind: str, folder: Path) -> None:
    """Write model and tokenizer in the Hugging Face layout."""
    transformers.logging.disable_progress_bar()
    model(shape, kind).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
