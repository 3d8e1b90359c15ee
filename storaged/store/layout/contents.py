"""What the big data of one image says, parsed once per content. Values only; see ``content.py``.

``ImageContent`` of a record is found by reading its ``manifest`` and its configuration and checking
both against the size and digest the record names (architecture, fact 5).
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from storaged.store.layout.records import Digest


@frozen(kw_only=True)
class PlatformFacts:
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@frozen(kw_only=True)
class InstanceFacts:
    """One descriptor of a manifest list or index."""

    digest: Digest
    size: int | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    platform: PlatformFacts | None = None
    annotations: dict[str, str]


@frozen(kw_only=True)
class ManifestFacts:
    """The bytes under the key ``manifest``.

    ``is_list`` follows the media type (Docker manifest list, OCI index), or, without one, the presence
    of ``manifests``. ``raw`` keeps the bytes of lists only.
    """

    media_type: str | None
    is_list: bool
    instances: tuple[InstanceFacts, ...] = ()
    annotations: dict[str, str]
    config_digest: str | None = None
    config_media_type: str | None = None
    raw: bytes | None = None


@frozen(kw_only=True)
class ConfigFacts:
    """What a listing needs of a configuration blob.

    Two images are parent and child when the child's ``history_before_last`` equals the parent's
    ``history_key`` and the parent's ``diff_ids`` are a prefix of the child's. The keys are digests of
    the history's ``created`` (as an instant), ``created_by``, ``author``, ``comment``, ``empty_layer``.
    ``history_before_last`` is None where the history is empty.
    """

    architecture: str | None
    os: str | None
    variant: str | None
    labels: dict[str, str] | None
    diff_ids: tuple[str, ...]
    history_key: bytes
    history_before_last: bytes | None


@frozen(kw_only=True)
class ContentDamage:
    """Why a content could not be had: ``name`` is stable, ``file`` the path, ``seen`` its identity then."""

    name: str
    detail: str
    file: str
    seen: tuple[int, ...] | None
    """(dev, inode, size, mtime_ns, ctime_ns) of the file when it was judged; None where it was absent, empty where
    that could not be told."""
    withheld: bool = False
    """The file system did not give the bytes, or not to us: they may be whole."""
    seen_once: bool = field(default=False, eq=False)
    """No second look has found the same yet. It is no part of what is wrong, so it does not tell damages apart."""

    @property
    def proven(self) -> bool:
        """Whether the file itself is wrong: two looks had its bytes, or that it is absent."""
        return not self.withheld and not self.seen_once


@frozen(kw_only=True)
class ImageContent:
    """The content of one image record.

    ``half_made``: the record does not name ``manifest`` yet. ``unreadable_evidence``: the record may be
    a manifest list and its manifest could not be had.
    """

    manifest: ManifestFacts | None = None
    config: ConfigFacts | None = None
    damage: tuple[ContentDamage, ...] = ()
    half_made: bool = False
    unreadable_evidence: bool = False

    @property
    def settled(self) -> bool:
        """Whether a later look can find nothing else as long as the files stay."""
        return all(damage.proven for damage in self.damage)

    def confirmed(self) -> ImageContent:
        """The same, its damage seen twice."""
        return evolve(self, damage=tuple([evolve(damage, seen_once=False) for damage in self.damage]))

    @property
    def kin_in_doubt(self) -> bool:
        """Whether the configuration that would tell of what this image was built cannot be had, or is another one.

        Podman takes no configuration whose bytes do not have the digest the manifest names. A list has none.
        """
        if self.half_made or (self.manifest is not None and self.manifest.is_list):
            return False
        return self.config is None or any(damage.name.startswith("config_") for damage in self.damage)
