import base64
import json
import sys
from types import FrameType
from typing import Any

import pytest
from attrs import evolve
from msgspec import structs
from msgspec.structs import replace

from storaged.operations import list_editing, list_parts
from storaged.operations.list_editing import Birth
from storaged.operations.query_context import HostPlatform
from storaged.service.passed_files import read_layers
from storaged.snapshot.model import Image
from storaged.store.changes import ChangeSet
from storaged.store.layout.records import Digest, ImageID
from storaged_client.contract import params as p
from storaged_client.contract.errors import (
    ImageDamaged,
    ImageUnknown,
    InstanceUnknown,
    InvalidName,
    InvalidParams,
    ManifestListUnknown,
    NameInUse,
    NotAManifestList,
    ReadOnlyImage,
    StoragedError,
)
from storaged_client.contract.types import ListEdited
from tests.unit.operations.shelf import DOCKER_LIST, OCI, OCI_INDEX, Shelf, compact, sha

BIRTH = Birth(id=ImageID("f" * 64), created="2026-01-02T03:04:05.6Z")
ABSENT = Digest("sha256:" + "a" * 64)
ELSEWHERE = Digest("sha256:" + "b" * 64)


def create(shelf: Shelf, name: str = "l", *images: str, **more: Any) -> ListEdited:
    params = p.ManifestsCreate(name=name, images=images, **more)
    return done(shelf, list_editing.create(shelf.snapshot(), params, shelf.means(), BIRTH))


def add(shelf: Shelf, name: str, image: str | None = None, **more: Any) -> ListEdited:
    params = p.ManifestsAdd(name=name, image=image, **more)
    layers = read_layers(params.artifact, ()) if params.artifact is not None else ()
    return done(shelf, list_editing.add(shelf.snapshot(), params, shelf.means(), layers))


def annotate(shelf: Shelf, name: str, digest: str | None = None, **more: Any) -> ListEdited:
    params = p.ManifestsAnnotate(name=name, digest=digest, **more)
    return done(shelf, list_editing.annotate(shelf.snapshot(), params, shelf.means()))


def remove(shelf: Shelf, name: str, digest: str) -> ListEdited:
    params = p.ManifestsRemoveInstance(name=name, digest=digest)
    return done(shelf, list_editing.remove_instance(shelf.snapshot(), params, shelf.means()))


def done(shelf: Shelf, planned: ChangeSet[ListEdited]) -> ListEdited:
    """Carry the change out; whatever it is, it is one record, named by the answer with the digest of its bytes."""
    change, result = planned.change, planned.result
    assert len(change.edits) + len(change.added) == int(result.changed)
    assert change.editing == tuple(edit.image for edit in change.edits)
    shelf.apply(change)
    assert result.digest == shelf[result.id].digest
    assert result.names == shelf[result.id].names
    return result


def entries(shelf: Shelf, made: ListEdited | Image) -> list[Any]:
    return list(shelf.item(made.id, "manifest")["manifests"])


def at(image: Image) -> str:
    return f"containers-storage:[overlay@/g+/r]@{image.id}"


def foreign(shelf: Shelf, *digests: Digest, sources: dict[str, str] | None = None, **more: Any) -> Image:
    """A list of entries that are not local, annotated; ``sources`` is its ``instances.json``."""
    platforms = [{"architecture": "s390x", "os": "linux"}, {"architecture": "amd64", "os": "linux"}]
    described = [
        {"mediaType": OCI, "size": 7, "digest": digest, "platform": platform, "annotations": {"from": "afar"}}
        for digest, platform in zip(digests, platforms, strict=False)
    ]
    manifest = compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described})
    return shelf.list("foreign", "localhost/foreign:latest", manifest=manifest, instances=sources, **more)


# ---------------------------------------------------------------------- create


