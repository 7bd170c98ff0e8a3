"""Refused requests: of other hosts and sites, without a token, too many, too large, too slow."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mechanical_ears.explore import security
from mechanical_ears.explore.security import SecurityMiddleware
from support.running_server import RunningServer

TOKEN = "correct-horse"
BASE = "http://127.0.0.1:8000"


async def hello(request: Request) -> JSONResponse:
    return JSONResponse({"bytes": len(await request.body())})


def protected_app(**options):
    routes = [
        Route(path, hello, methods=["GET", "POST"])
        for path in ("/", "/api/about", "/api/instruments", "/static/x.js")
    ]
    return SecurityMiddleware(Starlette(routes=routes), **options)


def send(app, method="GET", path="/api/about", **options):
    async def send_async():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, **options)

    return asyncio.run(send_async())


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_names_of_this_machine_are_accepted(host):
    assert send(protected_app(), headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1:9", "127.0.0.1.evil.example:8000", "", "[::1"],
)
def test_other_names_are_refused(host):
    response = send(protected_app(), headers={"Host": host})
    assert response.status_code == 421
    assert response.json()["remedy"]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"Origin": BASE}, "/api/about", 200),
        ({"Origin": "http://evil.example"}, "/api/about", 403),
        ({"Origin": "http://127.0.0.1:9999"}, "/api/about", 403),
        ({"Origin": "https://127.0.0.1:8000"}, "/api/about", 403),
        ({"Origin": "null"}, "/api/about", 403),
        ({"Sec-Fetch-Site": "same-origin"}, "/api/about", 200),
        ({"Sec-Fetch-Site": "none"}, "/api/about", 200),
        ({"Sec-Fetch-Site": "same-site"}, "/api/about", 403),
        ({"Sec-Fetch-Site": "cross-site"}, "/api/about", 403),
        ({"Sec-Fetch-Site": "cross-site"}, "/static/x.js", 403),
        ({"Sec-Fetch-Site": "cross-site"}, "/", 200),  # a link to the page
    ],
)
def test_other_sites_are_refused(headers, path, status):
    assert send(protected_app(), path=path, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("path", "cookies", "status"),
    [
        ("/", {}, 401),
        ("/api/about", {}, 401),
        ("/static/x.js", {}, 401),
        ("/?token=wrong", {}, 401),
        ("/?token=", {}, 401),
        (f"/?token={TOKEN}", {}, 200),
        (f"/api/about?token={TOKEN}", {}, 401),  # only the page accepts it in the URL
        ("/api/about", {"ears_8000": TOKEN}, 200),
        ("/api/about", {"ears_8000": TOKEN + "x"}, 401),
        ("/api/about", {"ears_8000": "Gänse".encode().decode("latin-1")}, 401),
        ("/api/about", {"ears_9000": TOKEN}, 401),
    ],
)
def test_a_token_is_required(path, cookies, status):
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode("latin-1")
    response = send(
        protected_app(token=TOKEN), path=path, headers={b"Cookie": cookie, b"Host": b"a.b:1"}
    )
    assert response.status_code == status


def test_scripts_and_other_sites_have_no_access_to_the_token():
    response = send(protected_app(token=TOKEN), path=f"/?token={TOKEN}")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in response.text
    assert 'content="0; url=/"' in response.text


def test_requests_beyond_the_limit_are_refused_with_retry_after():
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return JSONResponse({})

    async def send_ten():
        app = SecurityMiddleware(Starlette(routes=[Route("/", slow)]), max_requests=3)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            tasks = [asyncio.create_task(client.get("/")) for _ in range(10)]
            while sum(task.done() for task in tasks) < 7:
                await asyncio.sleep(0)
            gate.set()
            responses = await asyncio.gather(*tasks)
            after = await client.get("/")
        return responses, after

    responses, after = asyncio.run(send_ten())
    assert sorted(response.status_code for response in responses) == [200] * 3 + [503] * 7
    busy = next(response for response in responses if response.status_code == 503)
    assert int(busy.headers["retry-after"]) > 0
    assert busy.json()["problem"]
    assert after.status_code == 200


def test_too_large_a_body_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(security, "MAX_BODY_BYTES", 1000)
    read = []

    async def body():
        for number in range(1000):
            read.append(number)
            yield b"x" * 100

    response = send(protected_app(), "POST", "/api/instruments", content=body())
    assert response.status_code == 413
    assert len(read) < 20
    assert send(protected_app(), "POST", "/api/instruments", content=b"x" * 999).json() == {
        "bytes": 999
    }


def test_too_slow_a_body_times_out(monkeypatch):
    monkeypatch.setattr(security, "MAX_BODY_SECONDS", 0.05)

    async def body():
        yield b"x"
        await asyncio.sleep(60)

    assert send(protected_app(), "POST", "/api/instruments", content=body()).status_code == 408


def test_on_another_address_the_command_requires_a_token(tmp_path):
    with RunningServer(tmp_path, "--points", "11", "--host", "0.0.0.0") as running:
        token = running.address.partition("?token=")[2]
        assert len(token) >= 32
        assert running.client.get("/api/about").status_code == 401
        assert running.client.get("/", params={"token": token}).status_code == 200
        assert running.client.get("/api/about").json()["points"] == 11
        with httpx.Client(base_url=running.client.base_url) as stranger:
            assert stranger.get("/api/about").status_code == 401


def test_on_loopback_no_token_is_required(server):
    assert "token" not in server.address
    with contextlib.closing(httpx.Client(base_url=server.client.base_url)) as stranger:
        assert stranger.get("/api/about").status_code == 200
