"""Nutshell: the graph is the Llama it claims to be, its cache is a value, and rows do not see each other."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from logitherm import ModelError, PromptError, Sampler, State, load_model, parse
from logitherm.models.onnx import NUTSHELL, OnnxModel

PROMPTS = [
    "Once upon a time there was a little girl who",
    "The cat slept on the",
    '"What shall we do now?" said',
    "One morning Peter",
    "It rained all day, and so the children",
    "A",
    "The king had three sons. The first was proud, the second was idle, and the third",
    "Down by the river the frogs",
]


@pytest.fixture(scope="module")
def nutshell():
    return load_model()


@pytest.fixture(scope="module")
def prompts(nutshell):
    return [nutshell.vocabulary.encode(p) for p in PROMPTS]


def llama(ids):
    """The plain Llama forward pass in NumPy float64, on the weights that the ONNX file holds; logits at every place."""
    card = json.loads((NUTSHELL / "model.json").read_text())
    tensors = onnx.load(str(NUTSHELL / "model.onnx")).graph.initializer
    w = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in tensors}
    heads, n = 6, len(ids)

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name]

    def heads_of(x):
        return x.reshape(n, heads, -1).transpose(1, 0, 2)

    x = w["embedding"][ids]
    width = x.shape[1] // heads
    angles = np.outer(np.arange(n), 10000.0 ** -(np.arange(0, width, 2) / width))
    turn = np.exp(1j * angles)

    def rotate(x):  # the pair (i, i + width/2) is one complex number
        z = (x[..., : width // 2] + 1j * x[..., width // 2 :]) * turn
        return np.concatenate([z.real, z.imag], axis=-1)

    layer = 0
    while f"model.layers.{layer}.input_layernorm.weight" in w:
        p = f"model.layers.{layer}."
        h = norm(x, p + "input_layernorm.weight")
        q, k, v = (heads_of(h @ w[f"{p}self_attn.{part}_proj.weight"]) for part in "qkv")
        scores = rotate(q) @ rotate(k).transpose(0, 2, 1) / np.sqrt(width)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (weights / weights.sum(-1, keepdims=True)) @ v
        x = x + seen.transpose(1, 0, 2).reshape(n, -1) @ w[p + "self_attn.o_proj.weight"]
        h = norm(x, p + "post_attention_layernorm.weight")
        gate, up = h @ w[p + "mlp.gate_proj.weight"], h @ w[p + "mlp.up_proj.weight"]
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[p + "mlp.down_proj.weight"]
        layer += 1
    assert layer == 6
    assert card["parameters"] == 3_443_136
    return norm(x, "model.norm.weight") @ w["embedding"].T


def test_the_graph_is_the_llama_it_claims_to_be(nutshell, prompts):
    ids = prompts[6]
    expected = llama(ids)
    prefilled, cache = nutshell.prefill([ids[:5]])
    np.testing.assert_allclose(prefilled[0], expected[4], atol=2e-4)
    for place in range(5, len(ids)):
        logits, cache = nutshell.step([ids[place]], cache)
        np.testing.assert_allclose(logits[0], expected[place], atol=2e-4)
    assert cache.lengths.tolist() == [len(ids)]


def test_the_cache_is_a_value(nutshell, prompts):
    _, cache = nutshell.prefill(prompts[:3])
    other, _ = nutshell.step([11, 12, 13], cache)
    first, after = nutshell.step([5, 6, 7], cache)
    assert not np.allclose(first, other)
    np.testing.assert_allclose(nutshell.step([5, 6, 7], cache)[0], first, atol=1e-4)
    np.testing.assert_allclose(nutshell.step([5, 6, 7], after.crop(cache.lengths))[0], first, atol=1e-4)
    np.testing.assert_allclose(nutshell.step([7, 5], cache.take([2, 0]))[0], first[[2, 0]], atol=1e-4)
    apart = cache.take([1]).join(cache.take([0, 2]))
    np.testing.assert_allclose(nutshell.step([6, 5, 7], apart)[0], first[[1, 0, 2]], atol=1e-4)


def test_law_5_from_stored_logits_tokens_are_identical_in_any_company(nutshell, prompts):
    """Eight rows of live logits, stored; then drawn alone, permuted, all together, and joined late."""
    sampler = parse("temperature(0.9) | top_p(0.95)")
    start = sampler.start(prompts, seed=40)
    logits, cache = nutshell.prefill(prompts)
    stored, together, state = [], [], start
    for _ in range(25):
        stored.append(logits)
        step = sampler.step(logits, state)
        together.append(step.tokens.tolist())
        state = step.state
        logits, cache = nutshell.step(step.tokens.tolist(), cache)
    order = [3, 7, 0, 5, 1, 6, 2, 4]
    assert drawn(sampler, [x[order] for x in stored], start.take(order)) == [[t[i] for i in order] for t in together]
    for row in range(8):
        assert drawn(sampler, [x[[row]] for x in stored], start.take([row])) == [[t[row]] for t in together]
    early = start.take(range(7))
    for x in stored[:10]:
        early = sampler.step(x[:7], early).state
    mixed = State.join(early, start.take([7]))
    for place in range(15):
        step = sampler.step(np.concatenate([stored[10 + place][:7], stored[place][7:]]), mixed)
        assert step.tokens.tolist() == [*together[10 + place][:7], together[place][7]]
        mixed = step.state


def test_law_5_live_alone_against_batched(nutshell, prompts, record_property):
    """Live logits may differ in their last digits between batch sizes; tokens agree unless u lies within that."""
    sampler = Sampler(parse("temperature(0.9) | top_p(0.95)"))
    start = sampler.start(prompts, seed=90)
    logits, cache = nutshell.prefill(prompts)
    alone = [nutshell.prefill([p]) for p in prompts]
    states, state = [start.take([row]) for row in range(8)], start
    largest, parted = 0.0, 0
    for _ in range(40):
        step = sampler.step(logits, state)
        for row in range(8):
            line, row_cache = alone[row]
            difference = float(np.abs(line[0] - logits[row]).max())
            largest = max(largest, difference)
            single = sampler.step(line, states[row])
            if single.tokens[0] != step.tokens[row]:
                parted += 1
                assert boundary_distance(sampler, line, states[row]) < 20 * difference
            token = int(step.tokens[row])  # go on from the same text, so that every step is compared
            states[row] = sampler.observe(line, states[row], [token]).state
            alone[row] = nutshell.step([token], row_cache)
        state = step.state
        logits, cache = nutshell.step(step.tokens.tolist(), cache)
    record_property("largest difference of logits", f"{largest:.2e}")
    record_property("tokens that differ", f"{parted} of 320")
    assert largest < 1e-3


def boundary_distance(sampler, line, state):
    """How far u is from the nearest boundary of the running mass."""
    from logitherm import uniform
    from tests.rows import probabilities

    mass = np.cumsum(probabilities(sampler.apply(line, state)[0]))
    return float(np.abs(mass - uniform(int(state.seed[0]), int(state.position[0]))).min())


def drawn(sampler, lines, state):
    tokens = []
    for x in lines:
        step = sampler.step(x, state)
        tokens.append(step.tokens.tolist())
        state = step.state
    return tokens


def test_the_vocabulary_gives_back_every_text(nutshell):
    vocabulary = nutshell.vocabulary
    for text in ["The cat slept.", "naïve café — “très bon”", "日本語 🐭\n\tend", "<|endoftext|>", "\x00\x7f\xad"]:
        ids = vocabulary.encode(text)
        assert ids[0] == 0
        assert b"".join(vocabulary.bytes_of(i) for i in ids).decode() == text
    assert vocabulary.bytes_of(0) == b""
    assert (vocabulary.size, vocabulary.eos) == (4096, (0,))


def test_wrong_prompts(nutshell):
    for wrong, got in ([], 0), ([1] * 513, 513):
        with pytest.raises(PromptError, match=f"must have 1 to 512 tokens for nutshell; got {got}"):
            nutshell.prefill([wrong])
    _, cache = nutshell.prefill([[1] * 512])
    with pytest.raises(PromptError, match="nutshell holds 512 tokens; a row would get 513"):
        nutshell.step([1], cache)


def cut(tokenizer, size):
    """The same tokenizer with fewer tokens, and without the merges that need the others."""
    model = tokenizer["model"]
    model["vocab"] = {token: i for token, i in model["vocab"].items() if i < size}
    pairs = [(m.split(" ") if isinstance(m, str) else m, m) for m in model["merges"]]
    model["merges"] = [m for (a, b), m in pairs if {a, b, a + b} <= model["vocab"].keys()]
    return tokenizer


def test_wrong_folders(tmp_path):
    with pytest.raises(ModelError, match=r"there is no model 'nutshel'; known are nutshell, toy"):
        load_model("nutshel")
    with pytest.raises(ModelError, match=r"has no model\.onnx"):
        load_model(tmp_path)
    for file in ("model.onnx", "tokenizer.json", "model.json"):
        shutil.copyfile(NUTSHELL / file, tmp_path / file)
    assert OnnxModel(tmp_path).name == "nutshell"
    smaller = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(cut(smaller, 4000)))
    with pytest.raises(ModelError, match="the model gives 4096 logits, the tokenizer has 4000 tokens"):
        OnnxModel(tmp_path)
    smaller["model"]["merges"] = []
    smaller["model"]["vocab"] = {("▁" + t if i == 500 else t): i for t, i in smaller["model"]["vocab"].items()}
    (tmp_path / "tokenizer.json").write_text(json.dumps(smaller))
    with pytest.raises(ModelError, match="no byte-level BPE: token 500 is written '▁"):
        OnnxModel(tmp_path)
    shutil.copyfile(NUTSHELL / "tokenizer.json", tmp_path / "tokenizer.json")
    for file, message in [
        ("model.json", "cannot read .*model.json"),
        ("tokenizer.json", "cannot read the tokenizer"),
        ("model.onnx", "cannot read the model"),
    ]:
        kept = (tmp_path / file).read_bytes()
        (tmp_path / file).write_text("{}")
        with pytest.raises(ModelError, match=message):
            OnnxModel(tmp_path)
        (tmp_path / file).write_bytes(kept)
