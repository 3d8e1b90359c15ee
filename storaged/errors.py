"""Errors that never reach a client; all others are the contract's own, ``storaged_client.contract.errors``."""

from __future__ import annotations

from storaged_client.contract.errors import InternalError


class ConfigError(InternalError):
    """storage.conf or storaged.toml is wrong: ``file`` and the place."""


class GuardTaken(InternalError):
    """Another daemon serves this graphroot: ``pid``."""


class LockOrderViolation(RuntimeError):
    """A lock was requested while a later one in the order was held: a bug, never waited out."""
