"""Changes of images: ``tag``, ``untag``, removals and ``prune`` of both trees.

A name means what it means to ``images.tag``, ``untag`` and ``remove``: a manifest list's name means the list itself. In
Docker's tree an unknown name is read as Docker would read it.

Only podman can remove its own containers. A forced removal of an image that they use is passed on to podman as a whole,
before anything is done. Without podman it is refused, like one without force.

Source: podman ``pkg/api/handlers/compat/images.go`` (TagImage), ``images_remove.go``, ``images_prune.go``,
``libpod/images.go``.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from storaged.gateway import removal_report
from storaged.gateway.answers import Answer, Streamed, json_answer, text_answer
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError, BadParameter, innermost
from storaged.gateway.image_names import hub_name, not_normal
from storaged.gateway.request import Request
from storaged.operations import change_target
from storaged.operations.name_lookup import Found
from storaged_client.contract.errors import (
    AmbiguousName,
    ImageUnknown,
    InvalidName,
    InvalidParams,
    TagUnknown,
)

_FORM: Final = b"application/x-www-form-urlencoded"
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

# -------------------------------------------------------------------- names


async def tag(context: Context, request: Request) -> Answer:
    """``POST images/NAME/tag`` of both trees: 201 and an empty line."""
    repository, given = await _repository_and_tag(request)
    name, new = request.name, f"{repository}:{given or 'latest'}"
    if not request.libpod:
        name = await _local(context, request, name)
    # An unknown name is reported before any error in the new name.
    there = await _found(context, request, name) is not None
    if there and not repository:
        raise BadParameter("repo parameter is required to tag an image")
    if there and not request.libpod:
        new = await _local(context, request, new)
    try:
        await context.store.call(request, "images.tag", {"name": name, "tags": [new]})
    except (ImageUnknown, AmbiguousName) as error:
        raise ApiError(404, f"failed to find image {request.name}: {error.message}", "image not known") from None
    except InvalidName as error:
        raise ApiError(500, error.message, innermost(error.message)) from None
    return text_answer("", 201)


async def untag(context: Context, request: Request) -> Answer:
    """``POST images/NAME/untag`` of podman's tree: one name, or all of them."""
    repository, given = await _repository_and_tag(request)
    if given and not repository:
        raise BadParameter("repo parameter is required to tag an image")
    names = [f"{repository}:{given or 'latest'}"] if repository else []
    try:
        await context.store.call(request, "images.untag", {"name": request.name, "tags": names})
    except (ImageUnknown, AmbiguousName) as error:
        raise ApiError(404, f"failed to find image {request.name}: {error.message}", "image not known") from None
    except TagUnknown as error:
        raise ApiError(500, error.message, "tag not known") from None
    except InvalidName as error:
        raise ApiError(500, error.message, innermost(error.message)) from None
    return text_answer("", 201)


async def _repository_and_tag(request: Request) -> tuple[str, str]:
    """``repo`` and ``tag`` of the query, or of a form (curl's default)."""
    form: dict[str, str] = {}
    if (request.header(b"content-type") or b"").partition(b";")[0].strip().lower() == _FORM:
        body = await request.body()
        if body is None:
            raise ApiError(413, "the form is too long")
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
    return (form.get("repo") or request.query.text("repo"), form.get("tag") or request.query.text("tag"))


async def _local(context: Context, request: Request, name: str) -> str:
    """The meaning of a name in Docker's tree: as in the store, else as Docker reads it.

    Raises:
        ApiError: it is not a reference; 500, as in podman.
    """
    found = await _found(context, request, name)
    if found is None:
        return hub_name(name)
    return found.image.id if found.how in ("id", "id_prefix") else found.name


async def _found(context: Context, request: Request, name: str) -> Found | None:
    view = await context.store.view(request)
    try:
        return change_target.itself(view.snapshot, name, view.context.query_context)
    except (ImageUnknown, AmbiguousName):
        return None
    except InvalidName as error:
        if request.libpod:
            text = f"failed to find image {request.name}: {error.message}"
            raise ApiError(500, text, innermost(error.message)) from None
        raise not_normal(error.message) from None


# -------------------------------------------------------------------- removals


