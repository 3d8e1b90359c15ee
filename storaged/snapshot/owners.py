"""Which tool a storage container belongs to: a guess from what the tools leave in the record.

::

    cri-o     metadata is JSON with ``pod-name`` and ``pod-id``      (CRI-O ``internal/storage/runtime.go``)
    podman    metadata is JSON with ``image-name`` and ``name``      (podman ``libpod/storage.go``)
    buildah   no metadata, flagged ``Volatile``                      (buildah ``new.go``)
    unknown   all others, such as those of ``containers-storage create-container``
"""

from __future__ import annotations

import msgspec

from storaged.store.layout.decoding import bounded
from storaged.store.layout.records import ContainerRecord


class _Metadata(msgspec.Struct, rename="kebab", gc=False):
    name: object = None
    image_name: object = None
    pod_name: object = None
    pod_id: object = None


_decode = bounded(msgspec.json.Decoder(_Metadata).decode)


def guess_owner(record: ContainerRecord, *, volatile: bool) -> str:
    """Guess the tool; ``volatile``: the record is in the volatile table.

    Returns:
        ``podman``, ``buildah``, ``cri-o`` or ``unknown``.
    """
    if record.metadata:
        try:
            metadata = _decode(record.metadata.encode())
        except ValueError:
            return "unknown"
        if metadata.pod_id is not None and metadata.pod_name is not None:
            return "cri-o"
        if metadata.image_name is not None and metadata.name is not None:
            return "podman"
        return "unknown"
    flagged = record.flags is not None and record.flags.get("Volatile") is True
    named = any(name.endswith("-working-container") for name in record.names or ())
    return "buildah" if volatile or flagged or named else "unknown"