def test_an_empty_list_is_the_record_that_podman_makes() -> None:
    shelf = Shelf()
    planned = list_editing.create(shelf.snapshot(), p.ManifestsCreate(name="l"), shelf.means(), BIRTH)
    (new,) = planned.change.added
    assert new.members == {"id": BIRTH.id, "names": ["localhost/l:latest"], "created": BIRTH.created}
    assert [(item.key, item.data) for item in new.items] == [
        ("manifest", compact({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": None})),
        ("instances.json", b"{}"),
        ("artifacts.json", b"{}"),
    ]


def test_a_list_comes_with_all_its_images_and_annotations_in_one_change() -> None:
    shelf = Shelf()
    one, two = shelf.image("one", "localhost/one:latest"), shelf.image("two", "localhost/two:latest", arch="arm64")
    made = create(shelf, "quay.io/x/l:1", "one", two.id[:12], annotations={"a": "b"})
    assert made.names == ("quay.io/x/l:1",)
    assert made.instances == (one.digest, two.digest)
    assert entries(shelf, made) == [
        {"mediaType": OCI, "digest": one.digest, "size": size(shelf, one), "platform": platform("amd64")},
        {"mediaType": OCI, "digest": two.digest, "size": size(shelf, two), "platform": platform("arm64")},
    ]
    assert shelf.item(made.id, "manifest")["annotations"] == {"a": "b"}
    assert shelf.item(made.id, "instances.json") == {"": made.id, one.digest: at(one), two.digest: at(two)}
    assert shelf[one.id].in_lists == (made.id,)


def test_a_create_that_cannot_have_all_its_images_makes_nothing() -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    with pytest.raises(ImageUnknown):
        create(shelf, "l", "one", "nope")
    assert len(shelf.records) == 1


def test_a_name_in_use_is_never_moved() -> None:
    shelf = Shelf()
    image = shelf.image("one", "localhost/one:latest")
    create(shelf, "l")
    for amend in (False, True):
        with pytest.raises(NameInUse) as caught:
            create(shelf, "one", amend=amend)
        assert caught.value.data["image"] == image.id
    with pytest.raises(NameInUse):
        create(shelf, "l")


def test_amending_goes_on_with_a_list_that_has_the_name() -> None:
    shelf = Shelf()
    one, two = shelf.image("one", "localhost/one:latest"), shelf.image("two", "localhost/two:latest")
    first = create(shelf, "l", "one")
    again = create(shelf, "l", "two", "one", amend=True, annotations={"a": "b"})
    assert again.id == first.id
    assert [entry["digest"] for entry in entries(shelf, again)] == [one.digest, two.digest]
    assert create(shelf, "l", amend=True).changed is False


def test_a_name_of_a_read_only_store_can_be_given_to_a_new_list() -> None:
    shelf = Shelf()
    shelf.list("there", "localhost/l:latest", manifest=compact({"mediaType": OCI_INDEX, "manifests": []}), store=1)
    assert create(shelf, "l", amend=True).id == BIRTH.id


@pytest.mark.parametrize("name", ["No Name", "l@" + ABSENT, ""])
def test_a_list_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(InvalidName):
        create(Shelf(), name)


# ------------------------------------------------------------------------- add


@pytest.mark.parametrize("by", ["quay.io/ns/one:3", "one:3", "id", "short id", "digest", "transport"])
def test_an_image_is_added_by_any_local_name_and_described_in_the_same_write(by: str) -> None:
    shelf = Shelf()
    more = {"variant": "v8", "os.version": "1.2", "os.features": ["x"]}
    image = shelf.image("one", "quay.io/ns/one:3", arch="arm64", more=more)
    names = {
        "id": image.id,
        "short id": image.id[:8],
        "digest": image.digest,
        "transport": f"containers-storage:{image.id}",
    }
    made = create(shelf, "l")
    chosen = p.PlatformChoice(features=("f",), os="other")
    add(shelf, "l", names.get(by, by), platform=chosen, annotations={"k": "v"})
    (entry,) = entries(shelf, made)
    assert entry["platform"] == {**platform("arm64"), **more, "os": "other", "features": ["f"]}
    assert entry["annotations"] == {"k": "v"}


def test_an_image_that_is_added_again_keeps_its_place_and_what_was_said_of_it() -> None:
    shelf = Shelf()
    one, two = shelf.image("one", "localhost/one:latest"), shelf.image("two", "localhost/two:latest")
    made = create(shelf, "l", "one", "two")
    annotate(shelf, "l", str(one.digest), platform=p.PlatformChoice(architecture="riscv64"), annotations={"a": "b"})
    before = shelf.item(made.id, "manifest")
    assert add(shelf, "l", "one").changed is False
    assert shelf.item(made.id, "manifest") == before
    add(shelf, "l", "one", annotations={"c": "d"})
    first, second = entries(shelf, made)
    assert (first["digest"], second["digest"]) == (one.digest, two.digest)
    assert (first["annotations"], first["platform"]["architecture"]) == ({"a": "b", "c": "d"}, "riscv64")


def test_an_image_that_is_added_again_is_from_now_on_read_from_here() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    target = foreign(shelf, one.digest or ABSENT, sources={str(one.digest): "docker://quay.io/gone"})
    add(shelf, "foreign", "one")
    assert shelf.item(target.id, "instances.json") == {"": target.id, one.digest: at(one)}


def test_of_a_list_the_entry_for_this_platform_comes_with_its_description() -> None:
    shelf = Shelf()
    foreign(shelf, ABSENT, ELSEWHERE, sources={ELSEWHERE: "docker://quay.io/x", ABSENT: "docker://quay.io/y"})
    made = create(shelf, "l", "foreign")
    assert [(entry["digest"], entry["annotations"]) for entry in entries(shelf, made)] == [
        (ELSEWHERE, {"from": "afar"})
    ]
    assert shelf.item(made.id, "instances.json") == {"": made.id, ELSEWHERE: "docker://quay.io/x"}
    means = shelf.means(HostPlatform(os="linux", architecture="riscv64"))
    with pytest.raises(ImageUnknown, match="riscv64"):
        list_editing.add(shelf.snapshot(), p.ManifestsAdd(name="l", image="foreign"), means)


def test_all_takes_every_entry_of_a_list_and_reads_local_ones_from_here() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest", arch="s390x")
    digest = one.digest or ABSENT
    source = foreign(shelf, digest, ELSEWHERE, sources={ELSEWHERE: "docker://quay.io/x", digest: "docker://quay.io/y"})
    create(shelf, "l")
    planned = list_editing.add(shelf.snapshot(), p.ManifestsAdd(name="l", image="foreign", all=True), shelf.means())
    assert {record.id for record, _ in planned.change.evidence} == {BIRTH.id, source.id}
    made = done(shelf, planned)
    assert made.instances == (digest, ELSEWHERE)
    assert shelf.item(made.id, "instances.json") == {"": made.id, digest: at(one), ELSEWHERE: "docker://quay.io/x"}


def test_an_entry_that_nobody_could_push_is_refused() -> None:
    shelf = Shelf()
    foreign(shelf, ABSENT, ELSEWHERE, sources={ELSEWHERE: "docker://quay.io/x"})
    with pytest.raises(ImageUnknown) as caught:
        create(shelf, "l", "foreign", all=True)
    assert caught.value.data["asked"] == ABSENT


def test_an_instance_is_read_only_from_an_image_whose_manifest_it_is() -> None:
    """``@<id>`` reads the manifest that was written last; another one of the image would not be found there."""
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    record, _ = shelf.records[0]
    shelf.data[one.id, f"manifest-{ELSEWHERE}"] = b"{}"
    digests = {**(record.big_data_digests or {}), f"manifest-{ELSEWHERE}": ELSEWHERE}
    names = (*(record.big_data_names or ()), f"manifest-{ELSEWHERE}")
    shelf.records[0] = (replace(record, big_data_digests=digests, big_data_names=names), 0)
    assert ELSEWHERE in shelf[one.id].digests
    foreign(shelf, ABSENT, ELSEWHERE, sources={ELSEWHERE: "docker://quay.io/x"})
    made = create(shelf, "l", "foreign")
    assert shelf.item(made.id, "instances.json")[ELSEWHERE] == "docker://quay.io/x"


def test_an_artifact_in_the_store_has_a_type_and_no_platform() -> None:
    shelf = Shelf()
    shelf.image("art", "localhost/art:latest", manifest={"artifactType": "x/y"})
    (entry,) = entries(shelf, create(shelf, "l", "art"))
    assert entry["artifactType"] == "x/y"
    assert "platform" not in entry


@pytest.mark.parametrize("key", ["manifest", "config"])
def test_an_image_that_cannot_be_read_is_not_added(key: str) -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    shelf.spoil(one, f"sha256:{one.id}" if key == "config" else key)
    with pytest.raises(ImageDamaged):
        create(shelf, "l", "one")


# ------------------------------------------------------------------- artifacts


def test_an_artifact_is_kept_in_the_list_with_all_its_bytes() -> None:
    shelf = Shelf()
    create(shelf, "l")
    layers = (layer(b"hello", title="a.txt"), layer(b"{}", title="b.json"), layer(b"\0\1"))
    made = add(shelf, "l", artifact=p.Artifact(type="x/y", layers=layers, annotations={"k": "v"}))
    (digest,) = made.instances
    kept = shelf.item(made.id, "artifacts.json")
    manifest = json.loads(kept["manifests"][digest])
    assert sha(kept["manifests"][digest].encode()) == digest
    assert [(each["mediaType"], each["size"]) for each in manifest["layers"]] == [
        ("text/plain", 5),
        ("application/json", 2),
        ("application/octet-stream", 2),
    ]
    assert manifest["layers"][0]["annotations"] == {"org.opencontainers.image.title": "a.txt"}
    assert (manifest["artifactType"], manifest["annotations"]) == ("x/y", {"k": "v"})
    assert manifest["config"]["data"] == "e30="
    assert kept["config"] == {digest: sha(b"{}")}
    assert kept["layers"] == {digest: [sha(b"hello"), sha(b"{}"), sha(b"\0\1")]}
    blobs = {key: base64.b64decode(value) for key, value in kept["blobs"].items()}
    assert blobs == {sha(b"hello"): b"hello", sha(b"{}"): b"{}", sha(b"\0\1"): b"\0\1"}
    (entry,) = entries(shelf, made)
    assert entry == {"mediaType": OCI, "digest": digest, "size": len(kept["manifests"][digest]), "artifactType": "x/y"}
    assert "detached" not in kept


def test_an_artifact_may_refer_to_an_image_and_have_a_configuration_of_its_own() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    create(shelf, "l")
    made = add(shelf, "l", artifact=p.Artifact(config='{"a":1}', config_type="x/config", subject="one"))
    manifest = json.loads(shelf.item(made.id, "artifacts.json")["manifests"][made.instances[0]])
    assert manifest["subject"] == {"mediaType": OCI, "digest": one.digest, "size": size(shelf, one)}
    assert (manifest["config"]["mediaType"], manifest["config"]["digest"]) == ("x/config", sha(b'{"a":1}'))
    assert manifest["artifactType"] == "application/vnd.unknown.artifact.v1"
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.empty.v1+json"


def test_a_removed_artifact_leaves_nothing_but_what_another_one_needs() -> None:
    shelf = Shelf()
    create(shelf, "l")
    one = add(shelf, "l", artifact=p.Artifact(layers=(layer(b"shared"), layer(b"alone"))))
    two = add(shelf, "l", artifact=p.Artifact(layers=(layer(b"shared"),)))
    remove(shelf, "l", one.instances[0])
    kept = shelf.item(two.id, "artifacts.json")
    assert kept["blobs"].keys() == {sha(b"shared"), sha(b"{}")}
    assert kept["manifests"].keys() == kept["config"].keys() == kept["layers"].keys() == set(two.instances)
    remove(shelf, "l", two.instances[0])
    assert shelf.data[two.id, "artifacts.json"] == b"{}"


def test_the_same_artifact_again_changes_nothing() -> None:
    shelf = Shelf()
    create(shelf, "l")
    asked = p.Artifact(layers=(layer(b"x"),))
    assert add(shelf, "l", artifact=asked).changed
    assert not add(shelf, "l", artifact=asked).changed


def test_an_artifact_of_a_list_is_added_to_another_with_its_data() -> None:
    shelf = Shelf()
    create(shelf, "l")
    made = add(shelf, "l", artifact=p.Artifact(layers=(layer(b"x"),)))
    params = p.ManifestsCreate(name="m", images=("l",), all=True)
    other = Birth(id=ImageID("e" * 64), created=BIRTH.created)
    copy = done(shelf, list_editing.create(shelf.snapshot(), params, shelf.means(), other))
    assert shelf.item(copy.id, "artifacts.json") == shelf.item(made.id, "artifacts.json")


def test_of_a_file_the_path_is_kept_and_of_the_manifest_the_same() -> None:
    shelf = Shelf()
    create(shelf, "l")
    create_other = Birth(id=ImageID("e" * 64), created=BIRTH.created)
    done(shelf, list_editing.create(shelf.snapshot(), p.ManifestsCreate(name="m"), shelf.means(), create_other))
    asked = p.Artifact(layers=(layer(b"x", title="a.txt"),))
    inline = add(shelf, "l", artifact=asked)
    (read,) = read_layers(asked, ())
    params = p.ManifestsAdd(name="m", artifact=asked)
    of_file = [replace(read, data=None, path="/home/a/a.txt")]
    passed = done(shelf, list_editing.add(shelf.snapshot(), params, shelf.means(), of_file))
    assert passed.instances == inline.instances
    kept = shelf.item(passed.id, "artifacts.json")
    assert kept["files"] == {passed.instances[0]: ["/home/a/a.txt"]}
    assert kept["detached"] == {sha(b"x"): "/home/a/a.txt"}
    assert kept["blobs"].keys() == {sha(b"{}")}
    annotate(shelf, "m", "/home/a/a.txt", annotations={"k": "v"})
    remove(shelf, "m", "/home/a/a.txt")
    assert shelf.data[passed.id, "artifacts.json"] == b"{}"


def test_data_that_is_no_base64_and_neither_or_both_of_image_and_artifact_are_refused() -> None:
    shelf = Shelf()
    create(shelf, "l")
    bad: dict[str, dict[str, Any]] = {
        "artifact.layers[1].data": {"artifact": p.Artifact(layers=(layer(b"x"), p.ArtifactLayer(data="%")))},
        "image": {"image": "x", "artifact": p.Artifact()},
    }
    for path, arguments in {**bad, "image ": {}}.items():
        with pytest.raises(InvalidParams) as caught:
            add(shelf, "l", **arguments)
        assert caught.value.data["path"] == f"$.{path.strip()}"


# ----------------------------------------------------- annotate, remove_instance


def test_an_entry_is_meant_by_its_digest_by_an_image_or_by_a_file_of_an_artifact() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    artifacts = compact({"manifests": {ELSEWHERE: "{}"}, "files": {ELSEWHERE: ["/home/a/b.txt"]}})
    target = foreign(shelf, one.digest or ABSENT, ELSEWHERE, artifacts=artifacts)
    names = ("one", "one:latest", "localhost/one:latest", one.id, one.id[:12])
    meant = [str(one.digest), *names, *(f"containers-storage:{name}" for name in (*names, f"@{one.id}"))]
    for number, (asked, index) in enumerate([*((name, 0) for name in meant), ("/home/a/b.txt", 1)]):
        edited = annotate(shelf, "foreign", asked, annotations={"n": str(number)})
        assert entries(shelf, target)[index]["annotations"]["n"] == str(number)
        assert edited.instances == (entries(shelf, target)[index]["digest"],)


def test_the_list_itself_is_annotated_and_refers_to_a_subject() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    made = create(shelf, "l", "one")
    annotate(shelf, "l", index=True, annotations={"a": ""}, subject="one")
    whole = shelf.item(made.id, "manifest")
    assert whole["annotations"] == {"a": ""}
    assert whole["subject"] == {"mediaType": OCI, "digest": one.digest, "size": size(shelf, one)}
    annotate(shelf, "l", index=True, subject="")
    assert "subject" not in shelf.item(made.id, "manifest")


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("digest", {}),
        ("digest", {"digest": ABSENT, "index": True}),
        ("platform", {"index": True, "platform": p.PlatformChoice(os="x")}),
        ("subject", {"digest": ABSENT, "subject": "one"}),
    ],
)
def test_what_only_an_entry_or_only_a_list_has_is_asked_of_it_alone(path: str, arguments: dict[str, Any]) -> None:
    shelf = Shelf()
    create(shelf, "l")
    with pytest.raises(InvalidParams) as caught:
        annotate(shelf, "l", **arguments)
    assert caught.value.data["path"] == f"$.{path}"


def test_a_removed_instance_is_no_longer_protected_and_no_longer_recorded() -> None:
    shelf = Shelf()
    one = shelf.image("one")
    made = create(shelf, "l", one.id)
    assert not shelf[one.id].dangling
    assert remove(shelf, "l", one.id).instances == (one.digest,)
    assert entries(shelf, made) == []
    assert shelf.item(made.id, "instances.json") == {"": made.id}
    assert shelf[one.id].dangling


@pytest.mark.parametrize("asked", [str(ABSENT), "one"])
def test_an_instance_that_is_not_in_the_list_is_unknown(asked: str) -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    create(shelf, "l")
    for edit in (remove, annotate):
        with pytest.raises(InstanceUnknown):
            edit(shelf, "l", asked)


# ------------------------------------------------------------------- the list


def edit_all(shelf: Shelf, name: str, error: type[StoragedError]) -> None:
    for edit in (
        lambda: add(shelf, name, "one"),
        lambda: annotate(shelf, name, index=True, annotations={"a": "b"}),
        lambda: remove(shelf, name, ABSENT),
    ):
        with pytest.raises(error):
            edit()


def test_only_a_list_of_the_writable_store_is_edited() -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    foreign(shelf, ABSENT, store=1)
    edit_all(shelf, "one", NotAManifestList)
    edit_all(shelf, "nope", ManifestListUnknown)
    edit_all(shelf, "foreign", ReadOnlyImage)


@pytest.mark.parametrize("key", ["manifest", "instances.json", "artifacts.json"])
def test_a_list_with_an_item_that_cannot_be_read_is_not_edited(key: str) -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    target = foreign(shelf, ABSENT, artifacts=b"{}")
    shelf.spoil(target, key)
    edit_all(shelf, "foreign", ImageDamaged)
    with pytest.raises(ImageDamaged):
        create(shelf, "foreign", amend=True)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"manifests":[]}', b'{"manifests":{"a":"b"},"config":{"a":1}}'])
