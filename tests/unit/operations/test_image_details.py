import pytest
from attrs import evolve
from msgspec import structs

from storaged.operations.image_details import details, lacking
from storaged.store.layout.contents import ManifestFacts
from storaged.store.tables import StoreLocation
from tests.support.stores import Store, config, image_id, layer_id

OVERLAY = StoreLocation(graphroot="/g", runroot="/r", driver="overlay", additional=("/far",))
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
BLOB = {
    "author": "me",
    "comment": "of the configuration",
    "docker_version": "20",
    "config": {"User": "me", "Healthcheck": {"Test": ["CMD-SHELL", "/f"], "Interval": 5000000000}},
    "history": [
        {"created": "2026-01-01T00:00:00Z", "created_by": "COPY", "comment": "first", "empty_layer": False},
        {"created_by": "LABEL", "empty_layer": True},
    ],
}


def chain(media_type: str | None = None) -> Store:
    store = Store()
    store.layer("a", store=1)
    store.layer("b", "a")
    store.layer("c", "b")
    store.image("i", ("localhost/i:1",), layer="c", config=config(("x", "y"), ("d1", "d2", "d3")))
    row, content = store.images[0], store.contents[0]
    key = f"sha256:{row.record.id}"
    fields = {name: getattr(row.record, name) for name in row.record.__struct_fields__}
    fields["big_data_names"] = (*fields["big_data_names"], key)
    store.images[0] = structs.replace(row, record=type(row.record)(**fields))
    manifest = ManifestFacts(media_type=media_type, is_list=False, annotations={"k": "v"}, config_digest=key)
    store.contents[0] = evolve(content, manifest=manifest)
    return store


def inspected(store: Store, blob: object, location: StoreLocation = OVERLAY):
    snapshot = store.snapshot()
    image = snapshot.by_id[image_id("i")]
    return details(snapshot, image, dict.fromkeys(lacking(image), blob), location)


def test_the_configuration_is_lacking_of_an_image_and_nothing_of_a_list() -> None:
    store = chain()
    store.list("list")
    snapshot = store.snapshot()
    assert lacking(snapshot.by_id[image_id("i")]) == (f"sha256:{image_id('i')}",)
    assert lacking(snapshot.by_id[image_id("list")]) == ()


def test_a_docker_image_has_healthcheck_version_and_its_own_comment() -> None:
    found = inspected(chain(DOCKER), BLOB)
    assert found.healthcheck == {"Test": ["CMD-SHELL", "/f"], "Interval": 5000000000}
    assert (found.comment, found.author, found.docker_version) == ("of the configuration", "me", "20")
    assert found.manifest_type == DOCKER
    assert found.config == BLOB["config"]
    assert [(entry.created_by, entry.empty_layer) for entry in found.history] == [("COPY", False), ("LABEL", True)]


def test_what_the_configuration_does_not_have_is_told_from_what_is_empty() -> None:
    found = inspected(
        chain(), {"rootfs": {"type": "layers", "diff_ids": []}, "history": [], "created": "2026-01-01T00:00:00Z"}
    )
    assert (found.absent, found.rootfs_type, found.created) == ((), "layers", "2026-01-01T00:00:00Z")
    found = inspected(chain(), {"rootfs": {"diff_ids": None}, "created": None})
    assert (found.absent, found.rootfs_type, found.created) == (("history", "diff_ids"), "", None)
    damaged = inspected(chain(), None)
    assert (damaged.rootfs_type, damaged.created) == (None, damaged.summary.created)


def test_an_image_without_layers_has_the_folders_of_a_layer_without_a_name() -> None:
    store = Store()
    store.image("i", config=config())
    assert inspected(store, BLOB).driver_data == {"UpperDir": "/g/overlay/diff", "WorkDir": "/g/overlay/work"}
    assert inspected(store, BLOB, evolve(OVERLAY, driver="vfs")).driver_data == {}


def test_an_oci_image_takes_its_comment_from_the_first_entry_of_history() -> None:
    found = inspected(chain(), BLOB)
    assert (found.comment, found.healthcheck, found.docker_version) == ("first", None, None)
    assert found.manifest_type == "application/vnd.oci.image.manifest.v1+json"
    assert found.annotations == {"k": "v"}
    assert found.diff_ids == ("d1", "d2", "d3")


def test_overlay_folders_are_told_nearest_first_each_in_its_own_store() -> None:
    a, b, c = (layer_id(name) for name in "abc")
    assert inspected(chain(), BLOB).driver_data == {
        "UpperDir": f"/g/overlay/{c}/diff",
        "WorkDir": f"/g/overlay/{c}/work",
        "LowerDir": f"/g/overlay/{b}/diff:/far/overlay/{a}/diff",
    }
    assert inspected(chain(), BLOB, evolve(OVERLAY, driver="vfs")).driver_data == {}


@pytest.mark.parametrize(
    "blob",
    [None, [], "x", {"config": [], "history": {}}, {"history": [1, None, {"created": 5, "empty_layer": "yes"}]}],
)
def test_a_damaged_configuration_leaves_the_rest(blob) -> None:
    found = inspected(chain(DOCKER), blob)
    assert found.config is None
    assert found.summary.id == image_id("i")
    assert all(entry.created is None and not entry.empty_layer for entry in found.history)
