"""Hugging Face models: transformers' own greedy text, a cache that is a value, rows that do not see each other."""

import gc
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import logitherm as lt
from logitherm import BackendUnavailable, ModelError, PromptError, RecipeError, load_model
from tests.models.conftest import LINES, gpt2_config, save

transformers = pytest.importorskip("transformers")

PROMPTS = ["The cat slept", "At the café the naïve mouse ate a crème", "A", "Once upon a time there was a little girl"]
CLOSE = {"rtol": 0, "atol": 2e-5}


@pytest.fixture(scope="module", params=["gpt2_folder", "stories_folder"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


@pytest.fixture(scope="module")
def gpt2_shaped(gpt2_folder):
    return load_model(gpt2_folder)


def ids(text):
    return [token.id for token in text.tokens]


# -- the text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_what_generate_gives(folder, model, prompt):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    start = torch.tensor([model.vocabulary.encode(prompt)])
    plain = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=150, eos_token_id=list(model.vocabulary.eos), pad_token_id=0
    )
    theirs.generation_config = plain  # or what its own says would be filled in
    expected = theirs.generate(start, attention_mask=torch.ones_like(start))
    ours = lt.generate(prompt, "greedy", model=model, max_new_tokens=150)
    assert ids(ours) == expected[0, start.shape[1] :].tolist()
    assert len(set(ids(ours))) > 10  # or equal texts would say little


@pytest.mark.parametrize("recipe", ["greedy", "temperature(0.9) | top_p(0.95)"])
def test_law_5_a_batch_of_mixed_lengths_equals_its_rows_alone(model, recipe):
    seeds = [3, 1, 4, 1]
    alone = [
        lt.generate(p, recipe, model=model, seed=s, max_new_tokens=40) for p, s in zip(PROMPTS, seeds, strict=True)
    ]
    for size in (4, 2):  # all at once; and two at a time, so that rows join others that are under way
        together = lt.generate(PROMPTS, recipe, model=model, seed=seeds, max_new_tokens=40, batch_size=size)
        assert [ids(text) for text in together] == [ids(text) for text in alone]


def test_the_generation_config_gives_its_ends_and_nothing_else(gpt2_shaped):
    assert gpt2_shaped.vocabulary.eos == (0, 2)  # config and tokenizer say 0, generation_config 0 and 2
    first = lt.generate("The cat", "temperature(1)", model=gpt2_shaped, n=30, seed=0, max_new_tokens=1)
    assert len({text.tokens[0].id for text in first}) > 5  # its top_k is 1
    ended = lt.generate("The cat", "bias([[2, 1000]])", model=gpt2_shaped, seed=0)
    assert (ended.stop, ended.text) == ("eos", "")


def test_a_trace_file_of_such_a_model_verifies_and_knows_its_weights(model, gpt2_folder, tmp_path):
    lt.generate(
        PROMPTS, "temperature(0.8) | top_p(0.9)", model=model, seed=1, max_new_tokens=12, save_trace=tmp_path / "t"
    )
    assert lt.verify(tmp_path / "t").right
    assert lt.load_trace(tmp_path / "t").head.fingerprint == model.fingerprint
    half = load_model(gpt2_folder, dtype="bf16")
    assert half.fingerprint != load_model(gpt2_folder).fingerprint
    lt.generate("The cat", "top_k(9)", model=half, seed=1, max_new_tokens=6, save_trace=tmp_path / "half")
    assert lt.verify(tmp_path / "half").right
    assert lt.load_trace(tmp_path / "half").entries[0].logits["all"]["type"] == "float32"  # holds every bfloat16


def test_recipes_compare_on_such_a_model(model):
    found = lt.compare("The cat", vary="top_p=0.5,0.9", model=model, seed=3, n=2, max_new_tokens=6)
    assert [len(under.texts) for under in found.recipes] == [2, 2]


# -- the cache ---------------------------------------------------------------------------------------------------------

SHAPE = {
    "vocab_size": 330, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
KINDS = {
    "learned positions": gpt2_config,
    "rotary positions": lambda: transformers.LlamaConfig(**SHAPE),
    "a sliding window": lambda: transformers.MistralConfig(**SHAPE, sliding_window=5),
    "biased by distance": lambda: transformers.BloomConfig(vocab_size=330, hidden_size=32, n_layer=2, n_head=4),
    "positions of its own, without state": lambda: transformers.RobertaConfig(
        **SHAPE | {"num_key_value_heads": 4}, is_decoder=True
    ),
    "a state instead of a cache": lambda: transformers.MambaConfig(
        vocab_size=330, hidden_size=32, num_hidden_layers=2, state_size=4
    ),
    "a state beside a cache": lambda: transformers.Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"]),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    return load_model(save(tmp_path_factory.mktemp("kinds") / "model", KINDS[request.param]()))


def fresh(model, rows):
    """What transformers makes of each row alone, from its first token, without a cache, a mask or positions of ours."""
    with torch.no_grad():
        return torch.cat([model._model(torch.tensor([row]), use_cache=False).logits[:, -1] for row in rows])


def test_the_cache_takes_joins_and_crops_as_if_rows_were_read_anew(kind):
    rows = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18], [3], [20, 21, 22, 23, 24, 25, 26]]
    logits, cache = kind.prefill(rows)
    torch.testing.assert_close(logits, fresh(kind, rows), **CLOSE)

    def step(cache, rows, new):
        logits, cache = kind.step(new, cache)
        rows = [[*row, token] for row, token in zip(rows, new, strict=True)]
        torch.testing.assert_close(logits, fresh(kind, rows), **CLOSE)
        return cache, rows

    cache, rows = step(cache, rows, [30, 31, 32, 33])
    cache, rows = step(cache.take([3, 0, 0]), [rows[3], rows[0], rows[0]], [34, 35, 36])  # the longest left
    late = [[40, 41], [42] * 12]
    cache, rows = step(cache.join(kind.prefill(late)[1]), rows + late, [43, 44, 45, 46, 47])
    cut = [2, 5, 6, 1, 12]
    cache, rows = step(cache.crop(cut), [row[:n] for row, n in zip(rows, cut, strict=True)], [50, 51, 52, 53, 54])
    step(cache.take([3]), [rows[3]], [55])


def test_an_old_cache_stays_true(kind):
    rows = [[5, 6, 7], [8, 9]]
    _, cache = kind.prefill(rows)
    first, after = kind.step([10, 11], cache)
    other, _ = kind.step([12, 13], cache)
    kind.step([14, 15], after)
    assert not torch.allclose(first, other)
    assert torch.equal(kind.step([10, 11], cache)[0], first)
    torch.testing.assert_close(kind.step([10, 11], after.crop([3, 2]))[0], first, **CLOSE)


def test_wrong_crops_are_refused(gpt2_shaped):
    _, cache = gpt2_shaped.prefill([[1, 2, 3], [4]])
    for wrong in ([4, 1], [-1, 1]):
        with pytest.raises(ValueError, match=r"crop lengths must be in \[0, \[3, 1\]\]; got \["):
            cache.crop(wrong)
    torch.testing.assert_close(gpt2_shaped.step([7, 8], cache.crop([0, 1]))[0], fresh(gpt2_shaped, [[7], [4, 8]]))


def test_only_models_without_keys_and_values_are_read_anew(kind, request):
    read_anew = "state" in request.node.callspec.id
    assert hasattr(kind.prefill([[1]])[1], "tensors") is not read_anew


def test_only_the_last_logits_are_computed(gpt2_shaped):
    seen = []
    handle = gpt2_shaped._model.get_output_embeddings().register_forward_hook(lambda m, i, out: seen.append(out.shape))
    gpt2_shaped.prefill([[1] * 50, [2] * 20])
    handle.remove()
    assert seen == [(2, 1, 330)]


# -- long texts --------------------------------------------------------------------------------------------------------


def test_a_thousand_tokens_never_split_a_character(gpt2_shaped):
    """Random weights write random bytes: what can be a character is one, in one piece."""
    pieces = list(lt.stream("日本", "ban(ids=[0, 2])", model=gpt2_shaped, seed=5, max_new_tokens=1000))
    data = b"".join(gpt2_shaped.vocabulary.bytes_of(piece.token.id) for piece in pieces)
    whole = data.decode("utf-8", "replace")
    text = "".join(piece.text for piece in pieces)
    assert len(pieces) == 1000
    assert text == whole or (text == whole[:-1] and whole[-1] == "\ufffd")  # an unfinished end never appears


def test_a_thousand_tokens_of_real_text_come_back_whole(model):
    """The model's own tokens of a text with characters of two to four bytes, recited through the loop."""
    target = (" ".join(LINES) + " ") * 12
    prompt = "é"
    start = model.vocabulary.encode(prompt)
    recited = model.vocabulary.encode(prompt + target)
    assert recited[: len(start)] == start
    assert len(recited) > 1000 + len(start)

    def recite(seen):
        logits = np.zeros(model.vocabulary.size)
        logits[recited[len(seen)]] = 50.0
        return logits

    reciter = lt.CallableModel(recite, model.vocabulary)
    pieces = list(lt.stream(prompt, "greedy", model=reciter, max_new_tokens=len(recited) - len(start)))
    assert "".join(piece.text for piece in pieces) == target
    assert not any("\ufffd" in piece.text for piece in pieces)
    split = [b for a, b in pairwise(pieces) if not a.text and b.text]
    assert split  # some characters came in several tokens


def live():
    """Bytes of all tensors that are alive."""
    gc.collect()
    return sum(t.numel() * t.element_size() for t in gc.get_objects() if issubclass(type(t), torch.Tensor))


def resident():
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc, which only Linux has")
def test_memory_stays_flat(gpt2_shaped, record_property):
    """A cache kept for every step would be 500 MB a text; a cache kept for every text, 1 MB in tensors."""

    def write(seed):
        highest = 0
        for place, _ in enumerate(
            lt.stream("The", "ban(ids=[0, 2])", model=gpt2_shaped, seed=seed, max_new_tokens=1000)
        ):
            highest = max(highest, resident() if place % 50 == 0 else 0)
        return highest

    write(0)
    tensors, memory = live(), resident()
    highest = max(write(seed) for seed in (1, 2, 3))
    record_property("resident growth over three texts", f"{(highest - memory) / 1e6:.1f} MB")
    assert live() == tensors
    assert highest - memory < 40e6


# -- numbers, places, errors -------------------------------------------------------------------------------------------


def test_dtypes(gpt2_folder, gpt2_shaped):
    for name, dtype in [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)]:
        model = load_model(gpt2_folder, dtype=name, device="cpu")
        logits, _ = model.prefill([[1, 2, 3]])
        assert logits.dtype == dtype
        torch.testing.assert_close(logits.float(), gpt2_shaped.prefill([[1, 2, 3]])[0], rtol=0, atol=0.2)
        assert lt.generate("The", model=model, seed=1, max_new_tokens=5).tokens
    assert load_model(gpt2_folder) is gpt2_shaped


