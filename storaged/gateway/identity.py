"""The versions that the gateway reports and that clients negotiate by.

With podman behind the gateway they are podman's own, so that what is passed on speaks the version that was reported.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from storaged_client.podman import PODMAN

DOCKER_API: Final = "1.44"
DOCKER_API_MINIMUM: Final = "1.24"
PODMAN_MINIMUM: Final = "4.0.0"
BUILDAH: Final = "1.43.2"


@frozen(kw_only=True)
class Identity:
    """The versions reported. ``api`` is that of Docker's tree. podman's clients refuse a podman below 4.0.0."""

    podman: str = PODMAN
    api: str = DOCKER_API
    buildah: str = BUILDAH
