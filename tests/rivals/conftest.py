"""The peers as fixtures. A missing one skips the test, or fails it where STORAGED_REQUIRE_RIVALS=1 (CI)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from . import peers
from .peers import Peer, PeerMissing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/rivals/" in str(item.path):
            item.add_marker(pytest.mark.rival)


def _found(find: Callable[[], Peer]) -> Peer:
    try:
        return find()
    except PeerMissing as error:
        if os.environ.get("STORAGED_REQUIRE_RIVALS") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


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
