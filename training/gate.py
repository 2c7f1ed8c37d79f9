"""The gate that a new Nutshell must pass before it ships.

    python -m training.gate CHECKPOINT ONNX_FOLDER BOOKS RANKING [--full WEIGHTS.pt] > training/gate.md

Held-out loss (at most 3.15 nats a token for a model trained on CPU); 1,000 samples at temperature 0.8, top-p 0.95
without a word of the blocklist; the longest run of tokens that samples share with the training text; float16 logits
within 1e-2 of the float32 weights, if those are at hand; what four temperatures do. Prints a page, and exits 1 if a
part fails. The blocklist holds SHA-256 hashes of words, so that nobody has to read them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

import logitherm as lt
from logitherm.models.onnx import OnnxModel
from training.train import Llama, names, split, validate, windows

BLOCKLIST = Path(__file__).parent / "blocklist.sha256"
MOST_LOSS, SAMPLES, MOST_DIFFERENCE = 3.15, 1_000, 1e-2
OPENINGS = ("Once upon a time", "The little girl", "One morning", '"What shall we do', "The old man", "In the woods")
LONG = 60
"""Tokens: a shared run above this is a passage that was learnt by heart."""


def load(checkpoint: Path) -> Llama:
    """The checkpoint as the model that was trained, float32."""
    model = Llama(json.loads((checkpoint / "config.json").read_text()))
    weights = load_file(checkpoint / "model.safetensors")
    model.load_state_dict({ours: weights[theirs].float() for ours, theirs in names(len(model.blocks)).items()})
    return model


def held_out_loss(checkpoint: Path, held: np.ndarray) -> float:
    """The loss on the windows on which training was watched."""
    fixed = np.random.RandomState(1)
    return validate(load(checkpoint), [windows(held, fixed.randint(0, len(held) - 193, 16), 192) for _ in range(6)])


def blocked(texts: list[str]) -> list[str]:
    """Texts that hold a word of the blocklist."""
    hashes = set(BLOCKLIST.read_text().split())
    words = {w for text in texts for w in re.findall(r"[a-z]+", text.lower())}
    bad = {w for w in words if hashlib.sha256(w.encode()).hexdigest() in hashes}
    return [text for text in texts if bad & set(re.findall(r"[a-z]+", text.lower()))]


def fingerprints(ids: np.ndarray, n: int) -> np.ndarray:
    """A 64-bit number for each run of n ids."""
    value = np.zeros(len(ids) - n + 1, dtype=np.uint64)
    for i in range(n):
        value = value * np.uint64(0x9E3779B97F4A7C15) + ids[i : len(ids) - n + 1 + i].astype(np.uint64) + np.uint64(1)
    return value


def longest_shared(samples: list[np.ndarray], text: np.ndarray) -> tuple[int, np.ndarray]:
    """The length of the longest run of ids that a sample shares with the text, and that run; by halving."""
    low, high, found = 0, max(map(len, samples)), np.zeros(0, dtype=np.int64)
    while low < high:
        n = (low + high + 1) // 2
        long = [s for s in samples if len(s) >= n]
        hits = np.isin(np.concatenate([fingerprints(s, n) for s in long]), fingerprints(text, n))
        starts = [(s, i) for s in long for i in range(len(s) - n + 1)]
        shared = starts[int(hits.argmax())] if hits.any() else None
        low, high = (n, high) if shared is not None else (low, n - 1)
        found = shared[0][shared[1] :][:n] if shared is not None else found
    return low, found


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkpoint", "onnx", "books", "ranking"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--full", type=Path, help="the float32 weights, as torch saved them, in our names")
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.checkpoint / "tokenizer.json"))
    train_text, held_text = split(args.books, args.ranking, 24e6)
    train, held = (
        np.concatenate([np.array([0, *e.ids], np.uint16) for e in tokenizer.encode_batch(texts)])
        for texts in (train_text, held_text)
    )
    model = OnnxModel(args.onnx)
    failures = []
    loss = held_out_loss(args.checkpoint, held)
    failures += ["loss"] if loss > MOST_LOSS else []
    print(f"- Held-out loss: {loss:.4f} nats a token (gate: at most {MOST_LOSS}).")

    prompts = [OPENINGS[i % len(OPENINGS)] for i in range(SAMPLES)]
    texts = lt.generate(prompts, "temperature(0.8) | top_p(0.95)", model=model, seed=0, max_new_tokens=80)
    bad = blocked([t.text for t in texts])
    failures += ["blocklist"] if bad else []
    print(
        f"- {SAMPLES:,} samples of 80 tokens at temperature 0.8, top-p 0.95: {len(bad)} with a word of the blocklist."
    )

    runs = [np.array([token.id for token in t.tokens], dtype=np.int64) for t in texts]
    longest, run = longest_shared(runs, train)
    failures += ["copies"] if longest > LONG else []
    passage = tokenizer.decode(run.tolist())
    print(f"- Longest run of tokens shared with the training text: {longest} (gate: at most {LONG}): {passage!r}.")

    if args.full:
        saved = torch.load(args.full, map_location="cpu")
        full, half = Llama(json.loads((args.checkpoint / "config.json").read_text())), load(args.checkpoint)
        full.load_state_dict(saved)
        ids, _ = windows(held, np.arange(0, 64 * 192, 192), 191)
        difference = float((full.logits(ids) - half.logits(ids)).abs().max())
        failures += ["float16"] if difference > MOST_DIFFERENCE else []
        print(f"- Logits of float16 against float32 weights: at most {difference:.1e} apart (gate: {MOST_DIFFERENCE}).")

    print("- Four temperatures, seed 7:")
    shown = {
        t: lt.generate(OPENINGS[0], lt.Temperature(t), model=model, seed=7, max_new_tokens=40).text
        for t in (0.3, 0.7, 1.0, 1.4)
    }
    failures += ["temperatures"] if len(set(shown.values())) < 4 else []
    for t, text in shown.items():
        print(f"  - T {t}: {OPENINGS[0]} {' '.join(text.split())}")
    print(f"\n{'Passed.' if not failures else 'Failed: ' + ', '.join(failures) + '.'}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
