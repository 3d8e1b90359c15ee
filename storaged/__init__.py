"""storaged: the resident image-store service for podman, buildah, skopeo and CRI-O."""

from storaged_client.contract.version import VERSION as __version__

__all__ = ["__version__"]
