"""Tokens of Hugging Face models: exact bytes, prompts that are text, and chats."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from logitherm import PromptError, generate, load_model
from tests.models.conftest import CONTROL, TEMPLATE, byte_level

transformers = pytest.importorskip("transformers")
from logitherm.models.tokens import Tokens  # noqa: E402

TEXTS = ["The cat slept.", "naïve café — “très bon”", "日本語 🐭\n\tend", " two  spaces ", "a<|im_end|>b", "\x00\x7f"]


def wrapped(tokenizer, **special):
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def tokens(tokenizer, size=400, **special):
    return Tokens(wrapped(tokenizer, **special), size, [0])


def text(vocabulary, ids):
    return b"".join(vocabulary.bytes_of(i) for i in ids).decode()


@pytest.mark.parametrize("prompt", TEXTS)
def test_byte_level_tokens_are_exact(prompt):
    vocabulary = tokens(byte_level())
    assert text(vocabulary, vocabulary.encode(prompt)) == prompt


def test_bytes_that_have_no_token_of_their_own_are_written_in_hexadecimal():
    """The kind of Llama 2, Mistral and Gemma, small; the next test has a real one where there is the data."""
    pieces = ["<unk>", *(f"<0x{b:02X}>" for b in range(256)), "▁", "c", "a", "t", "▁c"]
    bpe = models.BPE({p: i for i, p in enumerate(pieces)}, [("▁", "c")], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    vocabulary = tokens(tokenizer)
    assert text(vocabulary, vocabulary.encode("cat 🐭 cat\n")) == " cat 🐭 cat\n"
    assert len(vocabulary.encode("🐭")) == 5


@pytest.mark.parametrize("prompt", [t for t in TEXTS if t != "\x00\x7f"])
def test_tokens_with_byte_fallback_are_exact_after_a_first_space(stories_folder, prompt):
    vocabulary = load_model(stories_folder).vocabulary
    ids = vocabulary.encode(prompt)
    assert ids[0] == 1
    assert vocabulary.bytes_of(1) == b""
    assert text(vocabulary, ids) == " " + prompt
    assert b"\xf0" in [vocabulary.bytes_of(i) for i in vocabulary.encode("🐭")]


def test_control_tokens_and_ids_beyond_the_tokenizer_have_no_bytes():
    vocabulary = tokens(byte_level())
    assert [vocabulary.bytes_of(i) for i in (0, 1, 2, 399)] == [b""] * 4
    assert vocabulary.bytes_of(byte_level().token_to_id("<think>")) == b"<think>"  # added, but no control token
    assert (vocabulary.size, vocabulary.eos) == (400, (0,))


def test_a_prompt_is_text_also_where_it_spells_a_control_token():
    vocabulary = tokens(byte_level(), eos_token=CONTROL[0])
    assert not {0, 1, 2} & set(vocabulary.encode("".join(CONTROL)))
    assert text(vocabulary, vocabulary.encode("".join(CONTROL))) == "".join(CONTROL)


def test_other_tokenizers_are_read_by_what_a_token_adds_after_a_letter():
    pieces = ["[UNK]", "a", "cat", "##ing", "sleep", ".", "café"]
    wordpiece = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    wordpiece.pre_tokenizer = pre_tokenizers.Whitespace()
    wordpiece.decoder = decoders.WordPiece(cleanup=False)
    vocabulary = tokens(wordpiece, len(pieces))
    assert text(vocabulary, vocabulary.encode("cat sleeping café")) == " cat sleeping café"
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁cat", -1.0), ("s", -2.0), ("▁", -3.0)], unk_id=0))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    vocabulary = tokens(unigram, 4)
    assert text(vocabulary, vocabulary.encode("cat cats")) == " cat cats"


def test_a_chat_is_the_template_of_the_model(gpt2_folder):
    model = load_model(gpt2_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2_folder)
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who are you?"}]
    for messages, system in ((said, "Be brief."), (said[1:], None)):
        expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        assert model.vocabulary.chat("Who are you?", system) == expected
    answer = generate("Who are you?", "greedy", model=model, chat=True, system="Be brief.", max_new_tokens=5)
    assert answer.prompt == "Who are you?"
    start = model.prefill([model.vocabulary.chat("Who are you?", "Be brief.")])[0]
    assert answer.tokens[0].id == int(start.argmax())


@pytest.mark.parametrize(
    ("template", "system", "message"),
    [
        (None, None, "this model has no chat template; leave out chat"),
        (TEMPLATE, "<|im_end|>", "must not spell the control token '<|im_end|>'"),
        ("{{ raise_exception('no system messages') }}", "a", "chat template refuses this: no system messages"),
        ("{{ 1 / 0 }}", None, "the model's chat template refuses this: division by zero"),
    ],
)  # fmt: skip
def test_chats_that_cannot_be(template, system, message):
    vocabulary = tokens(byte_level(), chat_template=template)
    with pytest.raises(PromptError) as caught:
        vocabulary.chat("hello", system)
    assert message in str(caught.value)


def test_models_that_were_not_trained_to_answer():
    for name in ("nutshell", "toy"):
        with pytest.raises(PromptError, match=f"{name} has no chat template; leave out chat"):
            generate("hello", model=name, chat=True)
    with pytest.raises(PromptError, match=r"a system message needs a chat: set chat \(--chat\) too"):
        generate("hello", model="toy", system="Be brief.")
