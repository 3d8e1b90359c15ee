"""Compares one image record with its folder of big data.

::

    the record names          drv-images/<id>/ must hold
    big-data-names   K ...... the file of K, a regular one
    big-data-sizes   K: n ... with n bytes
    big-data-digests K: d ... with this digest        (the manifest always, the others in scope ``contents``)
    nothing else ............ nothing else

For a record that may be a manifest list, the question is whether its manifest can still be trusted (see
``store.content``). A list must have a readable ``instances.json``, and may have an ``artifacts.json``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding, finding
from storaged.store.checking.look import TEMPORARY_SECONDS, Look
from storaged.store.checking.state import layer_roots
from storaged.store.content import ITEM_LIMIT, config_key, may_be_list
from storaged.store.files import FileTooLarge, NotAFile, open_regular, read_whole
from storaged.store.layout.contents import ManifestFacts
from storaged.store.layout.decoding import bounded
from storaged.store.layout.digest_forms import hasher_of, is_digest, verify
from storaged.store.layout.manifests import Undecodable, is_signed_schema1, parse_config, parse_manifest
from storaged.store.layout.paths import big_data_file, image_dir
from storaged.store.tables import ImageRow

_PIECE: Final = 1 << 20
_LIST_ONLY: Final = frozenset({"instances_missing", "instances_undecodable", "artifacts_undecodable"})
_strings = bounded(msgspec.json.Decoder(dict[str, str | None] | None).decode)
_object = bounded(msgspec.json.Decoder(dict[str, Any] | None).decode)


class _Bad(Exception):
    """What is wrong with an item: the name of the finding and its text."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail


def check_image_data(look: Look, row: ImageRow) -> Iterator[Finding | None]:
    """Compare a record with its folder; yields None now and then during long reads.

    Raises:
        OSError: an existing file cannot be read.
    """
    record = row.record
    image = _Image(look, row)
    keys = tuple(dict.fromkeys(record.big_data_names or ()))
    if look.kind_of(image.folder) != "directory":
        if keys and may_be_list(record):
            yield image.found("evidence_unreadable", "its folder is missing, and so is what the list named", None)
        elif keys:
            yield image.found("image_directory_missing", "its folder is missing", None)
        return
    manifest: ManifestFacts | None = None
    if "manifest" in keys:
        manifest, wrong = image.manifest()
        if wrong is not None:
            yield wrong
        trusted = wrong is None
        special = image.special(keys, manifest, trusted=trusted)
    else:
        special = {}
    for key in keys:
        if key in special:
            yield from image.decoded(key, *special[key])
        elif key != "manifest":
            yield from image.item(key)
    if manifest is not None and manifest.is_list:
        if "instances.json" not in keys:
            yield image.found("instances_missing", "the record is a list and names no instances.json", None)
    elif "manifest" in keys and trusted and not special and (manifest is None or manifest.config_digest is not None):
        # Schema 1 has no separate configuration.
        yield image.found("config_unnamed", "the record names no configuration", None)
    yield from image.extra(keys)


