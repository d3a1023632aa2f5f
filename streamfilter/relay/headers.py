"""Headers of every answer: what a page may do, and which other sites' pages may use WHIP and WHEP."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from streamfilter.relay.ports import Refusal
from streamfilter.relay.settings import RelaySettings

_NOTHING_ALLOWED = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
    "microphone=(), midi=(), payment=(), serial=(), usb=()"
)
_CAMERA_ALLOWED = _NOTHING_ALLOWED.replace("camera=()", "camera=(self)").replace(
    "microphone=()", "microphone=(self)"
)
_PATIENT_PAGE = "/patient"
_SHARED = ("/whip/", "/whep/")  # the only paths that other sites' pages may use
_PREFLIGHT_SECONDS = 600
_YEAR = 365 * 24 * 3600


class Headers:
    """``settings.origins``: web origins that may use WHIP and WHEP besides the relay's own."""

    def __init__(self, settings: RelaySettings) -> None:
        self._origins = frozenset(origin.lower() for origin in settings.origins)
        self._own = None if settings.public_url is None else settings.public_url.lower()
        self._secure = settings.tls_cert is not None or (self._own or "").startswith("https:")
        # Some browsers' 'self' leaves out WebSockets.
        sockets = "" if self._own is None else " ws" + self._own.removeprefix("http")
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
            f"media-src 'self' blob:; connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )

    def check_origin(self, request: web.Request) -> None:
        """Raises Refusal (403) for a page of a site that is neither the relay nor on the list.

        Programs such as OBS and GStreamer send no Origin and are held by their token alone.
        """
        given = request.headers.getall("Origin", [])
        if given and not (len(given) == 1 and (self._listed(given[0]) or self._is_own(request, given[0]))):
            raise Refusal(403, "Pages of this site may not use the relay.")

    async def add(self, request: web.Request, response: web.StreamResponse) -> None:
        """For every response: nothing is kept, guessed, framed, sent on or run from elsewhere."""
        headers = response.headers
        headers["Content-Security-Policy"] = self._policy
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = _CAMERA_ALLOWED if request.path == _PATIENT_PAGE else _NOTHING_ALLOWED
        headers["Server"] = "physio-relay"
        if self._secure:
            headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
        if request.path.startswith(_SHARED):
            self._share(request, response)

    def _share(self, request: web.Request, response: web.StreamResponse) -> None:
        """CORS (Fetch, section 3.2)."""
        headers = response.headers
        headers["Vary"] = "Origin"
        origin = request.headers.get("Origin", "")
        if not self._listed(origin):
            return
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Link, Location, Retry-After"
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            headers["Access-Control-Allow-Methods"] = "POST, DELETE, OPTIONS"
            headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)

    def _listed(self, origin: str) -> bool:
        return origin.lower() in self._origins

    def _is_own(self, request: web.Request, origin: str) -> bool:
        # Behind a proxy the scheme is the proxy's affair: the host says whose page it is.
        return origin.lower() == self._own or (
            urlsplit(origin).netloc.lower() == request.host.lower() and origin.startswith(("http:", "https:"))
        )
