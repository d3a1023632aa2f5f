"""Refusals as HTTP answers: application/problem+json (RFC 9457), for every error of every route."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from streamfilter.relay.ports import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)


def problem(refusal: Refusal) -> web.Response:
    """The answer to a request that is refused: {"title", "status"}, with Retry-After where it helps."""
    response = web.Response(
        status=refusal.status,
        text=json.dumps({"title": refusal.reason, "status": refusal.status}),
        content_type=_TYPE,
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after)))
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="physio-relay"'
    return response


class Problems:
    """Turns whatever a handler raises into an answer. ``refused`` hears of each refusal."""

    def __init__(self, refused: Callable[[Refusal], None]) -> None:
        self._refused = refused

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            found, response = refusal, problem(refusal)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            found = Refusal(error.status, error.reason)
            response = problem(found)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except ConnectionError:
            raise  # the client has gone: there is nobody to answer
        except Exception as error:  # noqa: BLE001  # a fault must end one request, not the relay
            # Where, not what: the text of an error may quote an offer or an address.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.error("a request failed: %s in %s:%s", type(error).__name__, frame.name, frame.lineno)
            found = Refusal(500, "The relay met an error of its own. Try again.")
            response = problem(found)
        self._refused(found)
        return response
