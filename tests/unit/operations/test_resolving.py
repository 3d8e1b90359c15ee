import pytest
from attrs import evolve
from msgspec import structs

from storaged.operations.query_context import HostPlatform, normalise_platform
from storaged.operations.resolving import exists, find, meant_digest, resolve
from storaged.store.layout.contents import ImageContent, PlatformFacts
from storaged_client.contract.errors import AmbiguousName, ImageDamaged, ImageUnknown, InvalidName, NotAManifestList
from tests.support.stores import AMD64, ARM64, HERE, Store, config, digest_of, image_id, missing


def names() -> Store:
    store = Store()
    store.image("quay", ("quay.io/team/app:1", "quay.io/team/only@" + digest_of("quay")), config=config())
    store.image("local", ("localhost/app:latest",), config=config())
    store.image("hub", ("docker.io/library/hub:latest",), config=config())
    store.image("odd", ("UPPER CASE",), config=config())
    return store


def found(store: Store, name: str, **how: bool) -> tuple[str, str]:
    result = resolve(store.snapshot(), name, how.get("manifest", False), HERE)
    known = {image.record.id: image.record for image in store.images}
    assert result.id in known
    return result.id, result.how


def pulled_through_a_list() -> Store:
    """An image as podman pulls it: the record has the list's digest, the list's bytes lie beside its own manifest."""
    store = Store()
    store.image("i", ("localhost/i:1",), config=config())
    row = store.images[0]
    own, digests = digest_of("i"), {**(row.record.big_data_digests or {})}
    digests.update({"manifest": own, f"manifest-{digest_of('list')}": digest_of("list")})
    fields = {name: getattr(row.record, name) for name in row.record.__struct_fields__}
    names = tuple(dict.fromkeys((*(row.record.big_data_names or ()), *digests)))
    fields |= {"digest": digest_of("list"), "big_data_digests": digests, "big_data_names": names}
    store.images[0] = structs.replace(row, record=type(row.record)(**fields))
    return store


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("localhost/i:1", "i"),
        ("i:1", "i"),
        (image_id("i"), "list"),
        (image_id("i")[:12], "list"),
        (f"localhost/i@{digest_of('i')}", "i"),
        (f"localhost/i@{digest_of('list')}", "list"),
        (f"i@{digest_of('list')}", "list"),
        (digest_of("i"), "i"),
        (digest_of("list"), "list"),
    ],
)
def test_a_name_means_the_digest_in_it_or_that_of_its_manifest_and_an_id_the_records(name: str, digest: str) -> None:
    store = pulled_through_a_list()
    assert meant_digest(find(store.snapshot(), name, manifest=False, or_list=True, view=HERE)) == digest_of(digest)


@pytest.mark.parametrize(
    ("name", "image", "how"),
    [
        ("quay.io/team/app:1", "quay", "name"),
        ("containers-storage:quay.io/team/app:1", "quay", "name"),
        ("localhost/app", "local", "name"),
        ("app", "local", "short_name"),
        ("hub", "hub", "short_name"),
        ("library/hub", "hub", "short_name"),
        ("docker.io/hub", "hub", "name"),
        ("docker.io/library/hub:latest", "hub", "name"),
        ("app:1", "quay", "short_name"),
        ("team/app:1", "quay", "short_name"),
        ("UPPER CASE", "odd", "name"),
        (f"quay.io/team/app@{digest_of('quay')}", "quay", "digest"),
        (f"quay.io/team/app:other@{digest_of('quay')}", "quay", "digest"),
        (f"quay.io/team/only@{digest_of('quay')}", "quay", "digest"),
        (f"team/app@{digest_of('quay')}", "quay", "digest"),
        (str(digest_of("quay")), "quay", "digest"),
        (image_id("quay"), "quay", "id"),
        ("sha256:" + image_id("quay"), "quay", "id"),
        ("containers-storage:@" + image_id("quay"), "quay", "id"),
        (image_id("quay")[:12], "quay", "id_prefix"),
    ],
)
def test_a_name_means_what_podman_takes_it_for(name, image, how) -> None:
    assert found(names(), name) == (image_id(image), how)


