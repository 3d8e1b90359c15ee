"""A store that is not there yet: the same status and messages as podman's, and podman takes what was made of it."""

from __future__ import annotations

import shutil

import pytest

from tests.support.daemon import daemon
from tests.support.peers import Peer, workspace

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


@pytest.mark.timeout(180)
def test_a_driver_that_the_store_is_not_made_with_is_overruled_as_by_podman(writing_peer: Peer) -> None:
    with workspace(writing_peer, driver="overlay") as store:
        store.build("x", tag="localhost/x:1")
        conf = store.storage_conf.read_text()
        with daemon(store) as running:
            for driver in ("zfs", "vfs", "overlay"):
                store.storage_conf.write_text(conf.replace('driver = "overlay"', f'driver = "{driver}"'))
                for line in (["images", "--format", "{{.Names}}"], ["rmi", "bogus"], ["image", "exists", "x:1"]):
                    theirs, ours = (
                        theirs_of(store, *line),
                        ours_of(running, *line, CONTAINERS_STORAGE_CONF=str(store.storage_conf)),
                    )
                    assert ours[:2] == theirs[:2], (driver, line)
                    told = [f'User-selected graph driver "{driver}" overwritten by graph driver "overlay"'] * (
                        driver != "overlay"
                    )
                    for text in (theirs[2].replace('\\"', '"'), ours[2]):
                        assert [words for words in told if words not in text] == []
                        assert ("overwritten" in text) is bool(told)
            store.storage_conf.write_text(conf)
            theirs, ours = (
                theirs_of(store, "--storage-driver", "vfs", "images"),
                ours_of(running, "--storage-driver", "vfs", "--root", str(store.graphroot), "images"),
            )
            assert (theirs[0], ours[0]) == (125, 125)
            for text in (theirs[2], ours[2]):
                assert 'graph driver "overlay" does not match our' in text
                assert text.rstrip().endswith("database configuration mismatch")
