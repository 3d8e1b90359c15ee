"""The route table: the answer for each method and path, in podman's order.

A pattern is matched against the encoded path after version and tree. ``{name}`` also matches slashes, as many as it
can: ``/images/localhost/a/b:1/json`` is the same as ``/images/localhost%2Fa%2Fb%3A1/json``. The first matching row
answers. A path that matches under another method only is 405, one that matches nowhere is 404.

Rows with ``PODMAN`` are passed on.

Source: podman ``pkg/api/server/register_*.go``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeAlias

from attrs import frozen

from storaged.gateway import image_changes, image_inspect, image_lists, list_changes, manifest_reads, system, usage
from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.context import Context
from storaged.gateway.request import Request, names_of

Handler: TypeAlias = Callable[[Context, Request], Awaitable[Answer | Streamed | None]]

PODMAN: Final = None
"""In place of a handler: pass the request on."""

_PASSED: Final = "passed_on"

_TREES = {"compat": ("compat",), "libpod": ("libpod",), "both": ("compat", "libpod")}


@frozen(kw_only=True)
class Route:
    """One row. ``name`` is the name it is counted under."""

    method: str
    pattern: re.Pattern[str]
    name: str
    handler: Handler | None


def _route(method: str, path: str, handler: Handler | None = PODMAN) -> Route:
    pattern = re.escape(path).replace(r"\{name\}", "(?P<name>.*)").replace(r"\{destination\}", "(?P<destination>.*)")
    return Route(
        method=method,
        pattern=re.compile(pattern, re.DOTALL),
        name=f"{method} {path}" if handler is not None else _PASSED,
        handler=handler,
    )


# fmt: off
_TABLE: Final[Sequence[tuple[Literal["compat", "libpod", "both"], Route]]] = (
    ("both",   _route("GET",    "/_ping", system.ping)),
    ("both",   _route("HEAD",   "/_ping", system.ping)),
    ("both",   _route("GET",    "/version", system.version)),
    ("both",   _route("GET",    "/info", system.info)),
    ("both",   _route("GET",    "/events")),
    ("both",   _route("GET",    "/system/df", usage.disk_usage)),
    ("libpod", _route("POST",   "/system/check", usage.check)),
    ("libpod", _route("POST",   "/system/prune")),
    ("compat", _route("POST",   "/auth")),

    ("compat", _route("POST",   "/images/create")),
    ("both",   _route("GET",    "/images/json", image_lists.list_images)),
    ("both",   _route("POST",   "/images/load")),
    ("libpod", _route("POST",   "/local/images/load")),
    ("libpod", _route("POST",   "/images/import")),
    ("libpod", _route("POST",   "/images/pull")),
    ("both",   _route("POST",   "/images/prune", image_changes.prune)),
    ("both",   _route("GET",    "/images/search")),
    ("libpod", _route("DELETE", "/images/remove", image_changes.remove_many)),
    ("both",   _route("DELETE", "/images/{name}", image_changes.remove)),
    ("both",   _route("POST",   "/images/{name}/push")),
    ("libpod", _route("POST",   "/images/scp/{name}")),
    ("both",   _route("GET",    "/images/{name}/get")),
    ("compat", _route("GET",    "/images/get")),
    ("libpod", _route("GET",    "/images/export")),
    ("libpod", _route("GET",    "/images/{name}/exists", image_inspect.exists)),
    ("libpod", _route("GET",    "/images/{name}/tree", image_inspect.tree)),
    ("libpod", _route("GET",    "/images/{name}/resolve", image_inspect.resolve)),
    ("libpod", _route("GET",    "/images/{name}/changes")),
    ("both",   _route("GET",    "/images/{name}/history", image_inspect.history)),
    ("both",   _route("GET",    "/images/{name}/json", image_inspect.inspect)),
    ("both",   _route("POST",   "/images/{name}/tag", image_changes.tag)),
    ("libpod", _route("POST",   "/images/{name}/untag", image_changes.untag)),
    ("both",   _route("POST",   "/commit")),
    ("both",   _route("POST",   "/build")),
    ("libpod", _route("POST",   "/local/build")),
    ("compat", _route("GET",    "/distribution/{name}/json")),

    ("libpod", _route("POST",   "/manifests/create", list_changes.create_by_query)),
    ("libpod", _route("GET",    "/manifests/{name}/exists", manifest_reads.exists)),
    ("libpod", _route("GET",    "/manifests/{name}/json", manifest_reads.inspect)),
    ("libpod", _route("POST",   "/manifests/{name}/add", list_changes.add)),
    ("libpod", _route("POST",   "/manifests/{name}/registry/{destination}")),
    ("libpod", _route("POST",   "/manifests/{name}/push")),
    ("libpod", _route("POST",   "/manifests/{name}", list_changes.create)),
    ("libpod", _route("PUT",    "/manifests/{name}", list_changes.edit)),
    ("libpod", _route("DELETE", "/manifests/{name}", list_changes.delete)),
)
# fmt: on

_OTHERS: Final = re.compile(
    r"/(containers|exec|volumes|networks|pods|secrets|configs|plugins|services|tasks|nodes|swarm|generate|play|kube|"
    r"artifacts|quadlets|farm|healthcheck|local|archive|system|distribution)(/.*)?",
    re.DOTALL,
)
"""Paths that are not about images: podman knows their methods."""
_NOT_THERE: Final = re.compile(r"/swarm(/.*)?")

_ROUTES: Final = {
    tree: tuple(route for trees, route in _TABLE if tree in _TREES[trees]) for tree in ("compat", "libpod")
}
OTHERS: Final = Route(method="", pattern=_OTHERS, name=_PASSED, handler=PODMAN)


def find(request: Request) -> Route | Literal[404, 405]:
    """The row that answers; stores the names found in the path with the request."""
    known = False
    for route in _ROUTES[request.tree]:
        match = route.pattern.fullmatch(request.path)
        if match is None:
            continue
        if route.method == request.method:
            request.names = names_of(match)
            return route
        known = True
    if known:
        return 405
    if _OTHERS.fullmatch(request.path) and not _NOT_THERE.fullmatch(request.path):
        return OTHERS
    return 404
