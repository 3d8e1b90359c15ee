"""Reads the big data of images, manifests and configurations, after the tables, and checks it against the record.

A record names the size and digest of each item. If the bytes differ, they are used as podman would use them, and the
damage is flagged. For a record that may be a manifest list they are *unreadable evidence*, because nobody knows any
more what the list protected::

    names no manifest .......................... incomplete: not there yet, protects nothing
    names instances.json, or has neither a layer
    nor a configuration of its own id .......... may be a list: a missing, undecodable or different manifest
                                                 is unreadable evidence
    else ....................................... an image: the same is damage of this image only

Damage may be the result of a race with a writer, because data files are replaced before the record. The caller takes
the stamp again; if it changed, the caller reloads, otherwise it looks a second time. A file that could not be read
because descriptors or memory ran out proves nothing, so no content is made from it. No file outside the image's own
folder is ever opened: a symbolic link there is damage, and so is anything that is not a regular file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from storaged.metrics import Metrics
from storaged.store.files import DISK_FAILED, EXHAUSTED, Files, FileTooLarge, identity, read_whole
from storaged.store.inventory import writable_image_roots
from storaged.store.layout.contents import ConfigFacts, ContentDamage, ImageContent, ManifestFacts
from storaged.store.layout.digest_forms import verify
from storaged.store.layout.manifests import Undecodable, is_signed_schema1, parse_config, parse_manifest
from storaged.store.layout.paths import big_data_file, image_dir
from storaged.store.layout.records import ImageRecord
from storaged.store.tables import ImageRow, StoreLocation
from storaged_client.contract.errors import DataUnknown, ImageDamaged, StoreBusy, TooLarge

ITEM_LIMIT = 32 << 20
"""The maximum size of a manifest or configuration in bytes; a longer one is damage. Registries refuse manifests over 4
MiB."""

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_HEX = frozenset("0123456789abcdef")
_SHOWN = 200
"""The maximum number of characters of the request that an error repeats."""
T = TypeVar("T", ManifestFacts, ConfigFacts)


class ContentReader:
    """Reads big data of one store's images. Stateless except for its counters; safe from any thread."""

    def __init__(self, location: StoreLocation, metrics: Metrics, files: Files | None = None) -> None:
        self._location = location
        self._metrics = metrics
        self._files = files or Files()

    def read(self, row: ImageRow, *, disk_failed: bool = False) -> ImageContent:
        """Read the content of one record. ``damage`` lists what is wrong with its files; each damage was seen once.

        With ``disk_failed``, a failure of the disk counts as damage, too: the disk failed before, and one image must
        not keep all others from being read.

        Raises:
            OSError: the daemon lacks descriptors or memory, or the disk failed; ``filename`` says where.
        """
        record, store = row.record, row.store
        names = record.big_data_names or ()
        if "manifest" not in names:
            return ImageContent(half_made=True)
        damage: list[ContentDamage] = []
        self._metrics.add("manifests.read")
        manifest = self._item(record, store, "manifest", parse_manifest, damage, disk_failed)
        unreadable = bool(damage) and may_be_list(record)
        if unreadable and manifest is not None and not manifest.is_list:
            # Bytes with another digest that are not a list prove nothing about what the list named.
            manifest = None
        if manifest is not None and manifest.is_list:
            return ImageContent(manifest=manifest, damage=tuple(damage), unreadable_evidence=unreadable)
        config: ConfigFacts | None = None
        key = config_key(record, manifest)
        if key is not None:
            self._metrics.add("configs.read")
            config = self._item(record, store, key, parse_config, damage, disk_failed)
        elif not unreadable and (manifest is None or manifest.config_digest is not None):
            # Schema 1 has no separate configuration.
            damage.append(self._damage("config_missing", "the record names no configuration", record, store, None))
        return ImageContent(manifest=manifest, config=config, damage=tuple(damage), unreadable_evidence=unreadable)

    def blob(self, record: ImageRecord, store: int, key: str, limit: int) -> bytes:
        """Return the bytes of one item of big data, checked against the record. ``limit`` is in bytes. Blocking.

        Raises:
            DataUnknown: the record does not name this key.
            TooLarge: it is longer than ``limit``.
            ImageDamaged: the file is missing, is not a file, or differs from the record.
            StoreBusy: the daemon lacks descriptors or memory, or the disk failed.
        """
        if key not in (record.big_data_names or ()):
            asked = key[:_SHOWN]
            raise DataUnknown(f"image {record.id[:12]} has no data under {asked!r}", id=record.id, key=asked)
        told = (record.big_data_sizes or {}).get(key, 0)
        if told > limit:
            raise TooLarge(f"{key!r} has {told} bytes, more than {limit}", size=told, limit=limit, key=key)
        path = self._path(record, store, key)
        try:
            data, _ = self._read(record, store, key, limit)
        except FileTooLarge:
            raise TooLarge(f"{key!r} is longer than {limit} bytes", size=None, limit=limit, key=key) from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (EXHAUSTED | DISK_FAILED):
                raise StoreBusy(
                    f"{path}: {_why(error)}: this says nothing about the image; try again", file=path
                ) from None
            raise ImageDamaged(f"{path}: {_why(error)}", id=record.id, key=key, file=path) from None
        wrong = _mismatch(record, key, data)
        if wrong is not None:
            raise ImageDamaged(f"{path}: {wrong}", id=record.id, key=key, file=path)
        return data

    def repaired(self, damage: ContentDamage) -> bool:
        """Whether the damaged file was replaced since the damage was found. One system call."""
        try:
            return identity(self._files.stat(damage.file, follow_symlinks=False)) != damage.seen
        except (FileNotFoundError, NotADirectoryError):
            return damage.seen is not None
        except OSError:
            return False

    # -------------------------------------------------------------- within

    def _item(
        self,
        record: ImageRecord,
        store: int,
        key: str,
        parse: Callable[[bytes], T],
        damage: list[ContentDamage],
        disk_failed: bool,
    ) -> T | None:
        """Read, check and parse an item. Appends problems to ``damage``; bytes with another digest are still parsed.

        Raises:
            OSError: as ``read``.
        """
        kind = "manifest" if key == "manifest" else "config"
        seen = None
        try:
            data, seen = self._read(record, store, key, ITEM_LIMIT)
            wrong = _mismatch(record, key, data)
            if wrong is not None:
                damage.append(self._damage(f"{kind}_mismatch", wrong, record, store, key, seen))
            return parse(data)
        except FileNotFoundError:
            damage.append(self._damage(f"{kind}_missing", "the file is missing", record, store, key))
        except Undecodable as error:
            damage.append(self._damage(f"{kind}_undecodable", str(error), record, store, key, seen))
        except (OSError, ValueError) as error:
            number = error.errno if isinstance(error, OSError) else None
            if number in EXHAUSTED or (number in DISK_FAILED and not disk_failed):
                raise OSError(number, _why(error), self._path(record, store, key)) from None
            withheld = number in DISK_FAILED or number in _FORBIDDEN
            damage.append(self._damage(f"{kind}_unreadable", _why(error), record, store, key, withheld=withheld))
        return None

    def _read(self, record: ImageRecord, store: int, key: str, limit: int) -> tuple[bytes, tuple[int, ...]]:
        if len(record.id) != 64 or not _HEX.issuperset(record.id):
            raise ValueError("the id is not 64 hexadecimal digits")
        name = big_data_file(key)
        last: OSError | None = None
        for root in self._roots(store):
            try:
                folder = self._files.open(
                    image_dir(root, self._location.driver, record.id), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
                )
            except FileNotFoundError as error:
                last = error
                continue
            try:
                return read_whole(self._files, name, limit, dir_fd=folder, follow=False)
            finally:
                self._files.close(folder)
                self._metrics.add("files.opened")
        assert last is not None
        raise last

    def _roots(self, store: int) -> tuple[str, ...]:
        if store == 0:
            return writable_image_roots(self._location)
        return (self._location.additional[store - 1],)

    def _path(self, record: ImageRecord, store: int, key: str | None) -> str:
        """The path of an item for reports: in the first root that has the image's folder."""
        roots = self._roots(store)
        folders = [image_dir(root, self._location.driver, record.id) for root in roots]
        folder = next((path for path in folders if self._exists(path)), folders[0])
        if key is None:
            return folder
        try:
            return os.path.join(folder, big_data_file(key))
        except ValueError:
            return folder

    def _exists(self, path: str) -> bool:
        try:
            self._files.stat(path, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _damage(
        self,
        name: str,
        detail: str,
        record: ImageRecord,
        store: int,
        key: str | None,
        seen: tuple[int, ...] | None = None,
        *,
        withheld: bool = False,
    ) -> ContentDamage:
        path = self._path(record, store, key)
        if seen is None:
            try:
                seen = identity(self._files.stat(path, follow_symlinks=False))
            except (FileNotFoundError, NotADirectoryError):
                seen = None
            except OSError:
                seen = ()
        return ContentDamage(name=name, detail=detail, file=path, seen=seen, withheld=withheld, seen_once=True)


def may_be_list(record: ImageRecord) -> bool:
    """Whether a record that names ``manifest`` may be a manifest list; if it is unreadable, it is then evidence."""
    names = record.big_data_names or ()
    if "manifest" not in names:
        return False
    return "instances.json" in names or (not record.layer and f"sha256:{record.id}" not in names)


def config_key(record: ImageRecord, manifest: ManifestFacts | None) -> str | None:
    """The key of an image's own configuration; None if the record names none.

    It is the digest that the manifest names. Images identified by a table of contents have another id, so
    ``sha256:<id>`` counts only if the manifest does not name one.
    """
    names = record.big_data_names or ()
    if manifest is not None and manifest.config_digest in names:
        return manifest.config_digest
    own = f"sha256:{record.id}"
    return own if own in names else None


def _mismatch(record: ImageRecord, key: str, data: bytes) -> str | None:
    """How the bytes differ from what the record says about them; None if they do not."""
    size = (record.big_data_sizes or {}).get(key)
    if size is not None and size != len(data):
        return f"{len(data)} bytes, but the record says {size}"
    digest = (record.big_data_digests or {}).get(key) or (key if ":" in key else None)
    if digest is None:
        return None
    # The digest of a signed schema 1 manifest does not cover its signatures.
    if verify(digest, data) != "other" or (key.startswith("manifest") and is_signed_schema1(data)):
        return None
    return f"the bytes do not have the digest {digest[:160]}"


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
