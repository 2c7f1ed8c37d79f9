"""The loop: how texts end, how rows join and leave, and that none of it changes a token."""

import itertools

import numpy as np
import pytest

from logitherm import (
    CallableModel,
    LogitsError,
    ModelError,
    PromptError,
    RecipeError,
    explain,
    generate,
    parse,
    start,
    stream,
)
from logitherm.generation.batch import Batch, in_numpy
from logitherm.models.toy import Bytes

TOY = "toy"


def recite(text, context=None):
    """A model that says a text, byte by byte, then ends."""
    data = [*text.encode(), 256]

    def logits(ids):
        row = np.full(257, -np.inf)
        row[data[min(len(ids) - 1, len(data) - 1)]] = 0.0
        return row

    return CallableModel(logits, Bytes(), context=context)


@pytest.mark.parametrize(
    ("options", "text", "stop", "tokens"),
    [
        ({}, "One fish.\nTwo fish. 🐟", "eos", 25),
        ({"stop": ["\n"]}, "One fish.", "newline", 10),
        ({"stop": "\n"}, "One fish.", "newline", 10),
        ({"stop": ["Two", "\n\n"]}, "One fish.\n", "stop_string", 13),
        ({"stop": ["fish. "]}, "One fish.\nTwo ", "stop_string", 20),
        ({"max_new_tokens": 4}, "One ", "max_new_tokens", 4),
        ({"max_new_tokens": 22}, "One fish.\nTwo fish. ", "max_new_tokens", 22),  # inside the fish: not shown
        ({"max_new_tokens": 12, "stop": ["Twofold"]}, "One fish.\nTw", "max_new_tokens", 12),
        ({"model": recite("One fish.", context=5)}, "One f", "context", 5),
    ],
)
def test_how_a_text_ends(options, text, stop, tokens):
    got = generate("x", "neutral", **{"model": recite("One fish.\nTwo fish. 🐟"), **options})
    assert (got.text, got.stop, len(got.tokens)) == (text, stop, tokens)
    assert "".join(map(str, stream("x", "neutral", **{"model": recite("One fish.\nTwo fish. 🐟"), **options}))) == text


def test_the_pieces_of_a_stream_are_whole_characters_and_the_last_says_why():
    pieces = list(stream("x", model=recite("a🐟b")))
    assert [p.text for p in pieces] == ["a", "", "", "", "🐟", "b", ""]
    assert [p.stop for p in pieces] == [None] * 6 + ["eos"]
    assert [p.token.text for p in pieces] == ["a", r"\xf0", r"\x9f", r"\x90", r"\x9f", "b", "<256>"]


def test_a_text_does_not_depend_on_its_company():
    prompts = ["The cat", "The dog ", "When the rain", "At the", "The mouse ran up the"]
    options = {"recipe": "temperature(1.2) | top_p(0.95)", "model": TOY, "max_new_tokens": 60, "stop": [".", ","]}
    alone = [generate(p, seed=50 + i, **options).text for i, p in enumerate(prompts)]
    for size in (1, 2, 3, 16):
        texts = generate(prompts, seed=50, batch_size=size, **options)
        assert [t.text for t in texts] == alone
        assert [t.seed for t in texts] == [50, 51, 52, 53, 54]
    assert len({len(t.tokens) for t in texts}) > 1  # rows ended at different times, so others joined late


def test_samples_of_one_prompt_differ_and_each_can_be_made_again():
    texts = generate("The cat", "neutral", model=TOY, seed=7, n=4, max_new_tokens=30)
    assert len({t.text for t in texts}) == 4
    for i, t in enumerate(texts):
        assert generate("The cat", "neutral", model=TOY, seed=7 + i, max_new_tokens=30).text == t.text
    assert isinstance(generate("The cat", model=TOY, n=1), list)
    mixed = generate(["The cat", "At the"], "neutral", model=TOY, n=3, seed=0, max_new_tokens=9)
    for t in mixed:
        assert generate(t.prompt, "neutral", model=TOY, seed=t.seed, max_new_tokens=9).text == t.text
    assert [t.prompt for t in mixed] == ["The cat"] * 3 + ["At the"] * 3


def test_per_row_parameters_reach_their_row_through_joins():
    texts = generate(["The cat"] * 3, "temperature([0, 5, 0])", model=TOY, seed=3, batch_size=1, max_new_tokens=20)
    greedy = generate("The cat", "greedy", model=TOY, max_new_tokens=20).text
    assert [t.text == greedy for t in texts] == [True, False, True]
    with pytest.raises(RecipeError, match=r"Temperature\.t must have a value for each of the 3 rows; got 2"):
        generate(["a"] * 3, "temperature([0, 1])", model=TOY)


def test_a_row_with_broken_logits_stops_alone():
    def logits(ids):
        row = np.zeros(257)
        row[65] = 5.0
        if ids[0] == ord("b") and len(ids) == 4:
            row[7] = np.nan
        return row

    model = CallableModel(logits, Bytes())
    texts = generate(["a", "b", "c"], "greedy", model=model, max_new_tokens=6)
    assert [t.stop for t in texts] == ["max_new_tokens", "error", "max_new_tokens"]
    assert [t.text for t in texts] == ["AAAAAA", "AAA", "AAAAAA"]
    assert "NaN in the logits, first at token 7" in texts[1].error
    shown = ""
    with pytest.raises(LogitsError, match="NaN in the logits, first at token 7"):  # noqa: PT012
        for piece in stream("b", "greedy", model=model):
            shown += piece.text
    assert shown == "AAA"


