"""Who may talk to the playground: pages that it served itself, under the name that it was told."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import JSONResponse, RedirectResponse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OWN = {"127.0.0.1", "localhost", "::1"}
"""The names of this machine, which no other page can make a browser believe: DNS rebinding brings another."""


class Guard:
    """An application behind checks of Host and Origin, and of a token where it can be reached from elsewhere.

    names: the host names it answers to; None for any, which needs a token.
    token: what the URL must carry at the first visit, and a cookie from then on; None for none.
    """

    def __init__(self, app: App, names: set[str] | None = OWN, token: str | None = None) -> None:
        self._app = app
        self._names = names
        self._token = token
        self._cookie = f"logitherm-{sha256((token or '').encode()).hexdigest()[:8]}"
        """A name of its own, for a browser sends a cookie to every port of a host: two playgrounds would take turns."""

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(headers)
        if refused is None and self._token is not None:
            given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
            if scope["method"] == "GET" and secrets.compare_digest(given.encode(), self._token.encode()):
                answer = RedirectResponse("/", 303, HEADERS)
                answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
                await answer(scope, receive, send)
                return
            if not secrets.compare_digest(_cookie(headers, self._cookie).encode(), self._token.encode()):
                refused = "open the address with its token, as the terminal shows it"
        if refused is not None:
            await JSONResponse({"error": refused}, 403, HEADERS)(scope, receive, send)
            return

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *ours]
            await send(message)

        await self._app(scope, receive, sent)

    def _refused(self, headers: dict[str, str]) -> str | None:
        host = _name(f"//{headers.get('host', '')}")
        if self._names is not None and host not in self._names:
            return "this server answers to its own name only"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return "another page may not ask this server"
        return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
