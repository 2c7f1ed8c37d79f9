"""Plain data to draw: a trace, texts, and a comparison in the form that `compare` gives."""

import numpy as np

from logitherm import CallableModel, explain, generate, lint, replay, verify
from logitherm.models.toy import Bytes

HOSTILE = [
    "<script>alert(1)</script>",
    '"\' onmouseover="alert(1)',
    "\u202elaterally",
    "\n",
    "\x00\x1b[31m",
    "\ud800",
    "&lt;b&gt;",
    "שלום",
    "猫🐟",
    "$x^{2$",
    "</style><p>",
    "http://example.com",
]


def hostile_trace():
    return explain(
        recipe="top_k(9) | top_p(0.99)",
        logits=np.linspace(2, 0, len(HOSTILE)),
        tokens=HOSTILE,
        seed=7,
        top=len(HOSTILE),
    ).to_dict()


def text(recipe="dynamic_temperature(0.3, entropy=0.3) | top_p(0.9)", **options):
    return generate("The cat", recipe, **{"model": "toy", "seed": 1, "max_new_tokens": 12, "details": True, **options})


def hostile_text(**options):
    """A model that writes markup, byte by byte."""
    said = [*b"<b>\n\x07&'", 256]

    def logits(ids):
        row = np.full(257, 0.0)
        row[said[min(len(ids) - 1, len(said) - 1)]] = 50.0
        return row

    model = CallableModel(logits, Bytes())
    return generate("<i>", "neutral", model=model, seed=1, details=True, **options).to_dict()


def hostile_file(folder, top=None):
    """A trace file of the model that writes markup, and the same file with a token of it changed."""
    right, wrong = folder / "right.trace", folder / "wrong.trace"
    hostile_text(save_trace=right, trace_top=top)
    lines = right.read_text().splitlines()
    wrong.write_text("\n".join([lines[0], lines[1].replace('"token": 62', '"token": 60'), *lines[2:]]) + "\n")
    return right, wrong


def results(folder):
    """One of each kind of result that is not in the functions above: of a text with all fates, and of a hostile one."""
    right, wrong = hostile_file(folder)
    mixed = folder / "mixed.trace"
    text("temperature(3)", seed=2, save_trace=mixed, max_new_tokens=30)
    return {
        "mixed replay": replay(mixed, "temperature(0.7) | top_k(3)"),
        "mixed remarks": lint("top_p(0.5) | top_k(0) | top_k(2)", trace=mixed),
        "replay": replay(right, "top_k(1) | ban(ids=[62])"),
        "remarks": lint("temperature(0.5) | top_k(0) | top_k(3)", trace=right),
        "verification": verify(wrong),
    }


def comparison():
    def recipe(label, kept, entropy, temperature, drawn, texts, measures=None):
        return {
            "label": label,
            "recipe": label,
            "about": "<very> conservative",
            "kept": kept,
            "entropy": entropy,
            "temperature": temperature,
            "drawn": {"id": drawn, "text": HOSTILE[drawn], "raw_p": 0.5, "final_p": 0.75},
            "texts": [
                {"text": t, "stop": "eos", "seed": 7 + i, "error": None, "tokens": [{"id": 1, "text": t}]}
                for i, t in enumerate(texts)
            ],
            "measures": measures,
        }

    measures = {"distinct_2": {"mean": 0.8125, "low": 0.75, "high": 0.9}}
    return {
        "version": 1,
        "prompt": "<prompt>",
        "seed": 7,
        "varied": None,
        "raw": {"entropy": 1.25, "kept": 4},
        "recipes": [
            recipe("top_p(0.5)", 1, 0.0, None, 0, ["<b>same</b> end", "one"], measures),
            recipe("temperature(0.5)", 3, 0.5432, 0.5, 1, ["<b>same</b> stop", "one"]),
        ],
        "tokens": [
            {"id": 0, "text": HOSTILE[0], "raw_p": 0.5, "final_p": [1.0, 0.75]},
            {"id": 1, "text": HOSTILE[1], "raw_p": 0.3, "final_p": [None, 0.1875]},
            {"id": 8, "text": HOSTILE[8], "raw_p": 0.2, "final_p": [None, 0.0625]},
        ],
        "differences": [
            None,
            {"only_first": 0, "only_this": 2, "kl": None, "kl_back": 0.125, "tv": 0.25, "parts_at": 3},
        ],
    }
