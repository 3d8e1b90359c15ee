"""Changes of manifest lists: create, edit, delete, and the paths that they had before podman 4.

::

    POST   manifests/NAME        201   the list with its first images, or nothing; a body edits it as PUT does
    PUT    manifests/NAME        200   operation: update (add), remove, annotate
                                 400   nothing was done     409   some of it: the body is that of a 200, with errors
    DELETE manifests/NAME        200   the list; its images stay
    before podman 4: POST manifests/create, POST manifests/NAME/add, DELETE manifests/NAME?digest=

Images are those of this store. An image elsewhere, or an artifact made of files, is left to podman if it can be asked.
The names of members in bodies may be in any case.

Source: podman ``pkg/api/handlers/libpod/manifests.go``, ``pkg/domain/entities/manifest.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from storaged.gateway import removal_report
from storaged.gateway.answers import Answer, Streamed, json_answer
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError, BadParameter, innermost
from storaged.gateway.query import decode_json
from storaged.gateway.request import Request
from storaged.store.layout import references
from storaged_client.contract.errors import (
    ImageUnknown,
    InvalidName,
    InvalidParams,
    ManifestListUnknown,
    NotAManifestList,
    StoragedError,
)

_SHORTEST: Final = 3
"""A shorter body counts as none."""
_PLATFORM: Final = {
    "arch": "architecture",
    "os": "os",
    "variant": "variant",
    "os_version": "os_version",
    "os_features": "os_features",
    "features": "features",
}
"""podman's members of a platform, and the contract's."""


async def create(context: Context, request: Request) -> Answer | Streamed | None:
    """``POST manifests/NAME``."""
    return await _create(context, request, request.name, 201)


async def create_by_query(context: Context, request: Request) -> Answer | Streamed | None:
    """``POST manifests/create?name=NAME``; from podman 4 on that path is the list named ``create``."""
    if not request.below(4, 0):
        request.names["name"] = "create"
        return await _create(context, request, "create", 201)
    return await _create(context, request, request.query.text("name"), 200)


async def edit(context: Context, request: Request) -> Answer | Streamed | None:
    """``PUT manifests/NAME``."""
    if (request.header(b"content-type") or b"").lower().startswith(b"multipart/"):
        return await context.pass_on(request)
    body = _members(await _body(request), "decoding modify request")
    return await _edited(context, request, body)


async def add(context: Context, request: Request) -> Answer | Streamed | None:
    """``POST manifests/NAME/add``; from podman 4 on that path is the list named ``NAME/add``."""
    if not request.below(4, 0):
        request.names["name"] += "/add"
        return await _create(context, request, request.name, 201)
    body = _members(await _body(request), "decoding AddV3 query")
    result = _Edit()
    try:
        await _add(context, request, body, result)
    except StoragedError as error:
        if isinstance(error, ImageUnknown) and not result.done and await context.upstream.may_pass(request):
            return await context.pass_on(request)
        raise _failure(error) from None
    return json_answer({"Id": result.id})


async def delete(context: Context, request: Request) -> Answer:
    """``DELETE manifests/NAME``: the list, or before podman 4 one entry of it."""
    name = request.name
    if request.below(4, 0):
        digest = request.query.text("digest")
        if not digest:
            raise BadParameter("invalid checksum digest format")
        instance = {"name": name, "digest": digest}
        try:
            result = await context.store.call(request, "manifests.remove_instance", instance)
        except StoragedError as error:
            raise _failure(error) from None
        return json_answer({"Id": result["id"]})
    params = {"names": [name], "ignore": request.query.flag("ignore")}
    return removal_report.answer(await context.store.call(request, "manifests.remove", params))


# -------------------------------------------------------------------- create


async def _create(context: Context, request: Request, name: str, status: int) -> Answer | Streamed | None:
    query = request.query
    try:
        references.normalise(name)
    except InvalidName as error:
        cause = f"invalid reference format: {innermost(error.message).removeprefix('invalid reference format: ')}"
        raise BadParameter(f"invalid image name {name[:200]}: {cause}", cause) from None
    annotations = _map(query.text("annotations"), "annotations") | _annotations(query.all("annotation"))
    params: dict[str, Any] = {
        "name": name,
        "images": query.all("images") or query.all("image"),
        "all": query.flag("all"),
        "amend": query.flag("amend"),
        "annotations": annotations or None,
    }
    body = await _body(request)
    more = _members(body, "decoding modifications in request") if len(body) >= _SHORTEST else {}
    # All in one change if possible: a create that fails leaves no list.
    plain = more.keys().isdisjoint({"all", "annotation", "annotations", *_PLATFORM})
    if more.get("images") and plain:
        params["images"] = [*params["images"], *_texts(more.pop("images"), "images")]
    try:
        result = await context.store.call(request, "manifests.create", params)
    except ImageUnknown as error:
        if await context.upstream.may_pass(request):
            return await context.pass_on(request)
        raise ApiError(500, error.message, "image not known") from None
    except InvalidParams as error:
        raise BadParameter(error.message) from None
    done = _Edit()
    done.id = result["id"]
    request.names["name"] = result["id"]
    try:
        if _of_index(more):
            await _annotate_index(context, request, more, done)
        if more.get("images"):
            await _add(context, request, more, done)
    except StoragedError as error:
        await context.store.call(request, "manifests.remove", {"names": [result["id"]]})
        raise ApiError(500, error.message) from None
    return json_answer({"Id": done.id}, status)


# -------------------------------------------------------------------- edit


class _Edit:
    """The outcome of one request: podman's report."""

    def __init__(self) -> None:
        self.id = ""
        self.done: list[str] = []
        self.errors: list[str] = []

    def answer(self) -> Answer:
        report: dict[str, Any] = {"Id": self.id}
        if self.done:
            report["images"] = self.done
        if not self.errors:
            return json_answer(report)
        status = 409 if self.done else 400
        # podman's own command shows only the message, which podman itself leaves out.
        message = "; ".join(self.errors)
        report |= {"errors": self.errors, "cause": self.errors[0], "message": message, "response": status}
        return json_answer(report, status)