@pytest.mark.parametrize(
    "name",
    [
        "quay.io/team/app",
        "app:2",
        "eam/app:1",
        "quay.io/app:1",
        "oci:app",
        f"quay.io/team/hub@{digest_of('quay')}",
        digest_of("quay").removeprefix("sha256:"),
        "0" * 64,
    ],
)
def test_what_nothing_bears_is_unknown(name) -> None:
    with pytest.raises(ImageUnknown):
        found(names(), name)
    assert not exists(names().snapshot(), name, False, HERE)


@pytest.mark.parametrize(
    "name", ["", " ", "Foo", "a b", "sha256:abc", "@", "docker://a", "a\x00b", "é", "x" * 5000, "containers-storage:"]
)
def test_what_is_no_reference_is_told_apart(name) -> None:
    with pytest.raises(InvalidName):
        found(names(), name)
    with pytest.raises(InvalidName):
        exists(names().snapshot(), name, False, HERE)


def test_an_image_called_sha256_is_found_by_its_digest_whatever_tag_stands_before_it() -> None:
    store = Store()
    store.image("odd", ("localhost/sha256:v1",), config=config())
    for name in (
        f"sha256:v1@{digest_of('odd')}",
        f"sha256:{'0' * 64}@{digest_of('odd')}",
        f"sha256@{digest_of('odd')}",
    ):
        assert found(store, name) == (image_id("odd"), "digest")
    with pytest.raises(ImageUnknown):
        found(store, f"sha256:v1@{digest_of('another')}")
    with pytest.raises(InvalidName, match="no 64-byte hexadecimal value"):
        found(store, "sha256:v1")


def test_an_ambiguous_prefix_lists_its_candidates_and_a_name_beats_it() -> None:
    store = Store()
    for number in range(60):
        store.image(str(number), config=config())
    ids = sorted(image.record.id for image in store.images)
    first = ids[0][0]
    expected = [name for name in ids if name.startswith(first)]
    assert len(expected) > 1
    with pytest.raises(AmbiguousName) as caught:
        found(store, first)
    assert caught.value.data["candidates"] == expected[:20]
    assert caught.value.data["matches"] == len(expected)
    store.image("named", (f"quay.io/x/{first}:latest",), config=config())
    assert found(store, first) == (image_id("named"), "short_name")


def test_a_prefix_is_sought_in_the_writable_store_first() -> None:
    store = Store()
    store.image("near", config=config())
    near = image_id("near")
    number = 0
    while not image_id(str(number)).startswith(near[0]):
        number += 1
    store.image(str(number), config=config(), store=1)
    assert found(store, near[0]) == (near, "id_prefix")


def test_a_prefix_of_several_in_one_store_means_the_only_one_of_the_next() -> None:
    store = Store()
    alike: dict[str, list[str]] = {}
    number = 0
    while len(alike.setdefault(image_id(str(number))[0], [])) < 2:
        alike[image_id(str(number))[0]].append(str(number))
        number += 1
    first = image_id(str(number))[0]
    for name in alike[first]:
        store.image(name, config=config())
    store.image(str(number), config=config(), store=1)
    assert found(store, first) == (image_id(str(number)), "id_prefix")


def test_configured_repositories_replace_localhost_and_docker_comes_last() -> None:
    store = names()
    view = structs.replace(HERE, short_names=lambda path: (f"quay.io/team/{path}",))
    assert find(store.snapshot(), "app:1", manifest=False, or_list=False, view=view).name == "quay.io/team/app:1"
    assert find(store.snapshot(), "hub", manifest=False, or_list=False, view=view).image.id == image_id("hub")


def platforms() -> Store:
    store = Store()
    store.image("amd", config=config())
    store.image("arm", config=config(platform=ARM64))
    store.list("both", ("localhost/both:1",), instances=(("arm", ARM64), ("amd", AMD64)))
    store.list("far", ("localhost/far:1",), instances=(("arm", ARM64), ("elsewhere", AMD64)))
    return store


def test_a_list_means_its_instance_here_or_with_manifest_itself() -> None:
    assert found(platforms(), "both:1") == (image_id("amd"), "short_name")
    assert found(platforms(), image_id("both")) == (image_id("amd"), "id")
    assert found(platforms(), "both:1", manifest=True) == (image_id("both"), "short_name")
    there = structs.replace(HERE, platform=normalise_platform("Linux", "aarch64"))
    assert resolve(platforms().snapshot(), "far:1", False, there).id == image_id("arm")


