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


class StoreBusy(StoreError):
    """A writer held a lock past the time allowed: ``lock`` and ``holder``."""


class StoreCorrupt(StoreError):
    """A table cannot be read: ``file`` and what is wrong with it."""


class StoreUnsupported(StoreError):
    """The store has a shape that storaged does not serve."""


class ConfigError(StoreError):
    """storage.conf or storaged.toml is wrong: ``file`` and where."""


class GuardTaken(StoreError):
    """Another daemon serves this graphroot: ``pid``."""


class LockOrderViolation(RuntimeError):
    """A lock was asked for while one that comes after it was held: a mistake of ours, never waited out."""