def test_a_list_with_an_item_that_cannot_be_decoded_is_not_edited(content: bytes) -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    foreign(shelf, ABSENT, artifacts=content)
    edit_all(shelf, "foreign", ImageDamaged)


def test_a_list_without_instances_is_not_edited_and_one_without_artifacts_is() -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:latest")
    shelf.list("bare", "localhost/bare:latest", manifest=compact({"mediaType": OCI_INDEX}), instances=False)
    edit_all(shelf, "bare", ImageDamaged)
    target = foreign(shelf, ABSENT)
    add(shelf, "foreign", "one")
    assert shelf.data[target.id, "artifacts.json"] == b"{}"


def test_what_an_item_has_that_nobody_knows_survives_an_edit() -> None:
    shelf = Shelf()
    artifacts = compact({"later": [1], "blobs": {ABSENT: "eA=="}})
    target = foreign(shelf, ABSENT, sources={ABSENT: "oci:/x", "odd": "y"}, artifacts=artifacts)
    annotate(shelf, "foreign", ABSENT, annotations={"a": "b"})
    assert shelf.item(target.id, "artifacts.json") == json.loads(artifacts)
    assert shelf.item(target.id, "instances.json") == {"": target.id, ABSENT: "oci:/x", "odd": "y"}


def test_an_entry_is_not_taken_out_of_a_list_that_a_short_name_may_not_mean() -> None:
    shelf = Shelf()
    one = shelf.image("one", "localhost/one:latest")
    create(shelf, "l", "one")
    means = shelf.means()
    doubting = structs.replace(
        means, view=structs.replace(means.view, short_name_doubts=("/etc/containers/registries.conf",))
    )
    params = p.ManifestsRemoveInstance(name="l", digest=str(one.digest))
    with pytest.raises(InvalidName):
        list_editing.remove_instance(shelf.snapshot(), params, doubting)
    full = evolve(params, name="localhost/l:latest")
    assert list_editing.remove_instance(shelf.snapshot(), full, doubting).result.changed


