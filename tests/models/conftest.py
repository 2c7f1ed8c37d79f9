"""Hugging Face folders that tests save: tiny models with random weights, and a real one with the tokenizer it lacks."""

import json
import shutil
import struct

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.conftest import DATA

LINES = [
    "The cat slept on the mat, and the dog slept on the rug.",
    "At the café the naïve mouse ate a crème brûlée — très bon!",
    "日本語の文。The king had three sons. 🐭🐱🐶 It rained all day.",
]
TEMPLATE = """\
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level():
    """A small tokenizer of GPT-2's kind: 320 tokens, three of them control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(LINES * 3, trainer)
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    return tokenizer


def save(folder, config, tokenizer=None, **special):
    """A model with weights drawn with seed 0, large enough to have opinions, and its tokenizer."""
    import transformers

    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer or byte_level(), eos_token="<|endoftext|>", **special
    )
    wrapped.save_pretrained(folder)
    return folder


def gpt2_config(**changes):
    import transformers

    shape = {"vocab_size": 330, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 2048, "initializer_range": 0.3}
    return transformers.GPT2Config(**shape | {"eos_token_id": 0, "bos_token_id": 0} | changes)


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory):
    """A GPT-2 but for its size, with a chat template, and a generation_config that nobody should apply."""
    folder = save(tmp_path_factory.mktemp("hf") / "tiny-gpt2", gpt2_config(), chat_template=TEMPLATE)
    generation = {"eos_token_id": [0, 2], "do_sample": True, "top_k": 1, "temperature": 0.1, "repetition_penalty": 9.0}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


def llama2_tokenizer(folder):
    """The tokenizer of stories260K, from the files of llama2.c that lie in its folder, as SentencePiece means it."""
    data, at, scored = (folder / "tok512.bin").read_bytes(), 4, []
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at)
        scored.append((score, data[at + 8 : at + 8 + length].decode().replace(" ", "▁")))
        at += 8 + length
    vocab = {piece: i for i, (_, piece) in enumerate(scored)}
    assert [p.replace("▁", " ") for p in vocab] == json.loads((folder / "vocab_pieces.json").read_text("utf-8"))
    merges = [
        (piece[:cut], piece[cut:])
        for _, piece in sorted(scored[259:], key=lambda pair: -pair[0])
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    control = list(vocab)[:3]
    start = control[1]
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False) for piece in control])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start}:0 $A:0", special_tokens=[(start, 1)])
    return tokenizer


@pytest.fixture(scope="session")
def stories_folder(tmp_path_factory):
    """stories260K, a real Llama that somebody else trained, with the tokenizer.json that its folder lacks."""
    source = DATA / "models" / "stories260K-hf"
    if not source.is_dir():
        pytest.skip("needs ../shared/data/models/stories260K-hf, which a clone of the project alone does not have")
    folder = tmp_path_factory.mktemp("hf") / "stories260K"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(source / name, folder / name)
    llama2_tokenizer(source).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return folder
