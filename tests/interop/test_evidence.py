"""What is told of a list that cannot be read is true: the command named removes that record and no other."""

from __future__ import annotations

import shlex

import pytest

from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace

BREAKAGES = {
    "missing": None,
    "empty": b"",
    "torn": b'{"schemaVersion":2,"manifests":[{"digest":"sha',
    "zeroed": bytes(512),
    "another list": b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
}


@pytest.mark.parametrize("names", [0, 1, 2])
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_command_named_for_unreadable_evidence_removes_that_record_and_no_other(
    writing_peer: Peer, breakage: str, names: int
) -> None:
    with workspace(writing_peer) as store, daemon(store) as ours, ours.client() as client:
        instance, loose = store.build("in the list"), store.build("in no list")
        made = make_list(store, client, instance, names)
        # A list without a name dangles, and protects all the same.
        assert client.dangling() == ({loose} if names else {loose, made})
        spoil(store, made, BREAKAGES[breakage])
        client.call("store.refresh")

        assert client.dangling() == set()
        assert len(client.images(all=True)) == 3
        (flaw,) = client.call("server.info")["unreadable_evidence"]
        assert flaw["image"] == made
        assert flaw["file"] == item(store, made)
        reasons = client.call("images.why", name=loose)["reasons"]
        assert [(reason["code"], reason["file"], reason["command"]) for reason in reasons] == [
            ("unreadable_evidence", flaw["file"], flaw["command"])
        ]
        # What the list is known to have named goes on being named.
        assert made in client.call("images.why", name=instance)["reasons"][0]["list"]

        program, *words = shlex.split(flaw["command"])
        assert program == "storagectl"
        ours.storagectl(*words)
        assert client.call("server.info")["unreadable_evidence"] == []
        assert {row["id"] for row in client.images(all=True)} == {instance, loose}
        assert client.dangling() == store.dangling() == {instance, loose}


def make_list(store: Store, client: Client, instance: str, names: int) -> str:
    """A list with one local instance and so many names; returns its id."""
    store.podman("manifest", "create", "localhost/list:0")
    store.podman("manifest", "add", "localhost/list:0", f"containers-storage:{instance}")
    made = str(client.call("manifests.get", name="localhost/list:0")["manifest"]["id"])
    for number in range(1, names):
        store.podman("tag", made, f"localhost/list:{number}")
    if names == 0:
        # podman untag acts on the instance of a list; buildah's rename takes the name away.
        other = store.build("takes the name")
        store.podman("tag", other, "localhost/list:0")
        store.podman("rmi", "localhost/list:0")
    return made


def item(store: Store, made: str) -> str:
    return paths.big_data_path(str(store.graphroot), store.driver, ImageID(made), "manifest")


def spoil(store: Store, made: str, content: bytes | None) -> None:
    path = item(store, made)
    if content is None:
        store.run("rm", path)
        return
    with open(path, "wb") as file:
        file.write(content)


def test_what_an_unreadable_image_may_have_been_built_on_is_kept_where_podman_gives_no_answer(podman_58: Peer) -> None:
    with workspace(podman_58) as store:
        base = store.build("base", tag="localhost/base:1")
        child = store.build("child", tag="localhost/child:1", base="localhost/base:1")
        far = store.build("far")
        store.podman("untag", "localhost/base:1")
        item = store.graphroot / "vfs-images" / child / paths.big_data_file(f"sha256:{child}")
        content = item.read_bytes()
        with daemon(store) as running, running.client() as client:
            assert client.dangling() == store.dangling() == {far}
            for damaged in (None, content[:50], content.replace(b"created_by", b"created_bx")):
                item.unlink(missing_ok=True)
                if damaged is not None:
                    item.write_bytes(damaged)
                store.podman("images", "--filter", "dangling=true", accept=(125,))
                store.podman("image", "prune", "--force", accept=(125,))
                client.call("store.refresh")
                assert client.dangling() == {far}
                why = client.call("images.why", name=base)
                assert (why["dangling"], why["prunable"]) == (False, False)
                (reason,) = why["reasons"]
                assert reason["code"] == "unreadable_evidence"
                assert reason["image"] == child
            item.write_bytes(content)
            client.call("store.refresh")
            assert client.dangling() == store.dangling() == {far}
            item.unlink()
            client.call("store.refresh")
            (reason,) = client.call("images.why", name=base)["reasons"]
            program, *words = shlex.split(reason["command"])
            assert program == "storagectl"
            running.storagectl(*words)
            assert client.dangling() == store.dangling() == {base, far}