def test_wrong_dtypes_and_devices_are_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("logitherm.models.transformers._loaded", lambda *_: pytest.fail("loaded"))
    with pytest.raises(RecipeError, match="dtype must be auto, bf16, fp16, fp32; got 'int8'"):
        load_model("some/model", dtype="int8")
    for wrong in ("gpu", "cuda:x", "cpu:1"):
        with pytest.raises(RecipeError, match=f"device must be auto, cpu, mps, cuda or cuda:N; got '{wrong}'"):
            load_model("some/model", device=wrong)
    with pytest.raises(BackendUnavailable, match=r"the device 'cuda:99' is not there; this machine has .*cpu"):
        load_model("some/model", device="cuda:99")
    for name in ("nutshell", "toy"):
        with pytest.raises(RecipeError, match=f"dtype is for Hugging Face models; '{name}' takes none, got 'bf16'"):
            load_model(name, dtype="bf16")
        with pytest.raises(RecipeError, match=f"device is for Hugging Face models; '{name}' takes none, got 'cpu'"):
            load_model(name, device="cpu")


def test_full_rows_and_wrong_prompts(tmp_path):
    model = load_model(save(tmp_path / "short", gpt2_config(n_positions=8)))
    assert (model.name, model.context) == ("short", 8)
    for wrong, got in ([], 0), ([1] * 9, 9):
        with pytest.raises(PromptError, match=f"must have 1 to 8 tokens for short; got {got}"):
            model.prefill([wrong])
    _, cache = model.prefill([[1] * 8, [2]])
    with pytest.raises(PromptError, match="short holds 8 tokens; a row would get 9"):
        model.step([1, 1], cache)
    assert lt.generate("A", "ban(ids=[0])", model=model, seed=1).stop == "context"


