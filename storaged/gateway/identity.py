"""As what the gateway presents itself: the releases that clients negotiate by.

Where podman stands behind it, these are its own, so that what is passed on speaks the version that was told.
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
    """``api`` is that of Docker's tree. podman's clients refuse a podman below 4.0.0."""

    podman: str = PODMAN
    api: str = DOCKER_API
    buildah: str = BUILDAH
