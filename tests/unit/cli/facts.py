"""Values of the wire for the commands' tests, made of the members a test cares about."""

from __future__ import annotations

from typing import Any

from storaged_client.contract.version import VERSION

APP = "f9d7ceee89b7b508e403226dfc00cea4048896b5ffecb02be3778ab428ce3918"
BASE = "2be687b74c0779345885153ec5a7f43f0be5afae486e4c3a7a93899bec9ab21e"
LIST = "b61e32bdc3070386e6ddd5ff340f601fe0ca84d1f4898bfb657098344c4cfa45"
NOW = 1795508090
"""2026-11-24T08:14:50Z, when podman printed what these tests compare with."""


def image(**members: Any) -> Any:
    """An ``ImageSummary`` of an ordinary image."""
    return {
        "id": APP,
        "digest": "sha256:288afb3b75571383c69b89b0f9381db945429cb69466c0fb64a919385b5382c0",
        "digests": ["sha256:288afb3b75571383c69b89b0f9381db945429cb69466c0fb64a919385b5382c0"],
        "names": [],
        "names_history": [],
        "created": "2026-11-24T08:02:28.078025249Z",
        "size": 1241247,
        "unique_size": None,
        "labels": None,
        "architecture": "amd64",
        "os": "linux",
        "variant": None,
        "parent": None,
        "children": 0,
        "containers": 0,
        "read_only": False,
        "manifest_list": False,
        "dangling": False,
        "intermediate": False,
        "in_lists": [],
        "damage": None,
        **members,
    }


def details(summary: Any, **members: Any) -> Any:
    """An ``ImageDetails``."""
    return {
        "summary": summary,
        "top_layer": None,
        "layers": [],
        "diff_ids": [],
        "created": summary["created"],
        "rootfs_type": "layers",
        "absent": [],
        "config": None,
        "healthcheck": None,
        "history": [],
        "author": None,
        "comment": None,
        "docker_version": None,
        "config_media_type": None,
        "manifest_type": "application/vnd.oci.image.manifest.v1+json",
        "annotations": {},
        "big_data": [],
        "driver": "vfs",
        "driver_data": {},
        **members,
    }


def info(**members: Any) -> Any:
    """A ``ServerInfo`` of a store with nothing wrong."""
    return {
        "version": VERSION,
        "protocol": "1.0",
        "pid": 123,
        "backend": "trio",
        "socket": "/run/storaged/storaged.sock",
        "api_sockets": [],
        "podman_socket": None,
        "graphroot": "/nowhere/storage",
        "runroot": "/run/containers/storage",
        "driver": "overlay",
        "additional_stores": [],
        "limits": {},
        "config_fingerprint": "f",
        "config_file": "/etc/containers/storage.conf",
        "started": "2026-11-24T08:02:39Z",
        "writable": True,
        "writable_reason": None,
        "read_only": False,
        "compat": "none",
        "settings_file": None,
        "started_by": "other",
        "freshness": "locks",
        "images": 12,
        "manifest_lists": 2,
        "layers": 3,
        "containers": 1,
        "half_made": [],
        "unreadable_evidence": [],
        "flaws": [],
        "generation": "g",
        "stale": None,
        **members,
    }


def report(**members: Any) -> Any:
    """A ``PruneReport`` that tells of nothing."""
    lists = {name: [] for name in ("removed", "untagged", "kept", "failed", "changed")}
    return {"generation": "g", "stale": None, **lists, "freed": 0, "plan": None, **members}


def unremoved(error: str, code: int, message: str) -> Any:
    """A member of ``failed``."""
    return {"id": None, "name": "x", "error": {"code": code, "message": message, "data": {"name": error}}}