def spoil(folder, tmp_path, **files):
    """A copy of a folder in which some files have other contents, or are gone."""
    copy = tmp_path / "spoilt"
    shutil.copytree(folder, copy)
    for name, content in files.items():
        path = copy / name.replace("_json", ".json").replace("_safetensors", ".safetensors")
        path.unlink() if content is None else path.write_text(content)
    return copy


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model_safetensors": None}, r"there is no model '.*spoilt' that transformers can load: .*model\.safetensors"),
        ({"model_safetensors": "{}"}, "cannot load the model '.*spoilt': "),
        ({"config_json": "{}"}, "cannot load the model '.*spoilt': "),
        ({"tokenizer_json": None, "tokenizer_config_json": None}, "the model '.*spoilt' has no tokenizer"),
    ],
)
def test_broken_folders_are_one_clear_line(gpt2_folder, tmp_path, files, message):
    with pytest.raises(ModelError, match=message) as caught:
        load_model(spoil(gpt2_folder, tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_weights_that_are_missing_are_not_made_up(gpt2_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = spoil(gpt2_folder, tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of its weights, such as transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_model(folder)


def test_code_from_a_model_is_never_run(gpt2_folder, tmp_path):
    config = json.loads((gpt2_folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    folder = spoil(gpt2_folder, tmp_path, config_json=json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match="needs Python code from its own repository, which Logitherm does not run"):
        load_model(folder)


def test_names_that_are_no_model():
    with pytest.raises(ModelError, match="there is no model 'some/model' that transformers can load: "):
        load_model("some/model")
    for wrong in ("./nowhere", "/nowhere/at/all", "a/b/c"):
        with pytest.raises(ModelError, match=f"there is no folder '{wrong}'"):
            load_model(wrong)


def test_without_torch_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None; import logitherm as lt\n"
        "try: lt.load_model('gpt2')\nexcept lt.BackendUnavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "the model 'gpt2' needs torch: pip install 'logitherm[transformers]'\n"


# -- the command line --------------------------------------------------------------------------------------------------


def command(*args):
    done = subprocess.run([sys.executable, "-m", "logitherm", *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def test_the_commands_take_folders(gpt2_folder):
    options = ["--model", str(gpt2_folder), "--dtype", "bf16", "--device", "cpu", "--seed", "3"]
    model = load_model(gpt2_folder, dtype="bf16", device="cpu")
    done = command("generate", "The cat", *options, "--max-new-tokens", "20", "-q")
    assert done.stdout == lt.generate("The cat", model=model, seed=3, max_new_tokens=20).text + "\n"
    assert done.stderr == ""  # no bars, no advice
    said = ["--chat", "--system", "Be brief."]
    trace = json.loads(command("explain", "Who are you?", *options, *said, "--json").stdout)
    answer = lt.generate("Who are you?", model=model, seed=3, max_new_tokens=1, chat=True, system="Be brief.")
    assert trace["draw"]["id"] == ids(answer)[0]
    assert trace["draw"]["id"] != ids(lt.generate("Who are you?", model=model, seed=3, max_new_tokens=1))[0]
