"""The gateway presents itself as the podman behind it, and asks it seldom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storaged.gateway.pass_rights import PassRights
from storaged.gateway.pass_through import PassTerms, PassThrough
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.podman_socket import PodmanSocket
from storaged.metrics import Metrics
from tests.support.fake_podman import fake_podman
from tests.support.service import Desk

from .conftest import resting
from .passed import OTHER, passed

pytestmark = pytest.mark.anyio


def _upstream(path: Path | None) -> PassThrough:
    terms = PassTerms(podman=PodmanSocket(path=path and str(path)), rights=PassRights(own_uid=os.geteuid()))
    return PassThrough(terms, Metrics(), PassedChanges())


async def test_the_first_question_learns_the_release(short_dir: Path, desk: Desk) -> None:
    async with (
        fake_podman(short_dir / "p") as podman,
        resting(desk, upstream=_upstream(short_dir / "p")) as rest,
        rest.client() as wire,
    ):
        for _ in range(3):
            reply = await wire.ask("HEAD", "/_ping")
            assert reply.headers["libpod-api-version"] == "4.3.1"
            assert reply.headers["server"] == "Libpod/4.3.1 (linux)"
            # What is answered here is of this version, whatever podman's own is.
            assert reply.headers["api-version"] == "1.44"
        assert len(podman.seen) == 1


async def test_the_version_is_podmans_and_kept(short_dir: Path, desk: Desk) -> None:
    async with (
        fake_podman(short_dir / "p") as podman,
        resting(desk, upstream=_upstream(short_dir / "p")) as rest,
        rest.client() as wire,
    ):
        for target in ("/version", "/v1.44/version", "/v5.0.0/libpod/version"):
            assert (await wire.get(target)).json == podman.facts
        assert len(podman.seen) == 1


async def test_the_info_is_podmans_with_the_images_of_this_moment(short_dir: Path, desk: Desk) -> None:
    async with (
        fake_podman(short_dir / "p") as podman,
        resting(desk, upstream=_upstream(short_dir / "p")) as rest,
        rest.client() as wire,
    ):
        without = (await wire.get("/v5.0.0/libpod/images/json?all=true")).json
        for _ in range(3):
            told = (await wire.get("/info")).json
            assert told["Containers"] == 3
            assert told["Images"] >= len(without) > 1
        assert len(podman.seen) == 1
        podman.facts = {"store": {"imageStore": {"number": 1}, "containerStore": {"number": 3}}}
        told = (await wire.get("/v5.0.0/libpod/info")).json
        assert told["store"]["containerStore"] == {"number": 3}
        assert told["store"]["imageStore"]["number"] >= len(without)
        # What was passed on may have changed it.
        await wire.ask("POST", "/v5.0.0/libpod/containers/echo", b"")
        before = len(podman.seen)
        await wire.get("/v5.0.0/libpod/info")
        assert len(podman.seen) == before + 1


@pytest.mark.parametrize("there", [True, False])
async def test_without_podman_the_gateway_tells_of_itself(short_dir: Path, desk: Desk, there: bool) -> None:
    path = short_dir / "nobody" if there else None
    async with resting(desk, upstream=_upstream(path)) as rest, rest.client() as wire:
        assert (await wire.get("/version")).json["Components"][0]["Name"] == "Podman Engine"
        assert (await wire.get("/info")).status == 200
        assert (await wire.ask("HEAD", "/_ping")).headers["libpod-api-version"].startswith("5.")


async def test_podman_that_answers_nonsense_is_not_believed(short_dir: Path, desk: Desk) -> None:
    async with (
        fake_podman(short_dir / "p") as podman,
        resting(desk, upstream=_upstream(short_dir / "p")) as rest,
        rest.client() as wire,
    ):
        podman.version = "5.8.6 or so"
        podman.facts = []  # type: ignore[assignment]
        assert (await wire.get("/version")).json["Version"].startswith("5.")
        assert (await wire.get("/version")).headers["libpod-api-version"].startswith("5.")


async def test_another_release_is_noticed_by_any_answer(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.ask("GET", "/v1.44/containers/info")
        assert one.upstream.identity.podman == "4.3.1"
        one.podman.version = "6.0.0"
        await one.ask("GET", "/v1.44/containers/info")
        assert one.upstream.identity.podman == "6.0.0"


async def test_who_may_not_pass_is_told_the_version_alone(short_dir: Path) -> None:
    async with passed(short_dir, who=OTHER) as one:
        status, told = await one.ask("GET", "/version")
        assert (status, told) == (200, one.podman.facts)
        assert [seen.target for seen in one.podman.seen] == ["/version"]