def test_an_interrupted_run_keeps_what_it_wrote():
    run = start(["The cat", "The dog"], model=TOY, seed=1, max_new_tokens=50)
    for _ in itertools.islice(run, 21):
        pass
    assert [t.stop for t in run.texts] == ["interrupted"] * 2
    assert [len(t.tokens) for t in run.texts] == [11, 11]
    full = generate(["The cat", "The dog"], model=TOY, seed=1, max_new_tokens=50)
    assert all(whole.text.startswith(part.text) for whole, part in zip(full, run.texts, strict=True))


def test_a_run_that_is_left_is_taken_up_again():
    run = start(["The cat"], "greedy", model=TOY, max_new_tokens=12)
    for _ in run:
        break
    for _ in run:
        pass
    assert run.texts[0].text == generate("The cat", "greedy", model=TOY, max_new_tokens=12).text


def test_held_back_text_is_not_lost():
    says_a = CallableModel(lambda ids: np.eye(257)[65] * 50, Bytes())
    run = start(["x"], "greedy", model=says_a, stop=["AAB"])
    for _ in itertools.islice(run, 2):
        pass
    assert run.texts[0].text == ""
    run.interrupt()
    assert run.texts[0].text == "AA"
    for options, stop in (({"max_new_tokens": 2}, "max_new_tokens"), ({"max_new_tokens": 9}, "context")):
        model = CallableModel(lambda ids: np.eye(257)[65] * 50, Bytes(), context=3)
        text = generate("x", "greedy", model=model, stop=["AAAAB"], **options)
        assert (text.stop, text.text) == (stop, "A" * len(text.tokens))
    ended = generate("x", model=recite("One EN"), stop=["END"])
    assert (ended.stop, ended.text) == ("eos", "One EN")


def test_an_error_names_the_text_and_keeps_what_was_held_back():
    def logits(ids):
        row = np.eye(257)[65] * 50
        if ids[0] == ord("a") and len(ids) == 2:
            row = np.eye(257)[256] * 50
        if ids[0] == ord("c") and len(ids) == 4:
            row[3] = np.nan
        return row

    for size in (1, 3):
        texts = generate(
            ["a", "b", "c"], "greedy", model=CallableModel(logits, Bytes()), stop=["AAAAB"], batch_size=size
        )
        assert texts[2].error == "row 2: NaN in the logits, first at token 3"
        assert (texts[2].text, texts[0].text, texts[0].stop) == ("AAA", "A", "eos")


def test_results_look_like_something_at_a_prompt():
    text = generate("The cat", "greedy", model=TOY, seed=1, max_new_tokens=5)
    assert repr(text) == f"<5 tokens, seed 1, stopped: max_new_tokens: {text.text!r}>"
    assert repr([text]) == f"[{text!r}]"
    trace = explain("The cat", "top_k(3)", model=TOY, seed=1)
    assert repr(trace) == str(trace) != object.__repr__(trace)


def test_details():
    recipe = "temperature(0.5) | top_k(3) | temperature(3.0)"
    text = generate("The cat", recipe, model=TOY, seed=1, max_new_tokens=5, details=True)
    data = text.to_dict()
    assert set(data) == {"version", "prompt", "text", "stop", "seed", "chat", "system", "recipe", "tokens"}
    for token in data["tokens"]:
        names = ["id", "text", "raw_p", "final_p", "temperature", "raw_entropy", "final_entropy", "kept", "leading"]
        assert list(token) == names
        assert token["temperature"] == 1.5
        assert token["kept"] == 3
        assert 0 < token["raw_p"] < 1
        assert token["final_entropy"] <= np.log(3) + 1e-12
        drawn = {name: token[name] for name in ("id", "text", "raw_p", "final_p")}
        assert drawn in [pytest.approx(other) for other in token["leading"]]
        assert sum(other["final_p"] for other in token["leading"]) == pytest.approx(
            1
        )  # three are left, three are listed
    plain = generate("The cat", recipe, model=TOY, seed=1, max_new_tokens=5)
    assert plain.text == text.text
    assert plain.to_dict()["tokens"][0]["raw_p"] is None


