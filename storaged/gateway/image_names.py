"""Which image a name means in each tree, and the error for a name that means none.

In Docker's tree an unknown name means what Docker would read it as: ``foo`` is Hub's ``library/foo``. The name of a
manifest list means its instance for this platform. The id of a list means the list itself if no instance is here: a
client that lists images and then inspects each must not fail.

Source: podman ``pkg/api/handlers/utils/images.go`` (``NormalizeToDockerHub``), and the wire.
"""

from __future__ import annotations

from typing import NoReturn

from storaged.engine.views import View
from storaged.gateway.errors import ApiError, innermost
from storaged.gateway.request import Request
from storaged.operations import resolving
from storaged.operations.name_lookup import Found
from storaged.store.layout import references
from storaged_client.contract.errors import AmbiguousName, ImageUnknown, InvalidName

_IDS = frozenset({"id", "id_prefix"})
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def find(view: View, request: Request, *, listed: bool = False) -> Found:
    """The image that the name in a request means.

    ``listed``: an id may mean a manifest list without an instance here.

    Raises:
        ApiError: nothing has the name (404), or it is not a name.
    """
    name = request.name
    context = view.context.query_context
    try:
        return resolving.find(view.snapshot, name, manifest=False, or_list=False, view=context)
    except ImageUnknown as error:
        lists = error.data.get("lists")
        if lists and listed:
            found = resolving.find(view.snapshot, name, manifest=False, or_list=True, view=context)
            if found.how in _IDS:
                return found
        _missing(view, request, lists)
    except InvalidName as error:
        _invalid(request, error.message)
    except AmbiguousName as error:
        # docker-py treats a 404 as a missing image only if the message has the last words.
        more = "image not known" if request.libpod else "No such image"
        raise ApiError(404, f"failed to find image {name}: {error.message}: {more}", error.message) from None


def hub_name(name: str) -> str:
    """The full name that Docker reads a name as.

    Raises:
        ApiError: it is not a reference; 500, as in podman.
    """
    try:
        return references.parse_docker(name).text
    except InvalidName as error:
        cause = f'normalizing name "{name}" (orig: "{name}") for compat API: {innermost(error.message)}'
        raise ApiError(500, f"normalizing image: {cause}", cause) from None


def unknown(name: str, why: str) -> ApiError:
    """A 404 in the words of podman's tree; ``why`` says what was looked for."""
    return ApiError(404, f"failed to find image {name}: {why}: image not known", "image not known")


def _missing(view: View, request: Request, lists: list[str] | None) -> NoReturn:
    name = request.name
    why = _no_instance(view, lists[0]) if lists else name
    if request.libpod:
        raise unknown(name, why)
    if not lists:
        why = hub_name(name)
    if request.path.endswith("/json"):
        said = why.replace("image not known", "No such image")
        raise ApiError(404, f"failed to find image {name}: {said}: No such image")
    raise unknown(name if lists else why, why)


def _no_instance(view: View, list_id: str) -> str:
    image = next((image for image in view.snapshot.lists if image.id == list_id), None)
    digest = resolving.choose_instance(image, view.context.query_context) if image is not None else None
    if digest is not None:
        return (
            f"could not find image instance {digest} of manifest list {list_id} in local containers storage: "
            "image not known"
        )
    manifest = image.content.manifest if image is not None else None
    kind = "manifest list" if manifest is not None and manifest.media_type == _DOCKER_LIST else "image index"
    platform = view.context.query_context.platform
    return (
        f'no image found in {kind} for architecture "{platform.architecture}", variant "{platform.variant}", '
        f'OS "{platform.os}"'
    )


def _invalid(request: Request, message: str) -> NoReturn:
    if request.libpod:
        doing = "failed to generate image tree for" if request.path.endswith("/tree") else "failed to find image"
        status = 404 if request.path.endswith("/json") else 500
        raise ApiError(status, f"{doing} {request.name}: {message}", innermost(message))
    raise not_normal(message)


def not_normal(message: str) -> ApiError:
    """Docker's error for a text that cannot be a name."""
    cause = f"normalizing name for compat API: {message}"
    return ApiError(500, f"normalizing image: {cause}", cause)
