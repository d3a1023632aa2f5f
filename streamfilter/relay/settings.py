"""All settings of the relay: frozen, checked when made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from streamfilter.config import whole
from streamfilter.engine.select import AUTO, ENGINE_NAMES
from streamfilter.errors import UsageError
from streamfilter.relay.ports import VIDEO_CODECS, IceServer
from streamfilter.relay.security.secret_files import check_secret
from streamfilter.relay.security.turn import check_server, is_turn

MAX_TOKEN_SECONDS = 24 * 3600
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """How the relay runs. Raises UsageError where a value is out of its range.

    secret:       signs the tokens, at least 32 bytes.
    host, port:   where rooms and pages are served; port 0 is any free one.
    admin_host, admin_port: where metrics, health, drain and new rooms are served; keep it off the network.
    public_url:   the address that links start with; None: that of ``host`` and ``port``.
    tls_cert, tls_key: PEM files of the relay's own certificate; both or none.
    behind_proxy: take the client's address from X-Forwarded-For, of one proxy that has a private address.
    origins:      web origins, besides the relay's own, whose pages may use it (CORS).
    ice_servers:  STUN and TURN servers, also handed to the pages.
    turn_secret:  coturn's ``static-auth-secret``: passwords for TURN servers without one are made with it.
    relay_only:   no candidates but those of a TURN server.
    max_rooms, max_viewers_per_room, max_sessions_per_address: more are refused.
    requests_per_minute: of each address and kind; more are refused.
    max_width, max_height: a larger picture is refused before it is decoded; pixels.
    video_kbps:   bitrate of each filtered video, kbit/s, 100 to 10000.
    codecs:       video codecs that are offered, the first one preferred.
    engine, artifact: see :class:`streamfilter.config.FilterSettings`.
    token_seconds: how long a link holds where nothing else is asked for, 60 s to a day.
    drain_seconds: how long running sessions may go on after SIGTERM, 0 s to an hour.
    audit_file:   where audit lines go; None: to standard output.
    log_json:     log lines as JSON, else as text.
    log_level:    DEBUG, INFO, WARNING or ERROR.
    """

    secret: bytes = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 9090
    public_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    origins: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)
    turn_secret: bytes | None = field(default=None, repr=False)
    relay_only: bool = False
    max_rooms: int = 64
    max_viewers_per_room: int = 4
    max_sessions_per_address: int = 8
    requests_per_minute: int = 120
    max_width: int = 1280
    max_height: int = 720
    video_kbps: int = 1500
    codecs: tuple[str, ...] = VIDEO_CODECS
    engine: str = AUTO
    artifact: Path | None = None
    token_seconds: int = 3600
    drain_seconds: int = 20
    audit_file: Path | None = None
    log_json: bool = True
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        check_secret(self.secret)
        for name, low, high in _WHOLE:
            whole(name, getattr(self, name), low, high)
        for name in ("behind_proxy", "relay_only", "log_json"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} should be true or false, it is {getattr(self, name)!r}")
        for name in ("host", "admin_host"):
            if not getattr(self, name).strip():
                raise UsageError(f"{name} should be an address to listen at, as 127.0.0.1")
        _one_of("engine", self.engine, ENGINE_NAMES)
        _one_of("log_level", self.log_level, ("DEBUG", "INFO", "WARNING", "ERROR"))
        self._check_web()
        self._check_media()

    def _check_web(self) -> None:
        for origin in self.origins + ((self.public_url,) if self.public_url is not None else ()):
            if not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"{origin!r} is no web origin: write https://clinic.example.org, without a path"
                )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("tls_cert and tls_key belong together: give both, or none behind a proxy")
        plain = self.tls_cert is None and not self.behind_proxy
        if plain and self.host not in _LOOPBACK:
            raise UsageError(
                f"host {self.host} would serve tokens and pages without TLS: give tls_cert and tls_key, or "
                "behind_proxy where a proxy adds TLS, or keep host at 127.0.0.1"
            )

    def _check_media(self) -> None:
        for server in self.ice_servers:
            check_server(server)
        if not self.codecs or len(set(self.codecs)) < len(self.codecs):
            raise UsageError(f"codecs should name each codec once: {', '.join(VIDEO_CODECS)}")
        for codec in self.codecs:
            _one_of("codecs", codec, VIDEO_CODECS)
        if self.relay_only and not any(map(is_turn, self.ice_servers)):
            raise UsageError("relay_only needs a TURN server among ice_servers")

    @property
    def link_base(self) -> str:
        """What links start with: scheme, host and port."""
        if self.public_url is not None:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


_WHOLE = (
    ("port", 0, 65535),
    ("admin_port", 0, 65535),
    ("max_rooms", 1, 10_000),
    ("max_viewers_per_room", 1, 100),
    ("max_sessions_per_address", 1, 10_000),
    ("requests_per_minute", 1, 100_000),
    ("max_width", 64, 3840),
    ("max_height", 64, 2160),
    ("video_kbps", 100, 10_000),
    ("token_seconds", 60, MAX_TOKEN_SECONDS),
    ("drain_seconds", 0, 3600),
)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name}: {value!r} is unknown: choose one of {', '.join(known)}")
