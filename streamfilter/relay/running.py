"""One relay from its settings to its orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import time

from streamfilter.first_of import first_of
from streamfilter.relay.audit import AuditLog, artifact_id
from streamfilter.relay.logs import set_up_logs
from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.prometheus import RelayMetrics
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.security.tokens import Tokens
from streamfilter.relay.security.turn import servers_for
from streamfilter.relay.server import RelayServer
from streamfilter.relay.settings import RelaySettings

# The relay's own TURN passwords stay in this process, and have to outlive it.
_OWN_PASSWORD_SECONDS = 5 * 365 * 24 * 3600.0
_LOG = logging.getLogger(__name__)


async def serve(settings: RelaySettings) -> int:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends it at once. Returns the exit code.

    Raises UsageError, SinkError or ArtifactError where it cannot start.
    """
    set_up_logs(settings)
    artifact = artifact_id(settings.artifact)
    audit = AuditLog(settings.audit_file)
    audit.open()
    server = RelayServer(
        settings,
        AiortcMedia(media_settings(settings)),
        Tokens(settings.secret),
        RateLimits(settings.requests_per_minute),
        audit,
        RelayMetrics(),
        artifact,
    )
    signals: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number.name)
    try:
        await server.start()
        _LOG.info(
            "serving", extra={"port": server.port, "admin_port": server.admin_port, "artifact": artifact}
        )
        name = await signals.get()
        _LOG.info("draining", extra={"signal": name, "seconds": settings.drain_seconds})
        await first_of(server.drain(float(settings.drain_seconds)), signals.get())
    finally:
        await server.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    _LOG.info("ended")
    return 0


def media_settings(settings: RelaySettings) -> MediaSettings:
    """What the media need of ``settings``; TURN servers get passwords of the relay's own."""
    servers = servers_for(
        settings.ice_servers, settings.turn_secret, "relay", time.time() + _OWN_PASSWORD_SECONDS
    )
    return MediaSettings(
        ice_servers=servers,
        relay_only=settings.relay_only,
        max_width=settings.max_width,
        max_height=settings.max_height,
        video_kbps=settings.video_kbps,
        codecs=settings.codecs,
        engine=settings.engine,
        artifact=settings.artifact,
    )
