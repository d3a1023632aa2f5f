"""Who may pass: the checks that every route of rooms makes, in one order."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from streamfilter.relay.headers import Headers
from streamfilter.relay.lifecycle import Lifecycle
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.security.addresses import client_address
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.security.tokens import Grant, Tokens
from streamfilter.relay.security.turn import link_header, servers_for
from streamfilter.relay.settings import RelaySettings

_LONGEST_CALL = 4 * 3600.0  # seconds after its token's end that a call's TURN password still holds


class Gate:
    """Address, rate, origin, token and role of requests. ``clock``: Unix seconds, as that of ``tokens``."""

    def __init__(
        self,
        settings: RelaySettings,
        tokens: Tokens,
        limits: RateLimits,
        lifecycle: Lifecycle,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.headers = Headers(settings)
        self._settings, self._tokens, self._limits = settings, tokens, limits
        self._lifecycle, self._clock = lifecycle, clock

    def address(self, request: web.Request) -> str:
        """The client's, for limits only."""
        forwarded = request.headers.getall("X-Forwarded-For", [])
        return client_address(request.remote, forwarded, self._settings.behind_proxy)

    def admit(self, request: web.Request, kind: str) -> None:
        """Raises Refusal: 429 for too many requests of that kind, 403 for pages of other sites."""
        self._limits.admit(self.address(request), kind)
        self.headers.check_origin(request)

    def check_open(self) -> None:
        """Raises Refusal (503) while the relay takes no new sessions."""
        self._lifecycle.check_open()

    def grant(self, request: web.Request, role: Role) -> Grant:
        """The bearer token's grant. Raises Refusal: 401 without a good one, 403 for another room or role."""
        given = request.headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            raise Refusal(401, "A token is needed here: use the link that you were given.")
        grant = self.check_token(token.strip())
        if grant.room != request.match_info["room"] or grant.role is not role:
            raise Refusal(403, "This token is for another room, or for the other side of it.")
        return grant

    def check_token(self, token: str) -> Grant:
        """Raises Refusal (401)."""
        return self._tokens.check(token)

    def ice_links(self, grant: Grant) -> list[str]:
        """Link headers of the STUN and TURN servers (RFC 9725, section 4.6), with passwords for ``grant``."""
        expires = max(grant.expires, self._clock()) + _LONGEST_CALL
        servers = servers_for(self._settings.ice_servers, self._settings.turn_secret, grant.id, expires)
        return [link_header(server) for server in servers]
