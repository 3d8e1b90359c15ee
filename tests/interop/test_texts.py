"""What podman's own suites compare of messages: the same words and status, where ours say more they begin alike."""

from __future__ import annotations

import pytest

from tests.support.daemon import daemon
from tests.support.peers import Peer, workspace

from .odd_images import CREATED, OCI, image, pull
from .test_inspect import ours_of, theirs_of

_ABSENT = "sha256:" + "3" * 64
_NAME = "localhost/odd:1"

SAME = [
    ["untag", _NAME, "localhost/not-there"],
    ["untag", _NAME, "not-there:1"],
    ["untag", _NAME, "UPPER"],
    ["manifest", "create", "UPPER:x"],
    ["image", "inspect", "UPPER"],
    ["image", "inspect", "sha256:1234"],
    ["image", "exists", "UPPER"],
    ["rmi", "UPPER"],
    ["rmi", ""],
    ["history", "UPPER"],
    ["image", "tree", "UPPER"],
    ["images", "-f", "json"],
    ["images", "--filter", "label"],
    ["images", "--filter", ""],
    ["image", "prune", "-f", "--filter", "json"],
    ["--log-level=telepathic", "images"],
    ["images", "--log-level", "telepathic"],
    ["manifest", "add", "--annotation", "x", "list", _NAME],
    ["manifest", "annotate", "--annotation", "x", "list", _ABSENT],
    ["manifest", "remove", "list", _ABSENT],
]

BEGINS = [
    ["images", "--filter", "foo=bar"],
    ["untag", _NAME, "a b"],
    ["image", "exists", "a b"],
    ["rmi", _NAME],
]


@pytest.mark.timeout(180)
def test_messages_are_those_that_podmans_suites_compare(podman_58: Peer) -> None:
    with workspace(podman_58) as store:
        pull(store, "1", *image(OCI, {"created": CREATED}, 1, "x"))
        store.podman("manifest", "create", "list")
        store.podman("create", "--name", "holding", _NAME, "true")
        with daemon(store) as running:
            for line in [*SAME, *BEGINS]:
                theirs, ours = theirs_of(store, *line), ours_of(running, *line)
                said = ours[2].replace("storagectl", "podman")
                assert ours[:2] == theirs[:2], (line, theirs, ours)
                wanted = theirs[2].rstrip("\n")
                if line in SAME:
                    assert said.rstrip("\n") == wanted, line
                else:
                    assert said.startswith(wanted), (line, said, wanted)
