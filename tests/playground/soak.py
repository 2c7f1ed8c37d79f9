"""Bad treatment of the playground's server: `make soak` gives it ten minutes of it and prints what came of that."""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

BODIES = [
    b"", b"{", b"null", b"\xff\xfe", b"[" * 5000, b'{"prompt": 1}', b'{"prompt": "a", "recipe": "top_p(9)"}',
    b'{"prompt": "a", "recipe": "nothing()"}', b'{"text": "gone", "step": 1}', b"a" * (2 << 20),
    b'{"prompt": "\\ud800"}',
]  # fmt: skip
PATHS = "/api/write", "/api/step", "/api/recipe", "/api/compare", "/api/strip", "/api/replay", "/api/limits", "/x", "/"


TOO_LONG = 60
"""Seconds of waiting for an answer."""

GONE = 410
"""The status of a text that had to go to make room for others."""

RECIPES = "top_p(0.9)", "mirostat(3.0)", "repetition(1.3) | dry(0.8) | temperature(0.8)", "temperature(2.0)"


class Found(NamedTuple):
    """What came of it: how many requests there were, how many texts were written to their end, what went wrong, and the
    server's memory in bytes after the first third and at the end.
    """

    requests: int
    texts: int
    faults: list[str]
    before: int
    after: int


def resident(process: int) -> int:
    """The bytes that a process holds in memory."""
    line = next(x for x in Path(f"/proc/{process}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def begun(port: int, tokens: int) -> socket.socket:
    """A connection that asked for a text."""
    body = json.dumps({"prompt": "Once upon a time", "recipe": "top_p(0.9)", "max_new_tokens": tokens}).encode()
    return _sent(port, b"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def slow(port: int) -> socket.socket:
    """One that asked for a text and reads only its beginning."""
    raw = begun(port, 400)
    raw.settimeout(5)
    with suppress(OSError):
        raw.recv(50)
    return raw


def half_open(port: int) -> socket.socket:
    """One that never ends what it asks."""
    return _sent(port, b"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")


def _sent(port: int, data: bytes) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=TOO_LONG)
    try:
        raw.sendall(data)
    except OSError:
        raw.close()
        raise
    return raw


def soak(server: Any, seconds: float) -> Found:
    """Eight clients that write texts, read slowly, leave in the middle and ask nonsense, for so many seconds.

    A fault is a wrong answer, one that takes longer than TOO_LONG, and anything that the server says in its window.
    """
    faults: list[str] = []
    counts, written = [0] * 8, [0] * 8
    end = time.monotonic() + seconds
    warm = time.monotonic() + seconds / 3
    before = 0

    def client(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < end:
            try:
                written[number] += one(server.port, rng, faults)
            except (OSError, http.client.HTTPException) as error:
                shut = isinstance(error, ConnectionError)  # the door may be shut on a body that nobody wants
                if not shut or server.process.poll() is not None:
                    faults.append(f"{error!r}")
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    while time.monotonic() < warm:
        time.sleep(0.2)
    before = resident(server.process.pid)
    for thread in threads:
        thread.join()
    faults += server.said()
    return Found(sum(counts), sum(written), faults, before, resident(server.process.pid))


def one(port: int, rng: random.Random, faults: list[str]) -> int:
    """One client's next deed; how many texts it wrote to their end."""
    deed = rng.random()
    if deed < 0.15:
        with slow(port):
            time.sleep(rng.random() * 0.2)
    elif deed < 0.25:
        with half_open(port):
            time.sleep(0.01)
    elif deed < 0.3:
        with begun(port, 30) as raw:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    elif deed < 0.5:
        return text(port, rng, faults)
    else:
        path, body = rng.choice(PATHS), rng.choice(BODIES)
        status, said = asked(port, path, body)
        if status >= 500 or (status == 400 and b"error" not in said):
            faults.append(f"{path} {body[:40]!r}: {status} {said[:100]!r}")
    return 0


def text(port: int, rng: random.Random, faults: list[str]) -> int:
    """Write a text, look at it, and branch from it, as the page does."""
    told = {"prompt": "Once upon a time", "recipe": rng.choice(RECIPES), "max_new_tokens": 30}
    events = _events(port, told)
    if "done" not in events[-1]:
        faults.append(f"a text ended with {events[-1]}")
        return 0
    name, length = events[0]["text"]["id"], len(events) - 2
    place = rng.randint(1, length)
    questions: dict[str, dict[str, Any]] = {
        "step": {"recipe": rng.choice(RECIPES)},
        "limits": {"tokens": [events[place]["token"]["id"]]},
        "compare": {"recipes": rng.sample(RECIPES, 2)},
        "strip": {"temperatures": [0.1, 10]},
        "replay": {"recipe": rng.choice(RECIPES)},
    }
    for path, more in questions.items():
        status, said = asked(port, f"/api/{path}", json.dumps({"text": name, "step": place, **more}).encode())
        if status not in (200, GONE):
            faults.append(f"{path} {more}: {status} {said[:100]!r}")
    put = {"text": name, "step": place, "token": rng.randrange(4096), "recipe": told["recipe"], "max_new_tokens": 10}
    branch = _events(port, put)
    if "done" not in branch[-1] and "not here any more" not in branch[-1].get("error", ""):
        faults.append(f"a branch ended with {branch[-1]}")
    return 1


def _events(port: int, told: dict[str, Any]) -> list[dict[str, Any]]:
    status, said = asked(port, "/api/write", json.dumps(told).encode())
    return [json.loads(line) for line in said.splitlines()] if status in (200, GONE) else [{"status": status}]


def asked(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    """A request, and all that is answered."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TOO_LONG)) as connection:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def main(minutes: float = 10) -> int:
    """Soak a server of our own; 1 if anything went wrong."""
    from tests.playground.conftest import serving

    with serving("--memory", "8") as server:
        found = soak(server, 60 * minutes)
    memory = f"{found.before / 2**20:.0f} MiB after a third, {found.after / 2**20:.0f} MiB at the end"
    print(f"{found.requests:,} deeds, {found.texts:,} texts written; {len(found.faults)} faults; memory {memory}")
    print("\n".join(found.faults[:20]))
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