def test_the_leading_tokens_of_a_step():
    row = np.full(257, -np.inf)
    row[[65, 66, 67, 68, 69, 70, 71]] = [1.0, 3.0, 2.0, 3.0, 1.0, 1.0, -900.0]
    model = CallableModel(lambda ids: row, Bytes())
    text = generate("x", "bias([[71, 901]])", model=model, seed=1, max_new_tokens=1, details=True)
    leading = text.tokens[0].summary.leading
    assert "".join(other.text for other in leading) == "BDCAE"  # the ids decide between A, E, F and G
    p = np.exp(row[65:72]) / np.exp(row[65:72]).sum()
    assert [other.raw_p for other in leading] == pytest.approx(p[[1, 3, 2, 0, 4]])
    assert [other.final_p for other in leading] == pytest.approx(p[[1, 3, 2, 0, 4]] / (1 + p[0]))
    only = generate("x", "greedy", model=model, seed=1, max_new_tokens=1, details=True).tokens[0].summary.leading
    assert [(other.text, other.final_p) for other in only] == [("B", 1.0)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": ""}, PromptError, "the prompt is empty"),
        ({"prompt": ["a", ""]}, PromptError, "the prompt is empty"),
        ({"prompt": 3}, PromptError, "a prompt must be text, or a list of texts; got 3"),
        ({"prompt": [3]}, PromptError, "a prompt must be text; got 3"),
        ({"prompt": "word " * 600, "model": None}, PromptError, "the prompt has 603 tokens; nutshell holds 512"),
        ({"max_new_tokens": 0}, RecipeError, "max_new_tokens must be a whole number >= 1; got 0"),
        ({"n": 10**9}, RecipeError, "n must make at most 1,000,000 texts"),
        ({"model": lambda ids: ids}, ModelError, "wrap a function in lt.CallableModel"),
        ({"n": 0}, RecipeError, "n must be a whole number >= 1; got 0"),
        ({"batch_size": 0}, RecipeError, "batch_size must be a whole number >= 1; got 0"),
        ({"stop": [""]}, RecipeError, "stop must be a list of non-empty strings"),
        ({"recipe": "top_p(2)"}, RecipeError, r"TopP.p must be in \(0, 1\]; got 2"),
        ({"model": "gpt5"}, ModelError, "there is no model 'gpt5'"),
        ({"seed": [1, 2]}, RecipeError, "one for each of the 1 rows; got 2"),
    ],
)
def test_bad_input_is_refused_before_any_work(options, error, message):
    with pytest.raises(error, match=message):
        generate(**{"prompt": "The cat", "model": TOY, **options})


def test_an_unknown_option_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_tokens'"):
        generate("a", max_tokens=3)


def test_arguments_that_are_something_else():
    with pytest.raises(PromptError, match="prompts must be a list of texts; got 'abc'"):
        start("abc", model=TOY)
    for prompt in (5, [1.0, 2.0], ["The cat"]):
        with pytest.raises(PromptError, match="a prompt must be text; got"):
            explain(prompt, model=TOY)
    with pytest.raises(PromptError, match="logits are one step"):
        explain(logits=[1.0, 2.0], step=2)
    assert generate("The cat", model=TOY, max_new_tokens=np.int64(2), stop=None, seed=1).text


def test_a_stream_refuses_at_the_call():
    with pytest.raises(PromptError):
        stream("")


def test_nothing_left_to_draw_from_says_so():
    model = CallableModel(lambda ids: np.full(257, -np.inf), Bytes())
    with pytest.raises(LogitsError, match="every token was removed in the logits"):
        generate("a", model=model)
    texts = generate(["a", "b"], model=model)
    assert [(t.stop, t.text) for t in texts] == [("error", "")] * 2
    assert "row 0: every token was removed in the logits" in texts[0].error


def test_errors_that_name_no_row_are_not_swallowed():
    calls = itertools.count()
    model = CallableModel(lambda ids: np.zeros(257 if next(calls) < 2 else 3), Bytes())
    with pytest.raises(LogitsError, match="must return logits of shape"):
        generate("a", model=model)


def test_memory_stays_flat_over_a_long_text():
    import tracemalloc

    model = recite("ab" * 5000)
    run = iter(start(["x"], "top_k(5)", model=model, max_new_tokens=1500))
    for _ in itertools.islice(run, 300):
        pass
    tracemalloc.start()
    for _ in run:
        pass
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_500_000  # 1,200 tokens at what a token and its text weigh


def test_tensors_on_the_cpu_are_read_in_place_by_numpy():
    torch = pytest.importorskip("torch")
    x = torch.zeros(2, 3)
    assert in_numpy(x).__array_interface__["data"][0] == x.data_ptr()
    for other in (x.bfloat16(), np.zeros((2, 3))):
        assert in_numpy(other) is other


def test_a_row_that_leaves_gives_its_place_to_the_last():
    says = CallableModel(lambda ids: np.eye(257)[256 if len(ids) > ids[0] - ord("0") else 65] * 50, Bytes())
    sampler = parse("temperature(0)")
    batch = Batch(says, sampler, sampler.start([[ord(c)] for c in "93929"], seed=0), 5)
    rows = []
    while batch.admit() and len(rows) < 6:
        rows.append(list(batch.rows))
        step, _, _ = batch.draw()
        batch.advance(step, [row for row, token in zip(batch.rows, step.tokens.tolist(), strict=True) if token == 256])
    assert rows == [[0, 1, 2, 3, 4]] * 3 + [[0, 1, 2, 4]] + [[0, 4, 2]] * 2
    pieces = list(start(list("93929"), "temperature(0)", model=says, seed=0))
    assert [p.row for p in pieces[-12:]] == [0, 2, 4] * 4  # pieces come in the order of the texts all the same
