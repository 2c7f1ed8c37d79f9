"""The texts by themselves: what is held, who may ask the model when, what is told when something breaks."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import logitherm as lt
from logitherm.errors import LogithermError
from logitherm.models import load_model
from logitherm.models.callable import CallableModel
from logitherm.playground import keep, views, writing
from logitherm.playground.app import Playground
from logitherm.playground.texts import CACHES, TOLD, Gone, Texts
from tests.playground.conftest import serving
from tests.playground.test_server import PROMPT, ask, written


@pytest.fixture(scope="module")
def model():
    return load_model(None)


def made(texts, model, recipe="top_p(0.9)", tokens=20, seed=5):
    text = writing.begin(texts, model, PROMPT, lt.parse(recipe), seed)
    *_, last = writing.write(texts, model, text, tokens, [])
    return text, last


def test_the_cap_holds_whatever_it_is_that_fills_it(model):
    row = 4 * model.vocabulary.size + TOLD
    texts = Texts(cap=100 * row)
    kept = [made(texts, model, tokens=15, seed=seed)[0] for seed in range(12)]
    assert texts.held() <= texts.cap
    gone = [text for text in kept if text.id not in texts._texts]
    assert gone == kept[: len(gone)]  # the longest unused
    assert gone
    branch = writing.branch(texts, model, kept[-1], 10, None, None)
    assert texts.held() <= texts.cap
    assert sum(row.nbytes for row in branch.logits) == 10 * 4 * model.vocabulary.size
    long = Texts(cap=1 << 20)
    for _ in range(90):
        writing.begin(long, model, "x" * 300, lt.parse("top_k(1)"), 1)
    assert long.held() <= long.cap
    assert len(long._texts) < 90


def test_a_text_that_fills_all_the_room_says_so_and_can_be_looked_at(model):
    texts = Texts(cap=10 * (4 * model.vocabulary.size + TOLD) + 3 * TOLD)
    text = writing.begin(texts, model, PROMPT, lt.parse("top_p(0.9)"), 1)
    with pytest.raises(LogithermError, match="this text fills the 0 MB that the server holds"):
        list(writing.write(texts, model, text, 30, []))
    assert text.stop == "error"
    assert 8 <= len(text) <= 10
    assert views.step(model, texts.find(text.id), 3, None, 5)["drawn"] == text.tokens[3]


def test_a_text_that_had_to_go_is_written_no_further(model):
    texts = Texts(cap=10 * (4 * model.vocabulary.size + TOLD))
    text = writing.begin(texts, model, PROMPT, lt.parse("top_p(0.9)"), 1)
    events = writing.write(texts, model, text, 30, [])
    next(events)
    made(texts, model, tokens=9)
    with pytest.raises(Gone):
        list(events)


def test_the_model_remembers_only_the_texts_begun_last(model):
    texts = Texts()
    kept = [made(texts, model, tokens=3, seed=seed)[0] for seed in range(CACHES + 3)]
    assert [text.cache is not None for text in kept] == [False] * 3 + [True] * CACHES
    again = writing.branch(texts, model, kept[0], 2, None, None)  # and is asked again where it does not
    *_, last = writing.write(texts, model, again, 1, [])
    assert again.tokens == kept[0].tokens
    assert last == {"done": "length"}


def test_a_text_goes_on_from_its_end_and_ends_once(model):
    texts = Texts()
    whole, _ = made(texts, model, "mirostat(3.0)", tokens=20)
    half, last = made(texts, model, "mirostat(3.0)", tokens=10)
    assert last == {"done": "length"}
    more = writing.branch(texts, model, half, 10, None, None)
    list(writing.write(texts, model, more, 10, []))
    assert (more.tokens, more.shared, more.mixed, more.forced) == (whole.tokens, 10, False, set())
    end = model.vocabulary.eos[0]
    ended = writing.branch(texts, model, half, 4, end, None)
    assert list(writing.write(texts, model, ended, 10, [])) == [{"done": "eos"}]
    after = writing.branch(texts, model, ended, 5, None, None)
    assert list(writing.write(texts, model, after, 10, [])) == [{"done": "eos"}]
    nothing = writing.branch(texts, model, half, 4, half.tokens[4], None)
    assert list(writing.write(texts, model, nothing, 0, [])) == [{"done": "length"}]


def test_a_stop_string_may_begin_in_one_token_and_end_in_another(model):
    texts = Texts()
    text, _ = made(texts, model, tokens=20)
    whole = "".join(event["shown"] for event in text.events)
    stop = whole[10:16]
    again = writing.begin(texts, model, PROMPT, lt.parse("top_p(0.9)"), 5)
    *_, last = writing.write(texts, model, again, 20, [stop])
    assert last == {"done": "stop_string"}
    assert stop in "".join(event["shown"] for event in again.events)
    assert len(again) < len(text)


def test_a_text_can_be_looked_at_while_it_is_written(model):
    """By every question, from other threads, with a recipe that remembers."""
    texts, faults = Texts(), []
    text = writing.begin(texts, model, PROMPT, lt.parse("top_p(0.9)"), 3)
    writer = threading.Thread(target=lambda: list(writing.write(texts, model, text, 150, [])))
    other = lt.parse("mirostat(3.0)")

    def look():
        while writer.is_alive():
            if not len(text):
                continue
            place = len(text) - 1
            try:
                found = views.replay(model, text, other)
                assert [token["place"] for token in found] == list(range(len(found)))
                views.step(model, text, place, other, 5)
                views.compare(model, text, place, {"A": other, "B": lt.parse("top_k(3)")}, 5)
                writing.branch(texts, model, text, place, None, other)
            except Exception as error:
                faults.append(error)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for thread in (writer, *lookers):
        thread.start()
    for thread in (writer, *lookers):
        thread.join()
    assert faults == []
    assert len(text) == len(text.tokens) == len(text.logits) == len(text.states) - 1


def test_one_thread_at_a_time_asks_the_model(model):
    inside, most = [0], [0]

    def function(ids):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.001)  # so that another thread would come in
        inside[0] -= 1
        return np.cos(np.arange(model.vocabulary.size) * (1 + sum(ids) % 7))

    shared, texts = CallableModel(function, model.vocabulary), Texts()
    threads = [threading.Thread(target=made, args=(texts, shared, "top_k(20)", 10, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_whatever_breaks_in_the_middle_of_a_text_is_told(model, caplog):
    calls = []

    def function(ids):
        calls.append(ids)
        if len(calls) > 3:
            raise RuntimeError("out of memory on the card")
        return np.zeros(model.vocabulary.size)

    playground = Playground(CallableModel(function, model.vocabulary))
    text = writing.begin(playground._texts, playground._model, PROMPT, lt.parse("top_k(5)"), 1)

    async def lines():
        return [json.loads(line) async for line in playground._lines(text, 10, [])]

    with ThreadPoolExecutor(1) as pool:  # for the browser's tests keep a loop in this thread
        told = pool.submit(lambda: asyncio.run(lines())).result()
    assert [list(event) for event in told] == [["text"], ["token"], ["token"], ["token"], ["error"]]
    assert "out of memory on the card" in told[-1]["error"]
    assert "fault of the program" in told[-1]["error"]
    assert "RuntimeError" in caplog.text
    assert playground._writers == 0


def test_compare_knows_what_a_rule_with_a_memory_has_seen(model):
    text, _ = made(Texts(), model, "mirostat(2.0, eta=1.0)", tokens=15)
    for place in (0, 7, 14):
        stage = views.step(model, text, place, None, 5)["stages"][-1]
        found = views.compare(model, text, place, {"A": lt.parse(text.recipe), "B": lt.parse("top_k(3)")}, 5)
        assert found["recipes"][0]["kept"] == stage["kept"]
        assert found["recipes"][0]["entropy"] == pytest.approx(stage["entropy"], abs=1e-12)
        assert found["parts"][0] is None


def test_a_report_of_several_recipes_tells_what_each_token_was_drawn_with(model, tmp_path):
    """Also where the last recipe would not have allowed the tokens before it."""
    texts = Texts()
    text, _ = made(texts, model, tokens=6)
    other = writing.branch(texts, model, text, 3, None, lt.parse("grammar('[0-9]+', kind='regex') | top_k(5)"))
    assert keep.report(model, other, tmp_path).read_text("utf-8")
    warm = writing.branch(texts, model, text, 3, None, lt.parse("temperature(2.0)"))
    list(writing.write(texts, model, warm, 3, []))
    page = keep.report(model, warm, tmp_path).read_text("utf-8")
    assert page.count("temperature(2.0)") >= 1
    assert [event["temperature"] for event in warm.events] == [1.0] * 3 + [2.0] * 3


def test_a_request_that_ends_in_the_middle_is_no_news():
    from tests.playground import soak

    with serving() as server:
        for _ in range(5):
            soak.half_open(server.port).close()
        for _ in range(5):
            soak.slow(server.port).close()
        written(server)
        assert server.said() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "[::1]:{port}"}, 200),
        ({"Host": "[::1]:{port}", "Origin": "http://[::1]:{port}"}, 200),
        ({"Host": "LOCALHOST:{port}"}, 200),
        ({"Host": "[::1", "Origin": "http://[::1"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Host": "localhost.evil.example:{port}"}, 403),
        ({"Host": ""}, 403),
    ],
)
def test_names_and_origins(server, headers, status):
    given = {name: value.format(port=server.port) for name, value in headers.items()}
    assert ask(server, "/api/recipe", {"recipe": "top_p(0.9)"}, **given)[0] == status


def test_two_that_can_be_reached_from_elsewhere_do_not_take_each_others_cookie():
    with serving("--host", "0.0.0.0") as one, serving("--host", "0.0.0.0") as two:
        cookies = []
        for server in (one, two):
            status, _, fields = ask(server, f"/?token={server.url.partition('token=')[2]}")
            assert status == 303
            assert fields["location"] == "/"
            cookies.append(fields["set-cookie"].partition(";")[0])
        assert cookies[0].partition("=")[0] != cookies[1].partition("=")[0]
        both = "; ".join(cookies)
        assert ask(one, "/", Cookie=both)[0] == ask(two, "/", Cookie=both)[0] == 200
        assert ask(one, "/", Cookie=cookies[1])[0] == 403


@pytest.mark.parametrize("recipe", ["grammar('\\ud800', kind='regex')", "dry(0.8, breakers=['\\udfff'])", "\ud800(1)"])
def test_half_a_character_in_a_recipe_is_answered(server, recipe):
    status, said, _ = ask(server, "/api/recipe", {"recipe": recipe})
    assert status == 200
    assert json.loads(said)["wrong"]