async def remove(context: Context, request: Request) -> Answer | Streamed | None:
    """``DELETE images/NAME`` of both trees. Only Docker's has ``noprune``."""
    flags = _flags(request)
    flags["no_prune"] = flags["no_prune"] and not request.libpod
    name = request.name
    if not request.libpod:
        name = await _local(context, request, name)
    lists = request.libpod and request.query.flag("lookupManifest")
    if await _is_podmans(context, request, [name], flags):
        return await context.pass_on(request)
    report = await _removed(context, request, [name], flags, lists=lists)
    return removal_report.answer(report) if request.libpod else removal_report.docker_answer(report, request.name)


async def remove_many(context: Context, request: Request) -> Answer | Streamed | None:
    """``DELETE images/remove`` of podman's tree. Without names podman removes *everything*; here that is an error."""
    flags = _flags(request)
    names, everything = request.query.all("images"), request.query.flag("all")
    lists = request.query.flag("lookupManifest")
    if not names and not everything:
        raise BadParameter("name the images to remove (images=...), or set all=true")
    if everything and names:
        raise BadParameter("when using the --all switch, you may not pass any images names or IDs")
    if await _is_podmans(context, request, names, flags):
        return await context.pass_on(request)
    return removal_report.batch_answer(await _removed(context, request, names, flags, lists=lists))


def _flags(request: Request) -> dict[str, bool]:
    query = request.query
    return {"force": query.flag("force"), "ignore": query.flag("ignore"), "no_prune": query.flag("noprune")}


async def _removed(
    context: Context, request: Request, names: list[str], flags: dict[str, bool], *, lists: bool
) -> dict[str, Any]:
    method, params = "images.remove", _wanted(names, flags)
    if lists:
        method, params = "manifests.remove", {"names": names, "ignore": flags["ignore"]}
    try:
        report: dict[str, Any] = await context.store.call(request, method, params)
    except InvalidParams as error:
        raise BadParameter(error.message) from None
    return report


def _wanted(names: list[str], flags: dict[str, bool]) -> dict[str, Any]:
    return {**flags, "names": names} if names else {**flags, "all": True}


async def _is_podmans(context: Context, request: Request, names: list[str], flags: dict[str, bool]) -> bool:
    """Whether podman has to do it: it is forced, podman's containers prevent it, and podman can be asked."""
    if not flags["force"] or not await context.upstream.may_pass(request):
        return False
    would = await context.store.call(request, "images.remove", {**_wanted(names, flags), "dry_run": True})
    return removal_report.exit_code(would) == 2


# -------------------------------------------------------------------- prune


async def prune(context: Context, request: Request) -> Answer | Streamed | None:
    """``POST images/prune`` of both trees."""
    query, filters = request.query, request.query.filters()
    if request.libpod:
        everything = query.flag("all")
        if filters.get("all"):
            everything = _truth(filters["all"][0])
        if query.flag("buildcache") and await context.upstream.may_pass(request):
            return await context.pass_on(request)
        given = {key: values for key, values in filters.items() if key not in ("all", "dangling")}
    else:
        everything = any(not _truth(value) for value in filters.get("dangling", ()))
        given = {key: values for key, values in filters.items() if key != "dangling"}
    wanted = [
        {"key": key.removesuffix("!"), "value": value, "negate": key.endswith("!")}
        for key, values in given.items()
        for value in values
    ]
    params = {"filters": wanted, "all": everything, "external": request.libpod and query.flag("external")}
    try:
        report = await context.store.call(request, "images.prune", params)
    except InvalidParams as error:
        raise ApiError(500, error.message) from None
    gone, failed = report["removed"], report["failed"]
    if request.libpod:
        rows: list[dict[str, Any]] = [{"Id": removed["id"], "Size": removed["freed"] or 0} for removed in gone]
        return json_answer(
            [*rows, *({"Id": each["id"], "Err": each["error"]["message"], "Size": 0} for each in failed)]
        )
    if failed and not gone:
        raise removal_report.error_of(report, 500)
    return json_answer(
        {"ImagesDeleted": [{"Deleted": removed["id"]} for removed in gone], "SpaceReclaimed": report["freed"] or 0}
    )


def _truth(text: str) -> bool:
    """Go's strconv.ParseBool, in both trees.

    Raises:
        BadParameter: it is not a boolean; 500, as in podman.
    """
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    cause = f'strconv.ParseBool: parsing "{text[:100]}": invalid syntax'
    raise BadParameter(cause, cause, status=500)