async def _edited(context: Context, request: Request, body: Mapping[str, Any]) -> Answer | Streamed | None:
    operation = str(body.get("operation", ""))
    result = _Edit()
    try:
        known = await context.store.call(request, "manifests.get", {"name": request.name})
        result.id = known["manifest"]["id"]
    except (ManifestListUnknown, ImageUnknown) as error:
        raise ApiError(404, error.message, "image not known") from None
    except NotAManifestList as error:
        raise ApiError(404, error.message, "image is not a manifest list") from None
    kind = operation.lower()
    if kind == "update":
        try:
            await _add(context, request, body, result)
        except ImageUnknown as error:
            if not result.done and await context.upstream.may_pass(request):
                return await context.pass_on(request)
            result.errors.append(error.message)
        except StoragedError as error:
            result.errors.append(_refused(error).message)
    elif kind == "remove":
        for digest in _texts(body.get("images"), "images"):
            await _each(context, request, "manifests.remove_instance", {"digest": digest}, result, digest)
    elif kind == "annotate":
        await _annotate(context, request, body, result)
    else:
        raise BadParameter(f'illegal operation "{operation[:100]}" for "{request.path[:300]}"')
    return result.answer()


async def _each(
    context: Context, request: Request, method: str, params: dict[str, Any], result: _Edit, name: str
) -> None:
    """Carry out one step; its failure does not stop the others."""
    try:
        edited = await context.store.call(request, method, {"name": request.name, **params})
    except StoragedError as error:
        result.errors.append(_refused(error).message)
        return
    result.id = edited["id"]
    if name:
        result.done.append(name)


async def _add(context: Context, request: Request, body: Mapping[str, Any], result: _Edit) -> None:
    params = {
        "all": bool(body.get("all")),
        "platform": _platform(body),
        "annotations": _annotated(body, "annotation") or None,
    }
    for image in _texts(body.get("images"), "images"):
        edited = await context.store.call(
            request, "manifests.add", {"name": request.name, "image": image.removeprefix("docker://"), **params}
        )
        result.id = edited["id"]
        result.done.append(image)


