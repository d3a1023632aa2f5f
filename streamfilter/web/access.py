"""Who may use the page: the browser that opened this start's link, on this computer, from the page itself.

Against other sites in the same browser: the Host is checked (DNS rebinding), the Origin of WebSockets and of
everything but GET, and, where the browser sends it, Sec-Fetch-Site; and a CSP without inline code.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TOKEN_BYTES = 32
_STYLE = (
    ":root{color-scheme:light dark;font:17px/1.6 system-ui,sans-serif}"
    "body{max-width:34rem;margin:18vh auto 0;padding:0 1.5rem}h1{font-size:1.6rem;line-height:1.2}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_LINK_NEEDED = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>physio-cam: link needed</title><style>{_STYLE}</style>
<h1>This page opens by its link</h1>
<p>Use the link that physio-cam prints in the terminal. It is new at every start, so that an earlier link or a
bookmark no longer works.</p>
<p>You have just followed it? <a href="/">Open the page</a></p>
</html>
"""


class Access:
    """The keys of one start, and the checks of every request. ``port`` is the one that is listened on."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._session = secrets.token_urlsafe(_TOKEN_BYTES)
        self._cookie = f"physio-cam-{port}"  # cookies know no port: two instances must not share a name
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        sockets = " ".join(f"ws://{host}" for host in self._hosts)  # some browsers' 'self' leaves out ws:
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
            f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers 403 or 401 in the handler's place where the request may not pass."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return web.Response(status=403, text="This host name is not this computer's.\n")
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        own_page = request.headers.getall("Origin", []) == [f"http://{hosts[0]}"]
        if (websocket or request.method not in ("GET", "HEAD")) and not own_page:
            return web.Response(status=403, text="This is for the page of physio-cam only.\n")
        opened = request.path == "/" and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        # A server on another port of this computer counts as the same site, and gets SameSite cookies sent.
        foreign = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
        if foreign and not opened:
            return web.Response(status=403, text="This is for the page of physio-cam only.\n")
        if request.path == "/" and _same(request.query.get("token"), self.token):
            return self._admit()
        if not _same(request.cookies.get(self._cookie), self._session):
            response = web.Response(status=401, text=_LINK_NEEDED, content_type="text/html")
            response.headers["Content-Security-Policy"] = (
                f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'"
            )
            return response
        return await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """For every response: nothing is kept, guessed, framed, sent on or run from elsewhere."""
        headers = response.headers
        headers.setdefault("Content-Security-Policy", self._policy)
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        headers["Server"] = "physio-cam"

    def _admit(self) -> web.Response:
        """The token leaves the address bar and the history; a cookie that no script sees takes its place."""
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        return response


def _same(given: str | None, secret: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(errors="replace"), secret.encode())
