"""``inspect`` and its relatives on odd images, images of lists and images that lack a layer, beside podman 5.8."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tests.support.daemon import STORAGECTL, Daemon, daemon
from tests.support.peers import Peer, Store, workspace

from .odd_images import CREATED, OCI, ODD, digest_of, image, pull
from .registry import registry

_INDEX = "application/vnd.oci.image.index.v1+json"
_FORMS = (
    "{{json .}}",
    "{{.Labels}} {{json .Labels}} {{json .RootFS}} {{.RootFS.Layers}} {{json .GraphDriver}} {{json .NamesHistory}}",
    "{{.Created}} {{json .Created}} {{.History}} {{json .History}} {{.HealthCheck}} {{json .HealthCheck}}",
    "{{with .HealthCheck}}{{.Interval}} {{.Timeout}} {{.StartPeriod}} {{.StartInterval}} {{.Retries}}"
    '{{printf "%v %d" .Interval .Interval}} {{.Interval.Seconds}}{{end}}',
)


def theirs_of(store: Store, *command: str) -> tuple[int, str, str]:
    return _run(store.peer.argv(store.work, ["podman", *command]), store.environment())


def ours_of(running: Daemon, *command: str, **environment: str) -> tuple[int, str, str]:
    argv = [*STORAGECTL, "--socket", running.path, *command]
    return _run(argv, {**os.environ, "STORAGED_NO_SPAWN": "1", "TZ": "UTC", **environment})


def _run(argv: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def _differing(store: Store, running: Daemon, commands: list[list[str]]) -> list[Any]:
    found = []
    for command in commands:
        theirs, ours = theirs_of(store, *command), ours_of(running, *command)
        if _rows(theirs[1]) != _rows(ours[1]) or theirs[0] != ours[0]:
            found.append((command, theirs, ours))
    return found


def _rows(text: str) -> Any:
    """Rows of one age are in no order with podman."""
    return sorted(json.loads(text), key=json.dumps) if text.startswith("[\n    {") else text


@pytest.mark.timeout(300)
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_odd_images_are_inspected_as_podman_inspects_them(podman_58: Peer, driver: str) -> None:
    with workspace(podman_58, driver=driver) as store:
        for tag, (media_type, members, layers) in ODD.items():
            pull(store, tag, *image(media_type, members, layers, tag))
        anonymous = pull(store, None, *image(OCI, {"created": CREATED}, 1, "anonymous"))
        names = [*(f"localhost/odd:{tag}" for tag in ODD), anonymous]
        commands = [["inspect", *names], *(["inspect", *names, "--format", form] for form in _FORMS)]
        commands += [["image", "inspect", *names], ["images", "--format", "json"]]
        with daemon(store) as running:
            assert _differing(store, running, commands) == []


@pytest.mark.timeout(180)
def test_the_digest_of_an_image_of_a_list_is_the_one_its_name_means(podman_58: Peer) -> None:
    manifest, blobs = image(OCI, {"created": CREATED}, 1, "instance")
    platform = {"architecture": "amd64", "os": "linux"}
    entry = {"mediaType": OCI, "digest": digest_of(manifest), "size": len(manifest), "platform": platform}
    index = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}).encode()
    manifests = {"list": (_INDEX, index), "own": (OCI, manifest)}
    with workspace(podman_58) as store, registry(blobs, manifests) as host:
        id_ = store.podman("pull", "-q", "--tls-verify=false", f"{host}/x:list").strip()
        repository = f"{host}/x"
        names = [f"{repository}:list", "x:list", id_, id_[:12], f"sha256:{id_}"]
        names += [f"{repository}@{digest_of(index)}", f"{repository}@{digest_of(manifest)}"]
        with daemon(store) as running:
            assert {ours_of(running, "inspect", name, "--format", "{{.Digest}}")[1] for name in names} == {
                f"{digest_of(index)}\n",
                f"{digest_of(manifest)}\n",
            }
            commands = [["inspect", name, "--format", "{{.Digest}} {{.RepoDigests}}"] for name in names]
            assert _differing(store, running, [*commands, ["images", "--digests"]]) == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("lost", ["top", "base"])
def test_an_image_that_lacks_a_layer_is_described_by_no_command(podman_58: Peer, lost: str) -> None:
    with workspace(podman_58) as store:
        for tag in ("broken", "whole"):
            pull(store, tag, *image(OCI, {"created": CREATED}, 2, tag))
        _lose(store, "localhost/odd:broken", base=lost == "base")
        commands = [
            [*command, f"localhost/odd:{tag}"]
            for tag in ("broken", "whole")
            for command in (["inspect"], ["image", "tree"], ["image", "tree", "--whatrequires"], ["history"])
        ]
        commands += [
            ["inspect", "localhost/odd:whole", "localhost/odd:broken"],
            ["inspect", "localhost/odd:broken", "no"],
        ]
        with daemon(store) as running:
            assert _differing(store, running, commands) == []
            status, out, err = ours_of(running, "inspect", "localhost/odd:broken")
            assert (status, out) == (125, "")
            assert "is not in the store" in err


def _lose(store: Store, name: str, *, base: bool) -> None:
    """Take the record of an image's top layer, or of the one below it, out of the table."""
    images = json.loads((store.graphroot / f"{store.driver}-images" / "images.json").read_text())
    top = next(row["layer"] for row in images if name in row.get("names", ()))
    table = store.graphroot / f"{store.driver}-layers" / "layers.json"
    rows = json.loads(table.read_text())
    gone = next(row["parent"] for row in rows if row["id"] == top) if base else top
    table.write_text(json.dumps([row for row in rows if row["id"] != gone]))
    (table.parent / "layers.lock").write_bytes(os.urandom(64))


@pytest.mark.timeout(180)
def test_what_is_no_image_is_told_in_podmans_words(podman_58: Peer) -> None:
    lines = [
        ["inspect", "nope"],
        ["inspect", "nope", "nope2"],
        ["inspect", "UPPER", "a b", "sha256:1234"],
        ["inspect", "--type", "all", "nope"],
        ["inspect", "--type", "image", "nope", "nope2"],
        ["inspect", "--type", "foo", "localhost/odd:1"],
        ["inspect", ""],
        ["image", "inspect", "nope"],
        ["inspect", "-l"],
        ["inspect", "--latest"],
        ["inspect", "-l", "foo"],
        ["inspect", "--latest", "--type", "image"],
        ["inspect", "--size", "--type", "image", "localhost/odd:1"],
        ["image", "inspect", "-l"],
        ["image", "inspect", "--size", "localhost/odd:1"],
    ]
    with workspace(podman_58) as store:
        pull(store, "1", *image(OCI, {"created": CREATED}, 1, "x"))
        with daemon(store) as running:
            for line in lines:
                status, out, err = ours_of(running, *line)
                assert (status, out, err.replace("storagectl", "podman")) == theirs_of(store, *line), line
