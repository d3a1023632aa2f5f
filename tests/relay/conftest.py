"""What the pages' tests share: one browser and one stand-in for the relay for each of their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.relay.page_browser import chromium
from tests.relay.page_server import PageServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    with PageServer.running() as server:
        yield server


@pytest.fixture
def relay(server: PageServer) -> PageServer:
    server.reset()
    return server
