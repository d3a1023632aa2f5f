"""What the web server asks of tokens, limits, audit and metrics; ``security`` and others give them."""

from __future__ import annotations

from typing import Protocol

from streamfilter.relay.ports import Edit, Role


class Grant(Protocol):
    """What a token allows: one role in one room, until ``expires`` (Unix seconds). ``id``: the token's."""

    @property
    def room(self) -> str: ...

    @property
    def role(self) -> Role: ...

    @property
    def id(self) -> str: ...

    @property
    def expires(self) -> float: ...


class Tokens(Protocol):
    """Signed tokens of one room and one role."""

    def issue(self, room: str, role: Role, seconds: float) -> str: ...

    def check(self, token: str) -> Grant:
        """Raises Refusal (401) for a token that is forged, expired or no token."""
        ...


class Limits(Protocol):
    """Requests by address."""

    def admit(self, address: str, kind: str) -> None:
        """Raises Refusal (429, with retry_after) where ``address`` asks too often."""
        ...


class Audit(Protocol):
    """Who asked for which edit, when, with which artifact."""

    def session(
        self,
        event: str,
        room: str,
        role: Role,
        session: str,
        edit: Edit | None,
        artifact: str,
        grant_id: str,
    ) -> None: ...
