"""The parsed big data of one image, parsed once per content. Values only; see ``content.py``.

``ImageContent`` comes from reading a record's ``manifest`` and configuration and checking both against the size and
digest in the record.
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
    """The parsed ``manifest``.

    ``is_list`` follows the media type (Docker manifest list, OCI index) or, without one, the presence of ``manifests``.
    ``raw`` keeps the bytes of lists only.
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
    """The parts of a configuration that a listing needs.

    Two images are parent and child if the child's ``history_before_last`` equals the parent's ``history_key`` and the
    parent's ``diff_ids`` are a prefix of the child's. The keys are digests of the history's ``created`` (as an
    instant), ``created_by``, ``author``, ``comment``, ``empty_layer``. ``history_before_last`` is None if the history
    is empty.
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
    """Why a content is missing: ``name`` is stable, ``file`` the path, ``seen`` its identity at that time."""

    name: str
    detail: str
    file: str
    seen: tuple[int, ...] | None
    """(dev, inode, size, mtime_ns, ctime_ns) of the file when it was checked; None if it was absent, empty if that is
    unknown."""
    withheld: bool = False
    """The file system did not deliver the bytes, or not to us: they may be intact."""
    seen_once: bool = field(default=False, eq=False)
    """No second look has confirmed it yet. This is not part of the damage, so it is not compared."""

    @property
    def proven(self) -> bool:
        """Whether the file itself is wrong: two looks read its bytes, or found it absent."""
        return not self.withheld and not self.seen_once


@frozen(kw_only=True)
class ImageContent:
    """The content of one image record.

    ``half_made``: the record does not name ``manifest`` yet. ``unreadable_evidence``: the record may be a manifest
    list, and its manifest could not be read.
    """

    manifest: ManifestFacts | None = None
    config: ConfigFacts | None = None
    damage: tuple[ContentDamage, ...] = ()
    half_made: bool = False
    unreadable_evidence: bool = False

    @property
    def settled(self) -> bool:
        """Whether a later look must give the same result as long as the files stay the same."""
        return all(damage.proven for damage in self.damage)

    def confirmed(self) -> ImageContent:
        """The same content, with its damage confirmed by a second look."""
        return evolve(self, damage=tuple([evolve(damage, seen_once=False) for damage in self.damage]))

    @property
    def kin_in_doubt(self) -> bool:
        """Whether the configuration that shows what this image was built from is missing or has another digest.

        Podman uses no configuration whose bytes do not match the digest in the manifest. A list has none.
        """
        if self.half_made or (self.manifest is not None and self.manifest.is_list):
            return False
        return self.config is None or any(damage.name.startswith("config_") for damage in self.damage)
