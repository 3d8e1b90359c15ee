"""A local manifest list as a whole: its manifest, and where its entries can be read."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field, structs

from storaged.operations.list_forms import NEW, Entry, ListForm, parse, serialise
from storaged.operations.list_sources import (
    Artifact,
    Artifacts,
    parse_artifacts,
    parse_instances,
    serialise_artifacts,
    serialise_instances,
)
from storaged.operations.query_context import QueryContext
from storaged.operations.tagging import Read
from storaged.snapshot.model import Image
from storaged.store.changes import Item
from storaged.store.layout.records import Digest, ImageID
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import DataUnknown, ImageDamaged, TooLarge

MANIFEST, INSTANCES, ARTIFACTS = "manifest", "instances.json", "artifacts.json"

_LIMIT = 32 << 20
"""The maximum number of bytes of an item: a longer one could not be read again."""


class Means(Struct, frozen=True, kw_only=True):
    """What the engine provides for an edit of a list, besides the snapshot."""

    view: QueryContext
    location: StoreLocation
    read: Read


class Added(Struct, frozen=True, kw_only=True):
    """A new entry of a list, and where it can be read: a reference, or in the list itself."""

    entry: Entry
    reference: str | None = None
    artifact: Artifact | None = None


class ListParts(Struct, frozen=True, kw_only=True):
    """The three items. ``instances`` has the list's own id under the empty key, as soon as it has one."""

    form: ListForm = NEW
    instances: Mapping[str, str] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=Artifacts)

    def put(self, *added: Added) -> ListParts:
        """With these entries. An entry whose digest exists already stays in its place with its description: manual
        changes survive when it is added again. Its location is updated."""
        instances, artifacts = dict(self.instances), dict[Digest, Artifact]()
        for new in added:
            if new.reference is not None:
                instances[new.entry.digest] = new.reference
            if new.artifact is not None:
                artifacts[new.entry.digest] = new.artifact
        return ListParts(
            form=self.form.put([new.entry for new in added], _described),
            instances=instances,
            artifacts=self.artifacts.put(artifacts),
        )

    def without(self, digest: Digest) -> ListParts:
        """Without the entries with this digest, and without what was kept only for them."""
        return ListParts(
            form=self.form.without(digest),
            instances={key: value for key, value in self.instances.items() if key != digest},
            artifacts=self.artifacts.without(digest),
        )

    def owned_by(self, image: ImageID) -> ListParts:
        """With the list's own id."""
        return structs.replace(self, instances={**self.instances, "": image})

    def items(self) -> tuple[Item, ...]:
        """The three items, in the order in which podman writes them.

        Raises:
            TooLarge: one is longer than what can be read back.
        """
        items = (
            Item(key=MANIFEST, data=serialise(self.form)),
            Item(key=INSTANCES, data=serialise_instances(self.instances)),
            Item(key=ARTIFACTS, data=serialise_artifacts(self.artifacts)),
        )
        for item in items:
            if len(item.data) > _LIMIT:
                raise TooLarge(
                    f"{item.key} of the list would have {len(item.data)} bytes, more than {_LIMIT}: "
                    "make a second list, or artifacts of less data",
                    size=len(item.data),
                    limit=_LIMIT,
                    key=item.key,
                )
        return items


def load(image: Image, means: Means) -> ListParts:
    """The decoded items of a list. Lists of podman before 5.0 have no ``artifacts.json``.

    Raises:
        ImageDamaged: an item is missing, differs from the record, or cannot be decoded.
        TooLarge: see ``tagging.Read``.
    """
    try:
        form = parse(means.read(image, MANIFEST))
        instances = parse_instances(means.read(image, INSTANCES))
        kept = ARTIFACTS in (image.record.big_data_names or ())
        artifacts = parse_artifacts(means.read(image, ARTIFACTS)) if kept else Artifacts()
    except DataUnknown as error:
        raise ImageDamaged(
            f"manifest list {image.id[:12]}: {error.message}: no tool can edit it. Make a new list of its images",
            error.data,
            id=image.id,
        ) from None
    except ValueError as error:
        raise ImageDamaged(f"manifest list {image.id[:12]} cannot be edited: {error}", id=image.id) from None
    return ListParts(form=form, instances=instances, artifacts=artifacts)


def _described(known: Entry, new: Entry) -> Entry:
    platform = known.platform if known.platform is not None else new.platform
    return structs.replace(known, members={**new.members, **known.members}, platform=platform)