class _Image:
    """One image and the location of its files."""

    def __init__(self, look: Look, row: ImageRow) -> None:
        self._look = look
        self._row = row
        self._record = row.record
        folders = [
            image_dir(root, look.location.driver, row.record.id) for root in layer_roots(look.location, row.store)
        ]
        self.folder = next((folder for folder in folders if look.kind_of(folder) is not None), folders[0])

    def path(self, key: str) -> str:
        try:
            return os.path.join(self.folder, big_data_file(key))
        except (ValueError, UnicodeError):
            raise _Bad("big_data_missing", "no file can have this name") from None

    def found(self, name: str, detail: str, key: str | None, mend: str | None = None) -> Finding:
        try:
            file = self.folder if key is None else self.path(key)
        except _Bad:
            file = self.folder
        if mend is None and name in _LIST_ONLY:
            mend = repair_hints.make_list_anew((*(self._record.names or ()), "NAME")[0])
        elif mend is None and self._row.store == 0:
            mend = repair_hints.pull(self._record)
        id = self._record.id
        return finding(name, "image", id, detail, store=self._row.store, file=file, images=(id,), mend=mend)

    # -------------------------------------------------------------- items

    def manifest(self) -> tuple[ManifestFacts | None, Finding | None]:
        """The readable content of the manifest, and what is wrong with it."""
        facts: ManifestFacts | None = None
        try:
            data = self._small("manifest")
            try:
                facts = parse_manifest(data)
            except Undecodable as error:
                raise _Bad("manifest_undecodable", str(error)) from None
            self._compare("manifest", data)
        except _Bad as error:
            name = "manifest_missing" if error.name == "big_data_missing" else error.name
            if may_be_list(self._record):
                name = "evidence_unreadable"
            return facts, self.found(name, f"'manifest': {error.detail}", "manifest", self._twin())
        return facts, None

    def special(
        self, keys: tuple[str, ...], manifest: ManifestFacts | None, *, trusted: bool
    ) -> dict[str, tuple[Callable[[bytes], object], str, str]]:
        """The keys that tools decode: how to decode each, and the names of possible findings."""
        if manifest is not None and manifest.is_list:
            both = {
                "instances.json": (_strings, "instances_missing", "instances_undecodable"),
                "artifacts.json": (_object, "big_data_missing", "artifacts_undecodable"),
            }
            return {key: names for key, names in both.items() if key in keys}
        key = config_key(self._record, manifest) if trusted or not may_be_list(self._record) else None
        return {} if key is None else {key: (parse_config, "config_missing", "config_undecodable")}

    def decoded(self, key: str, decode: Callable[[bytes], object], missing: str, undecodable: str) -> Iterator[Finding]:
        """An item that tools decode: if that fails, the whole listing fails."""
        try:
            data = self._small(key)
            try:
                decode(data)
            except (Undecodable, msgspec.MsgspecError) as error:
                raise _Bad(undecodable, str(error)) from None
            self._compare(key, data)
        except _Bad as error:
            name = missing if error.name == "big_data_missing" else error.name
            if decode is parse_config and name in ("big_data_size", "big_data_digest"):
                name = "config_mismatch"
            yield self.found(name, f"{key!r}: {error.detail}", key)

    def item(self, key: str) -> Iterator[Finding | None]:
        """An item that is only bytes; yields None now and then."""
        try:
            path = self.path(key)
            kind = self._look.kind_of(path)
            if kind is None:
                raise _Bad("big_data_missing", "the file is missing")
            if kind != "file":
                raise _Bad("big_data_unreadable", "there is no regular file")
            size = self._look.files.stat(path, follow_symlinks=False).st_size
            self._same_size(key, size)
            if self._look.scope == "contents":
                yield from self._digest(key, path, size)
        except _Bad as error:
            yield self.found(error.name, f"{key!r}: {error.detail}", key)

    def _digest(self, key: str, path: str, size: int) -> Iterator[None]:
        told = self._told(key)
        if told is None:
            return
        digest = hasher_of(told)
        if digest is None:
            return
        files = self._look.files
        fd = open_regular(files, path, follow=False)
        try:
            while part := files.read(fd, _PIECE):
                digest.update(part)
                if size > _PIECE:
                    yield None
        finally:
            files.close(fd)
        # The digest of a signed schema 1 manifest does not cover its signatures.
        if digest.hexdigest() != told.partition(":")[2] and not (
            key.startswith("manifest") and is_signed_schema1(self._small(key))
        ):
            raise _Bad("big_data_digest", f"the bytes do not have the digest {told}")

    def _compare(self, key: str, data: bytes) -> None:
        self._same_size(key, len(data))
        told = self._told(key)
        if told is None:
            return
        if verify(told, data) != "other":
            return
        if not (key.startswith("manifest") and is_signed_schema1(data)):
            raise _Bad("big_data_digest", f"the bytes do not have the digest {told}")

    def _same_size(self, key: str, size: int) -> None:
        told = (self._record.big_data_sizes or {}).get(key)
        if told is not None and told != size:
            raise _Bad("big_data_size", f"{size} bytes, but the record says {told}")

    def _told(self, key: str) -> str | None:
        """The digest that the record names; an invalid digest is a finding of the table."""
        told = (self._record.big_data_digests or {}).get(key)
        return told if told is not None and is_digest(told) else None

    def _small(self, key: str) -> bytes:
        path = self.path(key)
        try:
            return read_whole(self._look.files, path, ITEM_LIMIT, follow=False)[0]
        except FileNotFoundError:
            raise _Bad("big_data_missing", "the file is missing") from None
        except (NotAFile, FileTooLarge) as error:
            raise _Bad("big_data_unreadable", error.strerror or str(error)) from None
        except OSError:
            if self._look.kind_of(path) == "link":
                raise _Bad("big_data_unreadable", "there is a symbolic link") from None
            raise

    def _twin(self) -> str | None:
        """The second copy of an ordinary image's manifest: containers/storage also keeps it under
        ``manifest-<digest>``."""
        told = (self._record.big_data_digests or {}).get("manifest")
        for key in self._record.big_data_names or ():
            if told is not None and key != "manifest" and key.startswith("manifest") and self._told(key) == told:
                try:
                    self._compare("manifest", self._small(key))
                    return repair_hints.copy(self.path(key), self.path("manifest"))
                except _Bad:
                    continue
        return None

    def extra(self, keys: tuple[str, ...]) -> Iterator[Finding]:
        """Files in the folder that the record does not name."""
        named = set()
        for key in keys:
            try:
                named.add(os.path.basename(self.path(key)))
            except _Bad:
                continue
        for name in self._look.names(self.folder):
            path = os.path.join(self.folder, name)
            if name.startswith(".tmp-"):
                if (self._look.age(path) or 0.0) > TEMPORARY_SECONDS:
                    yield temporary(path, self._row.store)
            elif name not in named:
                detail = f"{name[:200]!r} is named by no record"
                yield finding(
                    "big_data_extra",
                    "file",
                    path,
                    detail,
                    store=self._row.store,
                    file=path,
                    mend=repair_hints.remove(path),
                )


def temporary(path: str, store: int) -> Finding:
    """A temporary file that its writer left behind."""
    detail = "a temporary file whose writer died"
    return finding("temporary_left", "file", path, detail, store=store, file=path, mend=repair_hints.remove(path))
