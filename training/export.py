"""Write a Llama checkpoint in the Hugging Face layout as the ONNX folder that Logitherm runs.

    python training/export.py FOLDER OUTPUT

FOLDER holds config.json, model.safetensors and tokenizer.json; OUTPUT gets model.onnx, tokenizer.json and model.json.
The graph reads new token ids and the cached keys and values of earlier ones, and gives the logits of each row's last
new
token together with the new keys and values; the caller writes them into the cache. Weights are stored as float16 and
computed with as float32, so nothing is lost against the float16 checkpoint.

inputs   ids (rows, new) int64, padded at the right · past (rows,) int64, cached tokens · last (rows,) int64, index
         of each row's last new token · key.i, value.i (rows, heads, places, width) float32, of which row r uses the
         first
         past[r]
outputs  logits (rows, vocabulary) float32 · new_key.i, new_value.i (rows, heads, new, width) float32
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 17
MASKED = -1e9


class Graph:
    """An ONNX graph that grows node by node; a call of an operator returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, value: np.ndarray, name: str | None = None) -> str:
        """Add a constant; returns its name."""
        name = name or f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def __call__(
        self,
        op: str,
        *inputs: str | int | float | list[int],
        outputs: list[str] | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node. Numbers among the inputs become constants: integers int64, floats float32."""
        names = [i if isinstance(i, str) else self.constant(np.array(i, _dtype(i))) for i in inputs]
        out = outputs or [f"n{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, names, out, **attributes))
        return out[0]

    def weight(self, value: np.ndarray, name: str) -> str:
        """A float16 constant, cast to float32 (once, when the runtime folds constants)."""
        return self("Cast", self.constant(value.astype(np.float16), name), to=TensorProto.FLOAT)


def _dtype(value: Any) -> Any:
    return np.float32 if isinstance(value, float) else np.int64


def llama(config: dict[str, Any], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The graph described above."""
    g = Graph()
    heads, width = config["num_attention_heads"], config["head_dim"]
    refused = {
        "num_key_value_heads": config.get("num_key_value_heads", heads) != heads,
        "attention_bias": config.get("attention_bias"),
        "mlp_bias": config.get("mlp_bias"),
        "tie_word_embeddings": not config["tie_word_embeddings"],
        "rope_scaling": config.get("rope_scaling"),
        "hidden_act": config["hidden_act"] != "silu",
    }
    if any(refused.values()):
        raise SystemExit(
            f"this export does not cover {', '.join(k for k, v in refused.items() if v)} as config.json has it"
        )
    layers, hidden, eps = config["num_hidden_layers"], config["hidden_size"], config["rms_norm_eps"]
    caches = [f"{kind}.{i}" for i in range(layers) for kind in ("key", "value")]

    def norm(x: str, name: str) -> str:
        mean = g("ReduceMean", g("Mul", x, x), axes=[-1], keepdims=1)
        scaled = g("Div", x, g("Sqrt", g("Add", mean, eps)))
        return g("Mul", scaled, g.weight(weights[name], name))

    def linear(x: str, name: str) -> str:
        return g("MatMul", x, g.weight(weights[name].T, name))

    def split_heads(x: str) -> str:
        return g("Transpose", g("Reshape", x, [0, 0, heads, width]), perm=[0, 2, 1, 3])

    def rotate(x: str) -> str:
        low, high = f"low{len(g.nodes)}", f"high{len(g.nodes)}"
        g("Split", x, [width // 2, width // 2], outputs=[low, high], axis=-1)
        turned = g("Concat", g("Neg", high), low, axis=-1)
        return g("Add", g("Mul", x, cos), g("Mul", turned, sin))

    def scores(q: str, k: str, mask: str) -> str:
        product = g("MatMul", q, g("Transpose", k, perm=[0, 1, 3, 2]))
        return g("Add", g("Mul", product, width**-0.5), mask)

    def arange(tensor: str, axis: int) -> str:
        size = g("Gather", g("Shape", tensor), axis)
        return g("Range", 0, size, 1)

    embedding = weights["model.embed_tokens.weight"]
    table = g.constant(embedding.astype(np.float16), "embedding")
    x = g("Cast", g("Gather", table, "ids"), to=TensorProto.FLOAT)
    new, cached = arange("ids", 1), arange("key.0", 2)
    behind = g("Unsqueeze", "past", [1])
    positions = g("Add", behind, new)
    cos, sin = (g("Unsqueeze", g("Gather", g.constant(t), positions), [1]) for t in rotary(config))
    ahead = g("Less", g("Unsqueeze", new, [1]), g("Unsqueeze", new, [0]))
    causal = g("Where", ahead, MASKED, 0.0)
    unwritten = g("GreaterOrEqual", g("Unsqueeze", cached, [0]), behind)
    old = g("Unsqueeze", g("Where", unwritten, MASKED, 0.0), [1, 2])
    sizes = g("Concat", g("Shape", cached), g("Shape", new), axis=0)

    for i in range(layers):
        p = f"model.layers.{i}."
        h = norm(x, p + "input_layernorm.weight")
        q, k, v = (split_heads(linear(h, f"{p}self_attn.{part}_proj.weight")) for part in "qkv")
        q, k = rotate(q), rotate(k)
        g("Identity", k, outputs=[f"new_key.{i}"])
        g("Identity", v, outputs=[f"new_value.{i}"])
        both = g("Concat", scores(q, f"key.{i}", old), scores(q, k, causal), axis=-1)
        g("Split", g("Softmax", both, axis=-1), sizes, outputs=[f"on_old{i}", f"on_new{i}"], axis=-1)
        seen = g("Add", g("MatMul", f"on_old{i}", f"value.{i}"), g("MatMul", f"on_new{i}", v))
        seen = g("Reshape", g("Transpose", seen, perm=[0, 2, 1, 3]), [0, 0, hidden])
        x = g("Add", x, linear(seen, p + "self_attn.o_proj.weight"))
        h = norm(x, p + "post_attention_layernorm.weight")
        gate, up = linear(h, p + "mlp.gate_proj.weight"), linear(h, p + "mlp.up_proj.weight")
        h = g("Mul", g("Mul", gate, g("Sigmoid", gate)), up)
        x = g("Add", x, linear(h, p + "mlp.down_proj.weight"))

    rows = arange("last", 0)
    at = g("Concat", g("Unsqueeze", rows, [1]), g("Unsqueeze", "last", [1]), axis=1)
    x = norm(g("GatherND", x, at), "model.norm.weight")
    head = g("Transpose", g("Cast", table, to=TensorProto.FLOAT), perm=[1, 0])
    g("MatMul", x, head, outputs=["logits"])

    def tensor(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [tensor("ids", TensorProto.INT64, ["rows", "new"])]
    inputs += [tensor(name, TensorProto.INT64, ["rows"]) for name in ("past", "last")]
    inputs += [tensor(name, TensorProto.FLOAT, ["rows", heads, "places", width]) for name in caches]
    outputs = [tensor("logits", TensorProto.FLOAT, ["rows", len(embedding)])]
    outputs += [tensor(f"new_{name}", TensorProto.FLOAT, ["rows", heads, "new", width]) for name in caches]
    graph = helper.make_graph(g.nodes, "llama", inputs, outputs, list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def rotary(config: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The cosines and sines of rotary position embedding, (context, width) float32, each half a copy of the other."""
    width = config["head_dim"]
    frequencies = config["rope_theta"] ** -(np.arange(0, width, 2) / width)
    angles = np.outer(np.arange(config["max_position_embeddings"]), frequencies)
    angles = np.concatenate([angles, angles], axis=-1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def export(folder: Path, output: Path, name: str, about: str) -> None:
    """Read a checkpoint folder and write the ONNX folder."""
    config = json.loads((folder / "config.json").read_text())
    weights = {k: v.astype(np.float32) for k, v in load_file(folder / "model.safetensors").items()}
    output.mkdir(parents=True, exist_ok=True)
    onnx.save(llama(config, weights), str(output / "model.onnx"))
    shutil.copyfile(folder / "tokenizer.json", output / "tokenizer.json")
    card = {
        "name": name,
        "about": about,
        "parameters": sum(w.size for w in weights.values()),
        "context": config["max_position_embeddings"],
        "start": config["bos_token_id"],
        "eos": [config["eos_token_id"]],
    }
    (output / "model.json").write_text(json.dumps(card, indent=2) + "\n")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the checkpoint: config.json, model.safetensors, tokenizer.json")
    parser.add_argument("output", type=Path, help="the folder to write")
    parser.add_argument("--name", default="nutshell")
    parser.add_argument("--about", default="", help="one sentence on what the model is")
    args = parser.parse_args()
    export(args.folder, args.output, args.name, args.about)


if __name__ == "__main__":
    main()