async def _annotate(context: Context, request: Request, body: Mapping[str, Any], result: _Edit) -> None:
    digests = _texts(body.get("images"), "images")
    if _of_index(body) or not digests:
        try:
            await _annotate_index(context, request, body, result)
        except StoragedError as error:
            result.errors.append(_refused(error).message)
    params = {"platform": _platform(body), "annotations": _annotated(body, "annotation") or None}
    for digest in digests:
        await _each(context, request, "manifests.annotate", {"digest": digest, **params}, result, digest)


async def _annotate_index(context: Context, request: Request, body: Mapping[str, Any], result: _Edit) -> None:
    params: dict[str, Any] = {"name": request.name, "index": True}
    params["annotations"] = _annotated(body, "index_annotation") or None
    if body.get("subject"):
        params["subject"] = str(body["subject"])
    if params["annotations"] or "subject" in params:
        result.id = (await context.store.call(request, "manifests.annotate", params))["id"]


def _of_index(body: Mapping[str, Any]) -> bool:
    return bool(body.get("index_annotation") or body.get("index_annotations") or body.get("subject"))


def _platform(body: Mapping[str, Any]) -> dict[str, Any] | None:
    given = {ours: body[theirs] for theirs, ours in _PLATFORM.items() if body.get(theirs)}
    return given or None


# -------------------------------------------------------------------- bodies


async def _body(request: Request) -> bytes:
    body = await request.body()
    if body is None:
        raise ApiError(413, "the body is longer than a request may be (limits.request_bytes)")
    return body


def _members(body: bytes, doing: str) -> dict[str, Any]:
    """The members of an object, by their names in lower case.

    Raises:
        ApiError: it is not an object; 500, as in podman.
    """
    try:
        value = decode_json(body)
    except msgspec.DecodeError as error:
        cause = "EOF" if not body.strip() else str(error)
        raise ApiError(500, f"{doing}: {cause}", cause) from None
    if not isinstance(value, dict):
        cause = "json: the body is not an object"
        raise ApiError(500, f"{doing}: {cause}", cause)
    return {name.lower(): member for name, member in value.items()}


def _annotated(body: Mapping[str, Any], name: str) -> dict[str, str]:
    """The annotations given by ``NAME`` (texts ``key=value``) or ``NAMEs`` (an object).

    Raises:
        BadParameter: both are given, or one has the wrong type.
    """
    listed, mapped = body.get(name), body.get(f"{name}s")
    if listed and mapped:
        words = "".join(part.capitalize() for part in name.split("_"))
        raise BadParameter(f"can not set both {words} and {words}s")
    if listed:
        return _annotations(_texts(listed, name))
    return _pairs(mapped, f"{name}s")


def _annotations(texts: Sequence[str]) -> dict[str, str]:
    made = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadParameter(f"invalid annotation {text[:200]}")
        made[key] = value
    return made


def _map(text: str, name: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return _pairs(decode_json(text.encode()), name)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadParameter(f"failed to parse parameters: {name}: {error}", str(error)) from None


def _pairs(value: Any, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return dict(value)
    raise BadParameter(f"{name} is not an object of texts")


def _texts(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return list(value)
    raise BadParameter(f"{name} is not a list of texts")


# -------------------------------------------------------------------- failures


def _refused(error: StoragedError) -> StoragedError:
    """The error, if it concerns one step. An error of the client's rights or the daemon's state ends the request.

    Raises:
        StoragedError: it ends the request.
    """
    if error.name in ("NotPermitted", "StoreBusy", "StoreReadOnly", "ShuttingDown", "TooManyRequests"):
        raise error
    return error


def _failure(error: StoragedError) -> Exception:
    """The answer to an error on the paths from before podman 4."""
    if isinstance(error, (ManifestListUnknown, NotAManifestList)):
        return ApiError(404, error.message, innermost(error.message))
    if isinstance(error, InvalidParams):
        return BadParameter(error.message)
    if isinstance(error, ImageUnknown):
        return ApiError(500, error.message, "image not known")
    return error
