"""Ask a podman which image a name means, under given registries.conf files: its resident service, name by name.

The files of the machine the peer lives on are hidden: ``/etc/containers`` and ``/var/cache/containers`` are folders
of the workspace, bound over them in a mount namespace of the peer's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

from tests.support.peers import Peer, Store
from tests.support.podman_service import Service, service
from tests.support.rest import Reply

_BIND = """
mount --make-rprivate /
for pair in etc/containers var/cache/containers; do
    mkdir -p "$2/$pair" && mount --bind "$1/$pair" "$2/$pair" || exit
done
shift 2
exec "$@"
"""


@frozen(kw_only=True)
class HousedPeer(Peer):
    """A peer with a root of configuration of its own: ``house`` has ``etc/containers`` and ``var/cache/containers``."""

    house: Path

    def argv(self, work: Path, command: Sequence[str]) -> list[str]:
        inner = super().argv(work, command)
        return ["unshare", "-m", "sh", "-c", _BIND, "sh", str(self.house), str(self.root or "/"), *inner]


@frozen(kw_only=True)
class HousedStore(Store):
    """A store seen through the configuration of its house. ``variables`` None removes one."""

    variables: Mapping[str, str | None]

    def environment(self) -> dict[str, str]:
        merged: dict[str, str | None] = {**super().environment(), **self.variables}
        return {name: value for name, value in merged.items() if value is not None}

    def write(self, path: str, text: str) -> Path:
        """Write a file of the house (``etc/…``, ``var/…``) or of the user's home (``~/…``)."""
        file = self.work / path[2:] if path.startswith("~/") else self.house / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    @property
    def house(self) -> Path:
        assert isinstance(self.peer, HousedPeer)
        return self.peer.house


def housed(store: Store, variables: Mapping[str, str | None]) -> HousedStore:
    """The same store, its peer in a house of its own with an empty configuration; makes the folders."""
    house = store.work / "house"
    for folder in ("etc/containers", "var/cache/containers"):
        (house / folder).mkdir(parents=True, exist_ok=True)
    policy = house / "etc/containers/policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    peer = HousedPeer(name=store.peer.name, version=store.peer.version, root=store.peer.root, house=house)
    return HousedStore(
        peer=peer, work=store.work, driver=store.driver, additional=store.additional, variables=variables
    )


@frozen(kw_only=True)
class Answer:
    """What podman says of a name."""

    exists: bool | None
    """None: an error, for the name cannot be looked up."""
    id: str | None
    indescribable: bool
    """It was found, but ``inspect`` fails on what it is."""


@frozen
class Lookups:
    """Asks ``podman system service``."""

    service: Service

    def ask(self, name: str) -> Answer:
        reply = self._get(f"/images/{quote(name, safe='')}/exists")
        exists: bool | None = reply.status == 204
        if not exists and reply.json["message"] != f"failed to find image {name}":
            # The service answers every error with 404; the command ends with 125 where there is a cause.
            exists = None
        reply = self._get(f"/images/{quote(name, safe='')}/json")
        image = str(reply.json["Id"]) if reply.status == 200 else None
        return Answer(exists=exists, id=image, indescribable=reply.status not in (200, 404))

    def _get(self, path: str) -> Reply:
        return self.service.rest.get(f"/v4.0.0/libpod{path}")


@contextmanager
def lookups(store: Store) -> Iterator[Lookups]:
    """Run the service of the store's peer while the block lasts. It reads registries.conf once.

    Raises:
        ToolError: it did not answer within twenty seconds.
    """
    with service(store) as theirs:
        yield Lookups(theirs)
