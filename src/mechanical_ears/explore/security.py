"""What stands before every route: who may ask, how much, how long; and the headers of every answer.

Pages of other sites cannot reach the server through a visitor's browser: it answers to names of
this machine only (DNS rebinding), and to no request that another site began. On an address that
other machines reach it demands a token, once in the URL that was printed, then in a cookie that no
script can read and no other site makes the browser send.
"""

from __future__ import annotations

import asyncio
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_REQUESTS: Final = 256  # at once
BODY_BYTES: Final = 8 << 20  # of a request that is no recording
BODY_SECONDS: Final = 20.0  # in which a body must be there
LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "::1")
UPLOADS: Final = "/api/recordings"  # which counts for itself
COOKIE_DAYS: Final = 30

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), midi=(self)",
}

_LEADS_ON: Final = """<!doctype html>
<html lang="en"><title>Explore</title><meta http-equiv="refresh" content="0; url=/"></html>
"""


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        token: that is demanded; None on loopback, where names of this machine are demanded.
        most: requests at once.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, most: int = MOST_REQUESTS) -> None:
        self._app = app
        self._token = token
        self._most = most
        self._now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith("/api") and "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        if self._now >= self._most:
            busy = _problem(503, "too many requests at once", "try again in a second")
            busy.headers["Retry-After"] = "1"
            await busy(scope, receive, send_with_headers)
            return
        self._now += 1
        try:
            bounded = receive if scope["path"] == UPLOADS else _bounded(receive)
            await self._app(scope, bounded, send_with_headers)
        finally:
            self._now -= 1

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        port = scope["server"][1] if scope.get("server") else None
        if self._token is None and not _is_local(host, port):
            return _problem(421, "this address is not the server's", "open http://127.0.0.1 there")
        opening = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin")
        if not opening and site not in ("same-origin", "none"):
            return _problem(403, "another site asks for this", "open the page itself")
        if origin is not None and origin != f"{scope['scheme']}://{host}":
            return _problem(403, "another site asks for this", "open the page itself")
        return None if self._token is None else self._let_in(scope, headers, self._token, port)

    @staticmethod
    def _let_in(scope: Scope, headers: Headers, token: str, port: int | None) -> Response | None:
        name = f"ears_{port}"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is not None and scope["path"] == "/":
            if not _same(given[0], token):
                return _problem(401, "the token is wrong", "open the address that was printed")
            # A page of our own leads on: a strict cookie is not sent on a redirect from elsewhere.
            page = HTMLResponse(_LEADS_ON)
            page.set_cookie(
                name, token, max_age=86_400 * COOKIE_DAYS, httponly=True, samesite="strict"
            )
            return page
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(name)
        except CookieError:
            cookie = None
        if cookie is None or not _same(cookie.value, token):
            return _problem(401, "a token is needed", "open the address that was printed")
        return None


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _is_local(host: str, port: int | None) -> bool:
    try:
        told = urlsplit(f"//{host}")
        return told.hostname in LOCAL_NAMES and (told.port or 80) == (port or told.port or 80)
    except ValueError:
        return False


def _bounded(receive: Receive) -> Receive:
    """Receive a body up to ``BODY_BYTES`` in ``BODY_SECONDS``."""
    loop = asyncio.get_running_loop()
    until = loop.time() + BODY_SECONDS
    read, whole = 0, False

    async def bounded() -> Message:
        nonlocal read, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly") from error
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > BODY_BYTES:
                raise HTTPException(413, f"more than {BODY_BYTES >> 20} MB")
        return message

    return bounded


def _problem(status: int, problem: str, remedy: str) -> JSONResponse:
    return JSONResponse({"problem": problem, "remedy": remedy}, status)