def test_a_thousand_entries_are_added_in_time_linear_in_them() -> None:
    """Counted in lines of our own code, so that no clock decides."""

    def lines(count: int) -> int:
        shelf = Shelf()
        digests = [sha(str(number).encode()) for number in range(count)]
        described = [{"mediaType": OCI, "size": 7, "digest": digest} for digest in digests]
        manifest = compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described})
        artifacts = compact({"manifests": dict.fromkeys(digests, "{}"), "config": {each: each for each in digests}})
        shelf.list("big", "localhost/big:latest", manifest=manifest, artifacts=artifacts)
        snapshot, seen = shelf.snapshot(), 0

        def count_line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal seen
            seen += 1
            return count_line

        sys.settrace(count_line)
        try:
            list_editing.create(snapshot, p.ManifestsCreate(name="l", images=("big",), all=True), shelf.means(), BIRTH)
        finally:
            sys.settrace(None)
        return seen

    few, many = lines(100), lines(1000)
    assert many < 11 * few


def test_a_list_that_would_outgrow_what_is_read_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_parts, "_LIMIT", 200)
    shelf = Shelf()
    create(shelf, "l")
    with pytest.raises(StoragedError, match="more than 200"):
        add(shelf, "l", artifact=p.Artifact(layers=(layer(b"x" * 300),)))


def layer(data: bytes, title: str | None = None) -> p.ArtifactLayer:
    return p.ArtifactLayer(data=base64.b64encode(data).decode(), title=title)


def platform(arch: str) -> dict[str, Any]:
    return {"architecture": arch, "os": "linux"}


def size(shelf: Shelf, image: Image) -> int:
    return len(shelf.data[image.id, "manifest"])


@pytest.mark.parametrize("name", ["[::1]:5000/l", "quay.io/" + "x" * 248])
def test_a_list_gets_no_name_that_would_stop_podmans_listings(name: str) -> None:
    with pytest.raises(InvalidName, match="podman"):
        create(Shelf(), name)


def test_an_image_named_a_hundred_times_is_read_once() -> None:
    shelf = Shelf()
    shelf.image("one", "localhost/one:1")
    read: list[str] = []

    def counting(image: Image, key: str) -> bytes:
        read.append(key)
        return shelf.read(image, key)

    for times in (1, 100):
        means = structs.replace(shelf.means(), read=counting)
        params = p.ManifestsCreate(name="l", images=("one:1",) * times)
        list_editing.create(shelf.snapshot(), params, means, BIRTH)
    assert read[: len(read) // 2] == read[len(read) // 2 :]
