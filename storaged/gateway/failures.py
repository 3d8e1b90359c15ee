"""Errors of the service in the form of podman's API: status, chain of causes, innermost text.

Source: podman ``pkg/api/handlers/utils/errors.go``, and the wire.
"""

from __future__ import annotations

from typing import Final

from storaged.gateway.errors import ApiError
from storaged.gateway.request import Request
from storaged_client.contract.errors import StoragedError

_STATUS: Final = {
    "ImageUnknown": 404,
    "ManifestListUnknown": 404,
    "LayerUnknown": 404,
    "ContainerUnknown": 404,
    "InstanceUnknown": 404,
    "ImageInUse": 409,
    "Leased": 409,
    "NotPermitted": 403,
    "TooManyRequests": 429,
    "ShuttingDown": 503,
    "StoreBusy": 503,
    "RequestCancelled": 503,
    "NotSupported": 501,
}
"""All others are 500, like errors of storage in podman."""

CAUSES: Final = {
    "ImageUnknown": "image not known",
    "ManifestListUnknown": "image not known",
    "NotAManifestList": "image is not a manifest list",
    "ImageInUse": "image is in use by a container",
    "TagUnknown": "tag not known",
    "NameInUse": "that name is already in use",
}


def api_error(error: StoragedError, request: Request) -> ApiError:
    """The answer to an error of the service for which the handler has no text of its own."""
    message = error.message or error.name
    return ApiError(_STATUS.get(error.name, 500), message, CAUSES.get(error.name))
