"""What can go wrong below the service, named by what the caller can do about it.

Each leaf bears the name of the contract's error it becomes (``service/errors.py`` holds the one map);
its fields are the evidence, its text is made at the edge.
"""

from __future__ import annotations

from typing import Any


class StoreError(Exception):
    """The base of all errors of the store and of the questions asked of it."""

    def __init__(self, text: str, **evidence: Any) -> None:
        super().__init__(text)
        self.text = text
        self.evidence = evidence


class ImageUnknown(StoreError):
    """No image bears this name, id or digest."""


class AmbiguousName(StoreError):
    """A prefix fits several images: ``candidates`` lists their ids."""


class InvalidName(StoreError):
    """The text is no image reference."""


class LayerUnknown(StoreError):
    """No layer has this id."""


class ManifestListUnknown(StoreError):
    """No manifest list bears this name."""


class NotAManifestList(StoreError):
    """The name means an ordinary image."""


class InstanceUnknown(StoreError):
    """The manifest list has no such entry."""


class NameInUse(StoreError):
    """The name belongs to another image, ``image``, and is not moved."""


class DataUnknown(StoreError):
    """The image has no big data under this key."""


class TooLarge(StoreError):
    """The item is larger than may be sent: ``size`` and ``limit`` in bytes."""


class ImageDamaged(StoreError):
    """The bytes of an image are not those its record names."""


class InvalidParams(StoreError):
    """A parameter is wrong: ``path`` says which."""


class GenerationGone(StoreError):
    """A cursor's generation is no longer kept."""


class TagUnknown(StoreError):
    """The image does not bear this name."""


class MultipleNames(StoreError):
    """The image bears several names, and was not addressed by one of them: ``names``."""


class ReadOnlyImage(StoreError):
    """The image lies in an additional image store, which is only read."""


class PlanStale(StoreError):
    """The plan of a dry run is not kept any more, or never was."""


class ImageInUse(StoreError):
    """A container or a mount needs what was to go: the text names it and says what ends that."""


class Leased(StoreError):
    """A lease holds an image: ``images`` and ``leases``."""


class LeaseUnknown(StoreError):
    """The connection has no lease of this name: ``lease``."""


class TooManyRequests(StoreError):
    """A user holds as much as one may: ``what`` and ``limit``."""


class StoreBusy(StoreError):
    """A writer held a lock past the time allowed: ``lock`` and ``holder``."""


class StoreCorrupt(StoreError):
    """A table cannot be read: ``file`` and what is wrong with it."""


class StoreUnsupported(StoreError):
    """The store has a shape that storaged does not serve."""


class StoreReadOnly(StoreError):
    """Nothing can be written to this store: ``file`` is what cannot be."""


class NoSpace(StoreError):
    """The file system is full, or a quota is: ``file`` is what could not be written."""


class DiskFailure(StoreError):
    """The file system failed while the store was written: ``file`` and ``detail``."""


class ConfigError(StoreError):
    """storage.conf or storaged.toml is wrong: ``file`` and where."""


class GuardTaken(StoreError):
    """Another daemon serves this graphroot: ``pid``."""


class LockOrderViolation(RuntimeError):
    """A lock was asked for while one that comes after it was held: a mistake of ours, never waited out."""
