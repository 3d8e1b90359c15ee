"""Manifest lists of the store: ``manifests/NAME/exists`` and ``json``.

A name that is not a list of the store is left to podman, which asks a registry. For an empty list podman answers
``null`` where its own clients expect ``[]``; here it is ``[]``.

Source: podman ``pkg/api/handlers/libpod/manifests.go``, ``pkg/domain/entities/types`` (``ManifestListInspect``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from storaged.gateway.answers import Answer, Streamed, empty_answer, json_answer
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError, innermost
from storaged.gateway.request import Request
from storaged_client.contract.errors import AmbiguousName, InvalidName, ManifestListUnknown, NotAManifestList

_ENTRY: Final = ("mediaType", "size", "digest", "urls")
_PLATFORM: Final = ("architecture", "os", "os.version", "os.features", "variant", "features")
_AFTER: Final = ("annotations", "artifactType", "data")
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"


async def exists(context: Context, request: Request) -> Answer:
    """``manifests/NAME/exists``."""
    try:
        result = await context.store.call(request, "manifests.exists", {"name": request.name})
    except NotAManifestList:
        cause = "image is not a manifest list"
        raise ApiError(500, f"{request.name.removeprefix('sha256:')}: {cause}", cause) from None
    except InvalidName as error:
        raise ApiError(500, error.message, innermost(error.message)) from None
    except AmbiguousName as error:
        raise ApiError(404, f"manifest not found: {error.message}", "manifest not found") from None
    if not result["exists"]:
        raise ApiError(404, "manifest not found")
    return empty_answer()


async def inspect(context: Context, request: Request) -> Answer | Streamed | None:
    """``manifests/NAME/json``."""
    try:
        result = await context.store.call(request, "manifests.get", {"name": request.name})
    except (ManifestListUnknown, NotAManifestList) as error:
        if await context.upstream.may_pass(request):
            return await context.pass_on(request)
        raise ApiError(404, f'reading image "docker://{request.name}": {error.message}', error.message) from None
    except InvalidName as error:
        raise ApiError(404, error.message) from None
    return json_answer(list_data(result["raw"]))


def list_data(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A list or an index in podman's form: members in podman's order, empty ones left out."""
    made: dict[str, Any] = {"schemaVersion": raw.get("schemaVersion", 2)}
    made["mediaType"] = _INDEX if _prefers_oci(raw) else _DOCKER_LIST
    if raw.get("artifactType"):
        made["artifactType"] = raw["artifactType"]
    made["manifests"] = [_entry(entry) for entry in raw.get("manifests") or ()]
    for name in ("subject", "annotations"):
        if raw.get(name):
            made[name] = raw[name]
    return made


def _prefers_oci(raw: Mapping[str, Any]) -> bool:
    """Whether podman would write it as an index: what only an index can hold decides, then what only Docker's list can.

    Otherwise it is an index if it has entries. (common ``pkg/manifests``.)
    """
    entries = raw.get("manifests") or ()
    if any(raw.get(name) for name in ("artifactType", "subject", "annotations")):
        return True
    if any(entry.get(name) for entry in entries for name in ("artifactType", "annotations", "data")):
        return True
    return bool(entries) and not any((entry.get("platform") or {}).get("features") for entry in entries)


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: entry[name] for name in _ENTRY if name in entry and (entry[name] or name != "urls")}
    platform = entry.get("platform")
    given: Mapping[str, Any] = platform if isinstance(platform, Mapping) else {}
    made["platform"] = {
        name: given.get(name, "") for name in _PLATFORM if name in ("architecture", "os") or given.get(name)
    }
    made.update((name, entry[name]) for name in _AFTER if entry.get(name))
    return made
