"""A store that is not there yet: the same status and messages as podman's, and podman takes what was made of it."""

from __future__ import annotations

import shutil

import pytest

from .daemon import daemon
from .peers import Peer, workspace
from .test_inspect import ours_of, theirs_of

_LINES = [
    ["images"],
    ["rmi", "bogus"],
    ["rmi", "-f", "bogus"],
    ["rmi", "-a"],
    ["image", "prune", "-f"],
    ["image", "prune", "-a", "-f"],
    ["image", "exists", "bogus"],
    ["inspect", "bogus"],
    ["tag", "bogus", "x"],
    ["untag", "bogus"],
    ["manifest", "rm", "bogus"],
    ["manifest", "add", "bogus", "x"],
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_store_that_is_not_there_yet_answers_as_podmans_and_is_made_for_a_list(podman_58: Peer, driver: str) -> None:
    with workspace(podman_58, driver=driver) as store:
        theirs = {}
        for line in _LINES:
            theirs[tuple(line)] = theirs_of(store, *line)
            shutil.rmtree(store.graphroot)
        with daemon(store) as running:
            for line in _LINES:
                assert ours_of(running, *line) == theirs[tuple(line)], line
                assert not store.graphroot.exists(), line
            status, made, _ = ours_of(running, "manifest", "create", "x")
            assert status == 0
        assert store.podman("images", "-q", "--no-trunc").strip() == f"sha256:{made.strip()}"
        store.podman("manifest", "inspect", "x")
        built = store.build("after", tag="localhost/after:1")
        store.podman("system", "check")
        with daemon(store) as running:
            assert ours_of(running, "image", "exists", built)[0] == 0
