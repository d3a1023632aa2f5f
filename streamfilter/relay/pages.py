"""The two pages and their files, read once and served from memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from aiohttp import web

from streamfilter.relay.ports import Role

_OWN = Path(__file__).parent / "static"
_SHARED = Path(__file__).parent.parent / "web" / "static"  # style, font and theme of the live filter's page
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def page_routes() -> list[web.RouteDef]:
    """``/patient``, ``/viewer``, ``/static/...`` and, of the live filter's page, ``/static/shared/...``."""
    return [
        *(web.get(f"/{role}", _file(_OWN / f"{role}.html", "text/html")) for role in Role),
        *_folder("/static", _OWN),
        *_folder("/static/shared", _SHARED),
    ]


def _folder(prefix: str, folder: Path) -> list[web.RouteDef]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
    return [
        web.get(f"{prefix}/{path.relative_to(folder).as_posix()}", _file(path, _TYPES[path.suffix]))
        for path in files
    ]


def _file(path: Path, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    data = path.read_bytes()
    tag = sha256(data).hexdigest()[:32]

    async def send(request: web.Request) -> web.StreamResponse:
        known = any(each.value == tag for each in request.if_none_match or ())
        response = web.Response(status=304) if known else web.Response(body=data)
        if not known:
            response.content_type = kind
            response.charset = None if kind.startswith("font/") else "utf-8"
        response.etag = tag
        response.headers["Cache-Control"] = "no-cache"  # kept, and asked for again each time
        return response

    return send
