"""The server by itself: who may ask, what is refused, and what it does when it is treated badly."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import logitherm as lt
from logitherm.errors import LogithermError
from logitherm.models import load_model
from logitherm.playground import editor, views, writing
from logitherm.playground.asked import LARGEST
from logitherm.playground.texts import TOLD, Gone, Texts
from logitherm.rules import REGISTRY
from tests.playground import soak
from tests.playground.conftest import serving

PROMPT = "Once upon a time"


def ask(server, path, data=None, raw=None, **headers):
    """A request as anybody may send it: status and what was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = raw if raw is not None else None if data is None else json.dumps(data)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    said, fields = answer.read(), dict(answer.getheaders())
    connection.close()
    return answer.status, said, fields


def written(server, **given):
    status, said, _ = ask(
        server, "/api/write", {"prompt": PROMPT, "recipe": "top_p(0.9)", "max_new_tokens": 4, "seed": 1, **given}
    )
    assert status == 200
    return [json.loads(line) for line in said.splitlines()]


def test_pages_may_load_nothing_from_elsewhere(server):
    status, page, fields = ask(server, "/")
    assert status == 200
    assert b"http" not in page.replace(b"http-equiv", b"")
    policy = fields["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert ask(server, "/static/main.js")[2]["content-security-policy"] == policy


def test_other_names_and_other_pages_are_refused(server):
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{server.port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ):
        assert ask(server, "/api/recipe", {"recipe": "top_p(0.9)"}, **headers)[0] == 403
    own = f"http://127.0.0.1:{server.port}"
    assert ask(server, "/api/recipe", {"recipe": "top_p(0.9)"}, Origin=own)[0] == 200
    assert ask(server, "/", Host="localhost")[0] == 200


def test_what_can_be_reached_from_elsewhere_wants_a_token():
    with serving("--host", "0.0.0.0") as server:
        token = server.url.partition("token=")[2]
        assert len(token) > 16
        assert ask(server, "/")[0] == ask(server, "/?token=wrong")[0] == ask(server, "/api/about")[0] == 403
        status, _, fields = ask(server, f"/?token={token}")
        assert status == 303
        cookie = fields["set-cookie"].partition(";")[0]
        assert "HttpOnly" in fields["set-cookie"]
        assert ask(server, "/", Cookie=cookie)[0] == 200
        assert ask(server, "/", Cookie="logitherm=wrong; =;")[0] == 403


def test_a_token_that_the_recipe_removed_can_be_put_all_the_same(server):
    source = written(server, recipe="top_k(2)")[0]["text"]["id"]
    step = json.loads(ask(server, "/api/step", {"text": source, "step": 2, "top": 24})[1])
    out = next(t["id"] for t in step["stages"][-1]["tokens"] if t["logit"] is None)
    told, *events, done = written(server, text=source, step=2, token=out, recipe="top_k(2)")
    put = told["text"]["tokens"][1]
    assert (put["id"], put["final_p"], put["kept"], put["forced"]) == (out, 0.0, 2, True)
    kept = {t["id"]: t["p"] for t in step["stages"][-1]["tokens"] if t["logit"] is not None}
    assert {t["id"]: t["final_p"] for t in put["leading"]} == pytest.approx(kept, abs=1e-12)
    assert len(events) == 4
    assert done == {"done": "length"}
    name = told["text"]["id"]
    for path, given in (
        ("step", {"step": 2}),
        ("limits", {"step": 2, "tokens": [out]}),
        ("compare", {"step": 2, "recipes": ["top_k(1)", "temperature(2)"]}),
        ("strip", {"step": 2, "temperatures": [0.1, 10]}),
        ("replay", {"recipe": "top_k(1)"}),
    ):
        assert ask(server, f"/api/{path}", {"text": name, **given})[0] == 200, path
    assert ask(server, f"/api/save/html/{name}")[0] == 200
    assert ask(server, f"/api/save/trace/{name}")[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/api/write", "{", 400, "must be JSON"),
        ("/api/write", "[" * 100_000, 400, "must be JSON"),
        ("/api/write", "[]", 400, "must be a JSON object"),
        ("/api/write", "{}", 400, "prompt must be text; got None"),
        ("/api/write", '{"prompt": "", "recipe": "top_k(1)"}', 400, "the prompt is empty"),
        ("/api/write", '{"prompt": "a", "max_new_tokens": 1e9}', 400, "must be a whole number in [0, 1000]"),
        ("/api/write", '{"prompt": "a", "max_new_tokens": true}', 400, "max_new_tokens must be"),
        ("/api/write", '{"prompt": "a", "seed": "-1"}', 400, "seed must be a whole number"),
        ("/api/write", '{"prompt": "\\ud800", "recipe": "top_k(1)"}', 400, "valid Unicode"),
        ("/api/write", '{"text": "nothing"}', 410, "write it again"),
        ("/api/step", '{"text": 3, "step": 1}', 400, "text must be text; got 3"),
        ("/api/strip", '{"text": "x"}', 410, "write it again"),
        ("/api/recipe", '{"recipe": "temprature(1)"}', 200, "did you mean 'temperature'?"),
        ("/api/recipe", '{"recipe": "top_p(2)"}', 200, "TopP.p must be in (0, 1]; got 2"),
        ("/api/recipe", '{"recipe": "' + "top_k(1) | " * 100 + 'top_k(1)"}', 200, "must have 1 to 64 rules; got 101"),
        ("/api/nothing", "{}", 404, ""),
        ("/static/../app.py", None, 404, ""),
        ("/api/save/exe/x", None, 410, "write it again"),
    ],
)  # fmt: skip
def test_each_bad_request_gets_one_clear_answer(server, path, body, status, why):
    found, said, _ = ask(server, path, raw=body)
    assert found == status
    assert why in said.decode()


def test_what_a_text_is_asked_is_checked(server):
    events = written(server)
    name = events[0]["text"]["id"]
    for path, given, why in (
        ("step", {"step": 9}, "step must be a whole number in [1, 4]; got 9"),
        ("step", {"step": 1, "top": 10**9}, "top must be"),
        ("limits", {"step": 1, "tokens": [-1]}, "tokens must be a list of at most 64 ids in [0, 4096)"),
        ("limits", {"step": 1, "tokens": [0] * 100}, "tokens must be"),
        ("compare", {"step": 1, "recipes": ["top_k(1)"]}, "recipes must be two; got 1"),
        ("strip", {"step": 1, "temperatures": [0]}, "temperatures must be a list of 1 to 40 numbers > 0"),
        ("write", {"step": 2, "token": 10**6, "recipe": ""}, "a token must be an id in [0, 4096)"),
        ("write", {"step": 7, "recipe": ""}, "step must be in [1, 5]; got 7"),
    ):
        status, said, _ = ask(server, f"/api/{path}", {"text": name, **given})
        assert status == 400, path
        assert why in json.loads(said)["error"]
    status, said, _ = ask(server, f"/api/save/exe/{name}")
    assert (status, b"trace or html" in said) == (400, True)


def test_large_requests_are_refused_before_they_are_read(server):
    status, said, _ = ask(server, "/api/write", raw=json.dumps({"prompt": "a" * (10 << 20)}))
    assert status == 413
    assert f"{LARGEST:,}" in said.decode()
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=30
    ) as raw:  # one that does not say how long it is
        raw.sendall(b"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(40):
                raw.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            raw.sendall(b"0\r\n\r\n")
        except OSError:
            return
        assert b" 413 " in raw.recv(100)


def test_long_prompts_are_said_to_be_long(server):
    status, said, _ = ask(server, "/api/write", {"prompt": "word " * 2000, "recipe": "top_k(1)"})
    assert status == 400
    assert "nutshell holds 512" in json.loads(said)["error"]


def test_plug_ins_are_not_imported_for_a_page():
    with pytest.raises(lt.RecipeError, match="unknown rule 'antigravity'"):
        editor.read("antigravity()", others=False)


def test_eight_write_at_once_beside_slow_and_broken_ones(server):
    """And each gets what it gets alone."""
    alone = {seed: written(server, seed=seed, max_new_tokens=25)[1:] for seed in range(8)}
    slow = [soak.slow(server.port) for _ in range(4)] + [soak.half_open(server.port) for _ in range(4)]
    found = {}

    def work(seed):
        found[seed] = written(server, seed=seed, max_new_tokens=25)[1:]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for connection in slow:
        connection.close()
    assert found.keys() == alone.keys()
    for seed, events in alone.items():  # in this machine's float32 logits, which may differ in the last digits
        assert len(found[seed]) == len(events)
        for here, there in zip(found[seed], events, strict=True):
            assert said(here) == said(there)
            assert measured(here) == pytest.approx(measured(there), rel=1e-3)


def said(event):
    """Of a token what must be the same; of the last event all."""
    return {name: event["token"][name] for name in ("id", "shown", "kept", "place")} if "token" in event else event


def measured(event):
    return [event["token"][name] for name in ("raw_p", "final_p", "raw_entropy")] if "token" in event else []


def test_nothing_grows_and_nothing_breaks_under_bad_treatment():
    """A quarter of a minute of what `make soak` does for ten."""
    with serving("--memory", "8") as server:
        found = soak.soak(server, 15)
        assert found.faults == []
        assert found.texts > 3
        assert found.requests > 30
        assert found.after - found.before < 60 << 20


def test_logits_are_let_go_when_there_is_no_room():
    model = load_model(None)
    texts = Texts(cap=40 * (4 * model.vocabulary.size + TOLD))
    old, new = (writing.begin(texts, model, PROMPT, lt.parse("top_p(0.9)"), seed) for seed in (1, 2))
    for text in (old, new):
        assert sum("token" in event for event in writing.write(texts, model, text, 30, [])) == 30
    assert texts.held() <= texts.cap
    with pytest.raises(Gone, match="make room"):
        texts.find(old.id)
    assert texts.find(new.id) is new
    assert views.step(model, new, 0, None, 5)["drawn"] == new.tokens[0]
    with pytest.raises(Gone):
        texts.find("nobody")


def test_a_branch_is_the_text_that_the_recipe_would_have_written():
    """Also with rules that remember, and under another recipe; the cache is cropped, not read again."""
    model, texts = load_model(None), Texts()
    for recipe in ("temperature(0.9) | top_p(0.9)", "mirostat(3.0)", "repetition(1.3) | dry(0.8) | top_k(40)"):
        text = writing.begin(texts, model, PROMPT, lt.parse(recipe), 5)
        list(writing.write(texts, model, text, 20, []))
        same = writing.branch(texts, model, text, 8, text.tokens[8], None)
        list(writing.write(texts, model, same, 11, []))
        assert same.tokens == text.tokens
        assert same.forced == {8}
        for a, b in zip(same.logits[9:], text.logits[9:], strict=True):
            assert np.abs(a - b).max() < 1e-3
        other = writing.branch(texts, model, text, 8, None, lt.parse("temperature(0.0)"))
        list(writing.write(texts, model, other, 5, []))
        assert other.tokens[:8] == text.tokens[:8]
        assert len(other.tokens) == 13
        assert (text.mixed, same.mixed, other.mixed) == (False, False, True)
    with pytest.raises(LogithermError, match="step must be in"):
        writing.branch(texts, model, text, 99, None, None)


BOUNDED = "dynamic_temperature", "dynatemp", "entropy_rate", "repetition", "frequency", "presence", "conformal"
"""Rules whose parameters bound each other, so that not every end of a slider goes with every example."""


def test_every_number_has_a_slider_and_a_tip():
    for told in editor.offered()["rules"]:
        rule = REGISTRY[told["name"]]
        for parameter in told["parameters"]:
            where = told["name"], parameter["name"]
            assert parameter["tip"], where
            if parameter["kind"] == "number":
                low, high, step = parameter["slider"]
                assert low < high
                assert 0 < step <= high - low
                for end in (low, high):
                    value = int(end) if parameter["whole"] else end
                    if told["name"] not in BOUNDED:
                        rule(**{**rule.examples[0], parameter["name"]: value})


def test_a_port_that_is_taken_is_said_at_once(server):
    done = subprocess.run(
        [sys.executable, "-m", "logitherm", "play", "--no-browser", "--port", str(server.port)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_it_without_a_word():
    with serving() as server:
        written(server)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 130
        server.kill()
        assert server.said() == []


def test_the_page_brings_all_its_files():
    from logitherm.playground.app import STATIC

    assert {path.name for path in STATIC.iterdir()} >= {"index.html", "main.js", "style.css"}
    assert all(Path(STATIC / path.name).stat().st_size for path in STATIC.iterdir())
