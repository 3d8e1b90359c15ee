"""The peers as fixtures. A missing one skips the test, or fails it where STORAGED_REQUIRE_PEERS=1 (CI)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.support import peers
from tests.support.peers import Peer, PeerMissing

HANG = 180
"""Seconds until a test beside a real tool counts as hung: the tools are slow, and slower on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/interop/" in str(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANG))


def _found(find: Callable[[], Peer]) -> Peer:
    try:
        return find()
    except PeerMissing as error:
        missing(str(error))


def missing(what: str) -> NoReturn:
    if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def podman_43() -> Peer:
    return _found(peers.podman_43)


@pytest.fixture(scope="session")
def podman_58() -> Peer:
    return _found(peers.podman_58)


@pytest.fixture(params=["podman_43", "podman_58"])
def writing_peer(request: pytest.FixtureRequest) -> Peer:
    """Each podman in turn, as the one that writes."""
    return request.getfixturevalue(request.param)
