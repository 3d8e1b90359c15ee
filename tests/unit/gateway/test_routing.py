"""Which path is whose, and what is said of those that are nobody's."""

from __future__ import annotations

import pytest

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.request import Request
from storaged.gateway.without_podman import WithoutPodman
from tests.support.service import Desk

from .conftest import resting

pytestmark = pytest.mark.anyio

OURS = {"api-version", "libpod-api-version", "server", "x-reference-id", "date"}


class Told(WithoutPodman):
    """In podman's place: tells how the request was understood."""

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        text = f"{request.tree} {request.version} {request.path} {request.name}"
        return Answer(body=(text.encode(),))


@pytest.mark.parametrize(
    ("target", "understood"),
    [
        ("/images/a/push", "compat None /images/a/push a"),
        ("/v1.24/images/a/push", "compat 1.24 /images/a/push a"),
        ("/v9/libpod/images/a/push", "libpod 9 /images/a/push a"),
        ("/v3.4.0-rc1/libpod/images/a/push", "libpod 3.4.0-rc1 /images/a/push a"),
        ("/v1.44/images/localhost/a/b:1/push", "compat 1.44 /images/localhost/a/b:1/push localhost/a/b:1"),
        (
            "/v1.44/images/localhost%2Fa%2Fb%3A1/push",
            "compat 1.44 /images/localhost%2Fa%2Fb%3A1/push localhost/a/b:1",
        ),
        ("/images/a+b%2B%2525/push", "compat None /images/a+b%2B%2525/push a+b+%25"),
        ("/images/a/push/push", "compat None /images/a/push/push a/push"),
    ],
)
async def test_version_tree_and_name_of_a_path(desk: Desk, target: str, understood: str) -> None:
    async with resting(desk, upstream=Told()) as rest, rest.client() as wire:
        assert (await wire.ask("POST", target)).body.decode() == understood


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/nosuch"),
        ("GET", "/V1.44/_ping"),
        ("GET", "/libpod/images/json"),
        ("GET", "/v/_ping"),
        ("GET", "/vx/_ping"),
        ("POST", "/v1.44/session"),
        ("POST", "/grpc"),
        ("GET", "/swarm"),
        ("GET", "/v1.44/images/x/exists"),
        ("GET", "/"),
    ],
)
async def test_unknown_paths_are_404_in_the_words_of_a_router(desk: Desk, method: str, target: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.ask(method, target, b"")
        # `/images/x/exists` is a name to Docker's tree: that path is known, by another method.
        known = target == "/v1.44/images/x/exists"
        assert reply.status == (405 if known else 404)
        assert reply.body == (b"Method Not Allowed\n" if known else b"Not Found\n")
        assert not OURS & reply.headers.keys()
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("HEAD", "/images/json"),
        ("OPTIONS", "/images/json"),
        ("GET", "/images/json/"),
        ("POST", "/images/x/untag"),
        ("POST", "/v5.0.0/libpod/images/json"),
        ("DELETE", "/version"),
    ],
)
async def test_known_paths_with_other_methods_are_405(desk: Desk, method: str, target: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.ask(method, target)).status == 405


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("//images/json", "/images/json"),
        ("/images//json?a=b", "/images/json?a=b"),
        ("/images/../x", "/x"),
        ("/images/./x/", "/images/x/"),
    ],
)
async def test_a_path_that_is_not_in_its_canonical_form_is_moved(desk: Desk, target: str, location: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.get(target)
        assert (reply.status, reply.headers["location"], reply.body) == (301, location, b"")


@pytest.mark.parametrize("target", ["/_ping", "/v1.44/_ping", "/libpod/_ping", "/v5.0.0/libpod/_ping"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_ping_tells_what_clients_negotiate_by(desk: Desk, method: str, target: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.ask(method, target, X_Reference_Id="mine")
        assert reply.status == 200
        assert reply.body == (b"OK" if method == "GET" else b"")
        assert reply.headers.keys() >= OURS
        assert reply.headers["x-reference-id"] == "mine"
        assert (reply.headers["api-version"], reply.headers["builder-version"]) == ("1.44", "1")
        assert reply.headers["buildkit-version"] == ""
        assert ("content-length" in reply.headers) == (method == "GET")
        assert "transfer-encoding" not in reply.headers


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/containers/x/json", 404, None),
        ("/containers/localhost/x:1/json", 404, None),
        ("/networks/localhost/x:1", 404, None),
        ("/v5.0.0/libpod/networks/x/json", 404, None),
        ("/networks/x", 404, None),
        ("/volumes/x", 404, None),
        ("/plugins/x/json", 404, None),
        ("/containers/json?all=1", 200, []),
        ("/networks", 200, []),
        ("/v1.44/volumes", 200, {"Volumes": [], "Warnings": []}),
        ("/v5.0.0/libpod/volumes/json", 200, []),
        ("/containers/x/logs", 501, None),
        ("/images/search?term=x", 501, None),
    ],
)
async def test_without_podman_who_probes_is_told_that_nothing_is_there(
    desk: Desk, target: str, status: int, body: object
) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.get(target)
        assert reply.status == status
        assert reply.headers["content-type"] == "application/json"
        if status == 200:
            assert reply.json == body
        else:
            assert reply.json.keys() == {"cause", "message", "response"}
            assert reply.json["response"] == status


async def test_a_version_of_any_length_is_a_new_one(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.get(f"/v{'9' * 5000}/images/json")
        assert (reply.status, "VirtualSize" in reply.json[0]) == (200, False)