def test_a_list_without_a_local_instance_is_unknown_or_itself() -> None:
    snapshot = platforms().snapshot()
    with pytest.raises(ImageUnknown) as caught:
        find(snapshot, "far:1", manifest=False, or_list=False, view=HERE)
    assert caught.value.data["lists"] == [image_id("far")]
    assert find(snapshot, "far:1", manifest=False, or_list=True, view=HERE).image.id == image_id("far")
    assert not exists(snapshot, "far:1", False, HERE)
    assert exists(snapshot, "far:1", True, HERE)


def test_a_list_that_is_passed_over_does_not_end_the_search() -> None:
    store = platforms()
    store.image("hub", ("docker.io/library/far:1",), config=config())
    assert found(store, "far:1") == (image_id("hub"), "short_name")


def test_manifest_refuses_ordinary_and_damaged_images() -> None:
    store = names()
    store.list("torn", ("localhost/torn:1",), unreadable=True)
    with pytest.raises(NotAManifestList):
        found(store, "app", manifest=True)
    with pytest.raises(ImageDamaged):
        found(store, "torn:1", manifest=True)
    assert found(store, "torn:1") == (image_id("torn"), "short_name")


def test_a_digest_several_images_have_is_settled_by_platform_or_named_ambiguous() -> None:
    store = Store()
    store.image("amd", ("q.io/x:amd",), config=config(), digests=("amd", "index"))
    store.image("arm", ("q.io/x:arm",), config=config(platform=ARM64), digests=("arm", "index"))
    assert found(store, digest_of("index")) == (image_id("amd"), "digest")
    assert found(store, f"q.io/x@{digest_of('index')}") == (image_id("amd"), "digest")
    lists = Store()
    lists.list("one", digest="1")
    lists.list("two", digest="2")
    assert found(lists, digest_of("1"), manifest=True) == (image_id("one"), "digest")
    with pytest.raises(AmbiguousName):
        found(lists, digest_of("empty list"), manifest=True)


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "AARCH64", "linux/arm64"),
        ("linux", "armv7l", "linux/arm/v7"),
        ("linux", "armhf", "linux/arm/v7"),
        ("linux", "i686", "linux/386"),
        ("linux", "s390x", "linux/s390x"),
    ],
)
def test_platforms_are_normalised(system, machine, expected) -> None:
    assert str(normalise_platform(system, machine)) == expected


def test_variants_are_preferred_from_most_to_least_capable() -> None:
    v7 = HostPlatform(os="linux", architecture="arm", variant="v7")
    ranks = {
        variant: v7.rank(PlatformFacts(os="linux", architecture="arm", variant=variant))
        for variant in ("v8", "v7", "v6", "v5", None)
    }
    assert ranks == {"v8": None, "v7": 0, "v6": 1, "v5": 2, None: 3}
    assert HERE.platform.rank(PlatformFacts(os="linux", architecture="amd64", variant="v3")) is None
    assert normalise_platform("linux", "aarch64").rank(evolve(ARM64, variant="v8")) == 1


@pytest.mark.parametrize("wrong", ["manifest", "top layer", "base layer"])
def test_an_image_that_cannot_be_used_does_not_exist_as_podman_has_it(wrong) -> None:
    store = Store()
    if wrong != "base layer":
        store.layer("one")
    if wrong != "top layer":
        store.layer("two", "one")
    store.image("app", ("localhost/app:1",), layer="two", config=config())
    if wrong == "manifest":
        store.contents[0] = ImageContent(config=config(), damage=(missing(),))
    assert found(store, "app:1") == (image_id("app"), "short_name")
    assert not exists(store.snapshot(), "app:1", False, HERE)


def test_an_image_without_a_readable_configuration_exists_as_podman_has_it() -> None:
    store = Store()
    store.layer("one")
    store.image("app", ("localhost/app:1",), layer="one", config=None)
    assert exists(store.snapshot(), "app:1", False, HERE)
