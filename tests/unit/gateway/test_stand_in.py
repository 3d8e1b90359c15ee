"""What storaged cannot read, podman is asked for instead, by those who may ask it."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from storaged.gateway.pass_rights import PassRights
from storaged.gateway.pass_through import PassTerms, PassThrough
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.podman_socket import PodmanSocket
from storaged.metrics import Metrics
from tests.support.fake_podman import fake_podman
from tests.support.service import Desk

from .conftest import resting

pytestmark = pytest.mark.anyio

LISTING = "/v1.44/images/json"


def _upstream(path: Path, own_uid: int) -> PassThrough:
    terms = PassTerms(podman=PodmanSocket(path=str(path)), rights=PassRights(own_uid=own_uid))
    return PassThrough(terms, Metrics(), PassedChanges())


async def test_an_unreadable_store_is_podmans_affair(short_dir: Path, desk: Desk) -> None:
    table = anyio.Path(desk.ground.images_json)
    whole = await table.read_bytes()
    await table.write_bytes(b"[{")
    async with (
        fake_podman(short_dir / "p") as podman,
        resting(desk, upstream=_upstream(short_dir / "p", os.geteuid())) as rest,
        rest.client() as wire,
    ):
        assert (await wire.get(LISTING)).json["target"] == LISTING
        # A change with a body, too: nobody has read it in vain.
        target = "/v5.0.0/libpod/manifests/localhost/x:1"
        told = await wire.ask("PUT", target, b'{"operation":"update","images":["a"]}')
        assert (told.json["target"], told.json["size"]) == (target, 37)
        await table.write_bytes(whole)
        assert isinstance((await wire.get(LISTING)).json, list)
        assert [seen.method for seen in podman.seen] == ["GET", "PUT"]


async def test_without_podman_it_is_an_error(short_dir: Path, desk: Desk) -> None:
    await anyio.Path(desk.ground.images_json).write_bytes(b"[{")
    upstream = _upstream(short_dir / "nobody", os.geteuid())
    async with resting(desk, upstream=upstream) as rest, rest.client() as wire:
        reply = await wire.get(LISTING)
        assert (reply.status, reply.json["response"]) == (500, 500)
