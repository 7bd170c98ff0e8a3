"""Security: middleware that checks and limits every request, and adds headers to every response.

Pages of other sites cannot reach the server through a visitor's browser: it responds to names of
this machine only (against DNS rebinding), and to no request that another site started. On an
address that other machines can reach, it requires a token: once in the printed URL, then in a
cookie that scripts cannot read and that the browser does not send for other sites.
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

MAX_REQUESTS: Final = 256  # at once
MAX_BODY_BYTES: Final = 8 << 20  # bytes of a request body, except of uploads
MAX_BODY_SECONDS: Final = 20.0  # s in which a request body must arrive
LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "::1")
UPLOAD_PATH: Final = "/api/recordings"  # whose route has limits of its own
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

_FORWARDING_PAGE: Final = """<!doctype html>
<html lang="en"><title>Explore</title><meta http-equiv="refresh" content="0; url=/"></html>
"""


class SecurityMiddleware:
    """ASGI middleware.

    Args:
        app: the protected application.
        token: that requests must have; None on loopback, where the host name is checked instead.
        max_requests: at once.
    """

    def __init__(
        self, app: ASGIApp, token: str | None = None, max_requests: int = MAX_REQUESTS
    ) -> None:
        self._app = app
        self._token = token
        self._max_requests = max_requests
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
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

        refusal = self._check(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        if self._running >= self._max_requests:
            busy = _problem(503, "too many requests at once", "try again in a second")
            busy.headers["Retry-After"] = "1"
            await busy(scope, receive, send_with_headers)
            return
        self._running += 1
        try:
            limited = receive if scope["path"] == UPLOAD_PATH else _limit_body(receive)
            await self._app(scope, limited, send_with_headers)
        finally:
            self._running -= 1

    def _check(self, scope: Scope) -> Response | None:
        """The response that refuses a request; None if it may pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        port = scope["server"][1] if scope.get("server") else None
        if self._token is None and not _is_local(host, port):
            return _problem(421, "this is not an address of the server", "open http://127.0.0.1")
        is_page = scope["method"] in ("GET", "HEAD") and scope["path"] == "/"
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin")
        allowed = is_page or site in ("same-origin", "none")
        if not allowed or origin not in (None, f"{scope['scheme']}://{host}"):
            return _problem(403, "another site has sent this request", "open the page itself")
        return None if self._token is None else _check_token(scope, headers, self._token, port)


def _check_token(scope: Scope, headers: Headers, token: str, port: int | None) -> Response | None:
    cookie_name = f"ears_{port}"
    in_url = parse_qs(scope["query_string"].decode("latin-1")).get("token")
    if in_url is not None and scope["path"] == "/":
        if not _equal(in_url[0], token):
            return _problem(401, "the token is wrong", "open the printed address")
        # Forward by a page, since a strict cookie is not sent after a redirect from elsewhere.
        page = HTMLResponse(_FORWARDING_PAGE)
        page.set_cookie(
            cookie_name, token, max_age=86_400 * COOKIE_DAYS, httponly=True, samesite="strict"
        )
        return page
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(cookie_name)
    except CookieError:
        cookie = None
    if cookie is None or not _equal(cookie.value, token):
        return _problem(401, "a token is required", "open the printed address")
    return None


def _equal(value: str, token: str) -> bool:
    return secrets.compare_digest(value.encode(), token.encode())


def _is_local(host: str, port: int | None) -> bool:
    try:
        url = urlsplit(f"//{host}")
        return url.hostname in LOCAL_NAMES and (url.port or 80) == (port or url.port or 80)
    except ValueError:
        return False


def _limit_body(receive: Receive) -> Receive:
    """Receive a body of at most `MAX_BODY_BYTES` within `MAX_BODY_SECONDS`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + MAX_BODY_SECONDS
    size, complete = 0, False

    async def receive_limited() -> Message:
        nonlocal size, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request arrived too slowly") from error
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, f"the request has more than {MAX_BODY_BYTES >> 20} MB")
        return message

    return receive_limited


def _problem(status: int, problem: str, remedy: str) -> JSONResponse:
    return JSONResponse({"problem": problem, "remedy": remedy}, status)
