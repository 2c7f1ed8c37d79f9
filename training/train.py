"""Train Nutshell further on CPU, from a checkpoint in the Hugging Face layout.

    tar -xJf ../shared/data/text/books.tar.xz -C BOOKS
    python training/train.py CHECKPOINT BOOKS ../shared/data/text/simplicity.tsv OUTPUT --minutes 125

Text: the simplest books up to --split-mb characters, shuffled by a fixed seed, give the held-out chapters (the first
fiftieth) and the first part of the training text, as when the seed was trained; other books join the training side.
Three words that have become slurs are replaced there by what they mean in these books. Optimiser: Muon for matrices
(momentum made orthogonal), AdamW for embedding and norms; bf16 autocast; a cosine decay over the time given. Every
--save minutes a checkpoint from which the next call goes on; at the end the weights with the better held-out loss,
plain or averaged (EMA), in the layout of CHECKPOINT, and full.pt with all their digits. Ctrl-C ends early, and writes.

Set these first, for half of the time goes into page faults otherwise: MALLOC_MMAP_THRESHOLD_=4294967296
MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456 OMP_WAIT_POLICY=PASSIVE.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

END = "<|endoftext|>"
WORST = "16"  # the one book of the manifest that is not in the US public domain


MEANT = {"coon": "raccoon", "chink": "crack", "faggot": "stick"}
"""Words of the old books that a reader of today takes for slurs, and what they mean there: Fatty Coon is a raccoon."""


class Block(nn.Module):
    """One Llama layer: rotary self-attention and a gated MLP, each after an RMS norm."""

    def __init__(self, hidden: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = (nn.Parameter(torch.ones(hidden)) for _ in range(2))
        self.q, self.k, self.v, self.o = (nn.Linear(hidden, hidden, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(hidden, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(rows, places, hidden) to the same."""
        rows, places, hidden = x.shape
        h = F.rms_norm(x, (hidden,), self.before_attention, 1e-5)
        q, k, v = (part(h).view(rows, places, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(seen.transpose(1, 2).reshape(rows, places, hidden))
        h = F.rms_norm(x, (hidden,), self.before_mlp, 1e-5)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves as in Llama."""
    low, high = x.chunk(2, -1)
    return x * cos.to(x.dtype) + torch.cat([-high, low], -1) * sin.to(x.dtype)


class Llama(nn.Module):
    """The model; logits are the product with the embedding."""

    def __init__(self, config: dict[str, int]) -> None:
        super().__init__()
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        self.embedding = nn.Embedding(config["vocab_size"], hidden)
        self.blocks = nn.ModuleList(
            Block(hidden, heads, config["intermediate_size"]) for _ in range(config["num_hidden_layers"])
        )
        self.norm = nn.Parameter(torch.ones(hidden))
        width = hidden // heads
        frequencies = config["rope_theta"] ** -(torch.arange(0, width, 2).float() / width)
        angles = torch.outer(torch.arange(config["max_position_embeddings"]).float(), frequencies)
        self.register_buffer("cos", torch.cat([angles.cos()] * 2, -1), persistent=False)
        self.register_buffer("sin", torch.cat([angles.sin()] * 2, -1), persistent=False)

    def logits(self, ids: Tensor) -> Tensor:
        """(rows, places, vocabulary) for the token after each place."""
        x = self.embedding(ids)
        cos, sin = self.get_buffer("cos")[: ids.shape[1]], self.get_buffer("sin")[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(F.rms_norm(x, x.shape[-1:], self.norm, 1e-5), self.embedding.weight)

    def forward(self, ids: Tensor, following: Tensor) -> Tensor:
        """The mean loss, nats per token."""
        return F.cross_entropy(self.logits(ids).float().flatten(0, 1), following.reshape(-1))


def names(layers: int) -> dict[str, str]:
    """Our parameter names to those of the Hugging Face layout."""
    inside = {
        "before_attention": "input_layernorm.weight",
        "before_mlp": "post_attention_layernorm.weight",
        **{f"{p}.weight": f"self_attn.{p}_proj.weight" for p in "qkvo"},
        **{f"{p}.weight": f"mlp.{p}_proj.weight" for p in ("gate", "up", "down")},
    }
    pairs = {
        f"blocks.{i}.{ours}": f"model.layers.{i}.{theirs}" for i in range(layers) for ours, theirs in inside.items()
    }
    return {"embedding.weight": "model.embed_tokens.weight", "norm": "model.norm.weight", **pairs}


def split(books: Path, ranking: Path, limit: float) -> tuple[list[str], list[str]]:
    """Chapters for training and held-out ones; the latter are those that the seed's training held out."""
    rows = [line.split("\t") for line in ranking.read_text().splitlines()]
    chapters: list[str] = []
    more: list[str] = []
    size = 0
    for number in (row[3] for row in rows if row[3] != WORST):
        text = (books / f"{number}.txt").read_text()
        (chapters if size <= limit else more).extend(chapter.strip() for chapter in text.split(END))
        size += len(text)
    random.Random(0).shuffle(chapters)
    held_out = max(20, len(chapters) // 50)
    return [clean(chapter) for chapter in chapters[held_out:] + more], chapters[:held_out]


def clean(chapter: str) -> str:
    """The chapter with words that have become slurs replaced by what they meant in these books, in either case."""
    for word, meaning in MEANT.items():
        chapter = re.sub(rf"\b{word}(s?)\b", rf"{meaning}\1", chapter)
        chapter = re.sub(rf"\b{word.capitalize()}(s?)\b", rf"{meaning.capitalize()}\1", chapter)
    return chapter


def windows(ids: np.ndarray, starts: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    """Token ids from those starts, and the ids that follow each."""
    rows = torch.from_numpy(np.stack([ids[i : i + length + 1] for i in starts]).astype(np.int64))
    return rows[:, :-1], rows[:, 1:]


class Muon:
    """Momentum whose matrices are made orthogonal by five Newton-Schulz steps before they are applied."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.momentum = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update."""
        for p, m in zip(self.parameters, self.momentum, strict=True):
            if p.grad is None:
                continue
            m.lerp_(p.grad, 0.05)
            g = p.grad.lerp(m, 0.95)
            x = (g / (g.norm() + 1e-7)).bfloat16()
            tall = x.shape[0] > x.shape[1]
            x = x.T if tall else x
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = x.T if tall else x
            p.mul_(1 - rate * 0.01).add_(x.float(), alpha=-rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)


@torch.no_grad()
def validate(model: Llama, batches: list[tuple[Tensor, Tensor]]) -> float:
    """The mean loss over the held-out windows, float32."""
    return sum(float(model(ids, following)) for ids, following in batches) / len(batches)


def rate_at(share: float, step: int) -> float:
    """The share of the learning rate: a hundred steps of warm-up, a fifth of the time flat, then a cosine to 2 %."""
    decayed = 1.0 if share < 0.2 else max(0.02, 0.5 * (1 + math.cos(math.pi * (share - 0.2) / 0.8)))
    return min(1, (step + 1) / 100) * decayed


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "books", "ranking", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=125)
    parser.add_argument("--window", type=int, default=192)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--split-mb", type=float, default=24)
    parser.add_argument("--save", type=float, default=8, help="minutes between checkpoints")
    args = parser.parse_args()
    torch.manual_seed(0)
    random_rows = np.random.default_rng(0)
    config = json.loads((args.checkpoint / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(args.checkpoint / "tokenizer.json"))
    model = Llama(config)
    weights = load_file(args.checkpoint / "model.safetensors")
    model.load_state_dict({ours: weights[theirs].float() for ours, theirs in names(len(model.blocks)).items()})
    train_text, held_text = split(args.books, args.ranking, args.split_mb * 1e6)
    train, held = (
        np.concatenate([np.array([0, *e.ids], np.uint16) for e in tokenizer.encode_batch(texts)])
        for texts in (train_text, held_text)
    )
    fixed = np.random.RandomState(1)
    checks = [windows(held, fixed.randint(0, len(held) - args.window - 1, 16), args.window) for _ in range(6)]
    matrices = [p for p in model.blocks.parameters() if p.dim() == 2]
    muon = Muon(matrices)
    others = [
        {"params": [model.embedding.weight], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(others, lr=args.rate, betas=(0.9, 0.95), eps=1e-8)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    args.output.mkdir(parents=True, exist_ok=True)
    resume, step, spent = args.output / "resume.pt", 0, 0.0
    if resume.is_file():
        saved = torch.load(resume)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        muon.momentum, average, step, spent = saved["momentum"], saved["average"], saved["step"], saved["spent"]
    print(f"{len(train):,} tokens to train on, {len(held):,} held out, loss {validate(model, checks):.4f}", flush=True)
    began, saved_at, told_at = time.time() - spent, spent, -1e9
    try:
        while (spent := time.time() - began) < args.minutes * 60:
            rate = rate_at(spent / (args.minutes * 60), step) * args.rate
            for group in adam.param_groups:
                group["lr"] = rate
            ids, following = windows(
                train, random_rows.integers(0, len(train) - args.window - 1, args.rows), args.window
            )
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(ids, following)
            model.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            muon.step(rate * 10)
            step += 1
            if step % 4 == 0:
                for k, v in model.state_dict().items():
                    average[k].lerp_(v, 1 - min(0.9975, 1 - 1 / (step / 4 + 1)))
            if spent - told_at > 180:
                told_at = spent
                print(f"{spent:6.0f} s, step {step}, held-out loss {validate(model, checks):.4f}", flush=True)
            if spent - saved_at > args.save * 60:
                saved_at = spent
                state = {"model": model.state_dict(), "adam": adam.state_dict(), "momentum": muon.momentum}
                torch.save({**state, "average": average, "step": step, "spent": spent}, resume.with_suffix(".new"))
                resume.with_suffix(".new").replace(resume)
    except KeyboardInterrupt:
        print("stopped early")
    plain = validate(model, checks)
    best = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(average)
    averaged = validate(model, checks)
    best = average if averaged < plain else best
    print(f"held-out loss {plain:.4f}, averaged weights {averaged:.4f}")
    theirs = names(len(model.blocks))
    torch.save(best, args.output / "full.pt")
    save_file({theirs[k]: v.half().contiguous() for k, v in best.items()}, args.output / "model.safetensors")
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        if (args.checkpoint / name).is_file():
            shutil.copyfile(args.checkpoint / name, args.output / name)


if __name__ == "__main__":
    main()
