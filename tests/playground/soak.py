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


class Found(NamedTuple):
    """How many requests there were, what went wrong, and by how many bytes the server's memory grew."""

    requests: int
    faults: list[str]
    grown: int


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
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    try:
        raw.sendall(data)
    except OSError:
        raw.close()
        raise
    return raw


def soak(server: Any, seconds: float) -> Found:
    """Eight clients that write texts and leave, ask nonsense, and read slowly, for so many seconds."""
    faults: list[str] = []
    counts = [0] * 8
    end = time.monotonic() + seconds
    warm = time.monotonic() + seconds / 3
    before = 0

    def client(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < end:
            try:
                one(server.port, rng, faults)
            except OSError as error:  # refused or reset: the server may shut the door on a body it does not want
                if server.process.poll() is not None:
                    faults.append(f"the server ended: {error!r}")
                    return
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    while time.monotonic() < warm:
        time.sleep(0.2)
    before = resident(server.process.pid)
    for thread in threads:
        thread.join()
    time.sleep(1)
    return Found(sum(counts), faults, resident(server.process.pid) - before)


def one(port: int, rng: random.Random, faults: list[str]) -> None:
    """One client's next deed."""
    deed = rng.random()
    if deed < 0.2:
        with slow(port):
            time.sleep(rng.random() * 0.2)
    elif deed < 0.3:
        with half_open(port):
            time.sleep(0.01)
    elif deed < 0.5:
        with begun(port, 30) as raw:
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    else:
        path, body = rng.choice(PATHS), rng.choice(BODIES)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status >= 500 or (answer.status == 400 and b"error" not in said):
            faults.append(f"{path} {body[:40]!r}: {answer.status} {said[:100]!r}")


def main(minutes: float = 10) -> int:
    """Soak a server of our own; 1 if anything went wrong."""
    from tests.playground.conftest import serving

    with serving("--memory", "8") as server:
        found = soak(server, 60 * minutes)
    print(f"{found.requests:,} requests, {len(found.faults)} faults, memory grew by {found.grown / 2**20:.1f} MiB")
    print("\n".join(found.faults[:20]))
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
