"""Naming an image of an additional store: podman copies it into the writable store first, and so do we."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace


@contextmanager
def twins(peer: Peer) -> Iterator[tuple[str, Store, Store]]:
    """An image of a store that two others have as their additional one."""
    with (
        workspace(peer) as maker,
        workspace(peer, additional=True) as ours,
        workspace(peer, additional=True) as theirs,
    ):
        image = maker.build("far", tag="localhost/far:1", label="a=b")
        maker.podman("tag", "far:1", "far:2")
        for store in (ours, theirs):
            shutil.copytree(maker.graphroot, store.additional[0], symlinks=True)
            store.podman("images")
        yield image, ours, theirs


def records(store: Store) -> list[dict[str, Any]]:
    return list(json.loads((store.graphroot / f"{store.driver}-images" / "images.json").read_bytes()))


def items(store: Store, image: str) -> dict[str, bytes]:
    folder = Path(store.graphroot) / f"{store.driver}-images" / image
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("names", [("new:1",), ("new:1", "far:1", "quay.io/x/y:2")])
def test_a_tag_makes_the_copy_that_podman_makes(podman_58: Peer, names: tuple[str, ...]) -> None:
    with twins(podman_58) as (image, ours, theirs):
        theirs.podman("tag", image, *names)
        with daemon(ours) as running, running.client() as client:
            assert client.call("images.tag", name=image, tags=list(names))["changed"]
        assert records(ours) == records(theirs)
        assert items(ours, image) == items(theirs, image)


def test_an_untag_makes_a_copy_without_the_name(podman_58: Peer) -> None:
    with twins(podman_58) as (image, ours, theirs):
        theirs.podman("untag", image, "far:1")
        with daemon(ours) as running, running.client() as client:
            assert client.call("images.untag", name=image, tags=["far:1"])["names"] == ["localhost/far:2"]
        assert records(ours) == records(theirs)


def test_podman_goes_on_with_the_copy_and_the_image_beneath_comes_back_when_it_goes(writing_peer: Peer) -> None:
    """podman 4.3 makes a lesser copy itself, without data and without one of the names."""
    with twins(writing_peer) as (image, ours, _), daemon(ours) as running, running.client() as client:
        client.call("images.tag", name=image, tags=["new:1"])
        printed = ours.podman("images", "--format", "{{.Repository}}:{{.Tag}} {{.ReadOnly}}").split("\n")
        assert {"localhost/new:1 false", "localhost/far:1 false", "localhost/far:2 false"} <= set(printed)
        assert image in ours.podman("inspect", "--type=image", "new:1")
        ours.podman("untag", "new:1", "new:1")
        assert client.call("images.untag", name=image)["names"] == []
        assert [row["id"] for row in client.call("images.remove", names=[image])["removed"]] == [image]
        assert client.call("images.resolve", name="far:1")["id"] == image
        assert records(ours) == []
        assert image in ours.podman("inspect", "--type=image", "far:1")
