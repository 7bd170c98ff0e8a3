"""The server: the page's files, headers of all responses, the OpenAPI document."""

from __future__ import annotations

import json


def test_the_page_and_its_files_are_served(server):
    page = server.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    script = server.client.get("/static/js/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-cache"
    cached = server.client.get(
        "/static/js/main.js", headers={"If-None-Match": script.headers["etag"]}
    )
    assert cached.status_code == 304


def test_every_response_has_security_headers(server):
    for path in ("/", "/static/js/main.js", "/api/about", "/api/nothing", "/nothing"):
        headers = server.client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in headers


def test_browsers_may_cache_notes_and_nothing_else(server, space):
    note = server.client.get(f"/api/instruments/{space['id'][0]}/notes/60/100")
    assert "immutable" in note.headers["cache-control"]
    assert server.client.get("/api/favourites").headers["cache-control"] == "no-store"


def test_the_openapi_document_lists_all_routes(server):
    document = server.client.get("/api/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/about",
        "/api/space",
        "/api/instruments",
        "/api/instruments/{instrument}",
        "/api/instruments/{instrument}/hearing",
        "/api/instruments/{instrument}/share",
        "/api/instruments/{instrument}/notes/{pitch}/{velocity}",
        "/api/recordings",
        "/api/exports",
        "/api/exports/{job}",
        "/api/exports/{job}/file",
        "/api/favourites",
        "/api/favourites/{favourite}",
    }
    assert "HTTPValidationError" not in json.dumps(document)
