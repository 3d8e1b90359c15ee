import json

import pytest

from storaged.operations import list_forms
from storaged.operations.list_forms import NEW, Entry, overridden
from storaged.store.layout.manifests import Undecodable
from storaged.store.layout.records import Digest
from storaged_client.contract.params import PlatformChoice
from tests.unit.operations.shelf import DOCKER_LIST, OCI_INDEX, compact, sha

ONE, TWO = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
EMPTY = Digest("sha256:20b959ad5960230b65a77b746bdbf5d991ade4d7a129c2554e167acdcc990531")
"""Of the list that every ``podman manifest create`` begins with."""

# Written by podman 5.8: an annotated index, and the Docker list that features make.
INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vn'
    b'd.oci.image.manifest.v1+json","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","'
    b'size":563,"annotations":{"k":"v"},"platform":{"architecture":"s390x","os":"linux","os.version":"1.2"}},{"mediaType'
    b'":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2222222222222222222222222222222222222222222222222222'
    b'222222222222","size":636,"artifactType":"x/y"}],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json",'
    b'"digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","size":563},"annotations":{"idx":'
    b'"1"}}'
)
DOCKER = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{"mediaType"'
    b':"application/vnd.oci.image.manifest.v1+json","size":495,"digest":"sha256:11111111111111111111111111111111111111111'
    b'11111111111111111111111","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.m'
    b'anifest.v1+json","size":495,"digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","plat'
    b'form":{"architecture":"amd64","os":"windows","features":["f"]}}]}'
)


@pytest.mark.parametrize("data", [INDEX, DOCKER], ids=["index", "docker"])
def test_what_podman_wrote_is_written_again_byte_for_byte(data: bytes) -> None:
    assert list_forms.serialise(list_forms.parse(data)) == data


def test_a_new_list_is_the_one_that_podman_begins_with() -> None:
    assert sha(list_forms.serialise(NEW)) == EMPTY


def test_a_list_that_lost_its_last_entry_is_a_docker_list_of_none() -> None:
    form = NEW.put([Entry(digest=ONE, members={})]).without(ONE)
    assert json.loads(list_forms.serialise(form)) == {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}


def test_features_survive_the_turn_to_an_index_and_back() -> None:
    form = list_forms.parse(DOCKER)
    entry = form.find(ONE)
    assert entry is not None
    index = list_forms.serialise(form.put([overridden(entry, None, {"a": "b"})]))
    assert json.loads(index)["mediaType"] == OCI_INDEX
    assert json.loads(index)["manifests"][1]["platform"]["features"] == ["f"]
    again = list_forms.parse(index)
    entry = again.find(ONE)
    assert entry is not None
    members = {name: value for name, value in entry.members.items() if name != "annotations"}
    assert list_forms.serialise(again.put([Entry(digest=ONE, members=members, platform=entry.platform)])) == DOCKER


def test_members_that_nobody_knows_keep_their_bytes_in_every_form() -> None:
    odd = b'{ "x":[1.50, 1e3],"big":123456789012345678901234567890}'
    data = b'{"manifests":[{"digest":"%s","new":%s,"platform":{"os":"linux","later":%s}}],"top":%s}' % (
        ONE.encode(),
        odd,
        odd,
        odd,
    )
    form = list_forms.parse(data)
    entry = form.find(ONE)
    assert entry is not None
    docker = form.put([overridden(entry, PlatformChoice(features=("f",)), None)])
    for written, media_type in ((form, OCI_INDEX), (docker, DOCKER_LIST)):
        out = list_forms.serialise(written)
        assert json.loads(out)["mediaType"] == media_type
        assert out.count(odd) == 3


def test_an_index_annotation_a_subject_or_an_artifact_type_makes_an_index_of_an_empty_list() -> None:
    assert json.loads(list_forms.serialise(NEW.annotated({"a": "b"})))["mediaType"] == OCI_INDEX
    about = NEW.about({"digest": compact(ONE)})
    assert json.loads(list_forms.serialise(about))["subject"] == {"digest": ONE}
    assert sha(list_forms.serialise(about.about(None))) == EMPTY


def test_annotations_are_merged_and_sorted_and_escaped_as_go_does() -> None:
    form = NEW.annotated({"z": "1", "b": "<&>"}).annotated({"z": "2", "a": ""})
    assert list_forms.serialise(form).endswith(b'"annotations":{"a":"","b":"\\u003c\\u0026\\u003e","z":"2"}}')


def test_an_override_changes_what_it_names_and_an_empty_one_takes_away() -> None:
    entry = Entry(digest=ONE, members={}, platform={"architecture": b'"arm"', "os": b'"linux"', "variant": b'"v7"'})
    version = overridden(entry, PlatformChoice(os_version="10", os_features=("win32k",)), None)
    assert version.platform == {**(entry.platform or {}), "os.version": b'"10"', "os.features": b'["win32k"]'}
    assert overridden(version, PlatformChoice(os_version="", os_features=()), None).platform == entry.platform
    everything = PlatformChoice(architecture="", os="")
    assert overridden(entry, everything, None).platform is None


def test_another_architecture_takes_the_variant_of_the_old_one_away() -> None:
    entry = Entry(digest=ONE, members={}, platform={"architecture": b'"arm"', "variant": b'"v7"'})
    assert overridden(entry, PlatformChoice(architecture="amd64"), None).platform == {"architecture": b'"amd64"'}
    both = PlatformChoice(architecture="arm64", variant="v8")
    assert overridden(entry, both, None).platform == {"architecture": b'"arm64"', "variant": b'"v8"'}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"manifests":[{"digest":"sha256:1"}],"Manifests":[]}',
        b'{"manifests":[{"digest":"sha256:1","Digest":"sha256:2"}]}',
        b'{"manifests":[{"digest":"sha256:1","platform":{"OS":"linux"}}]}',
        b'{"manifests":[{"digest":7}]}',
        b'{"manifests":[{"digest":"sha256:1","annotations":{"a":1}}]}',
    ],
)
def test_what_other_tools_would_read_differently_is_not_edited(data: bytes) -> None:
    with pytest.raises(Undecodable):
        list_forms.parse(data)
