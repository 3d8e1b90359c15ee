"""A byte tunnel between a client and podman: attach, exec, and any other protocol they agreed to switch to.

::

    client ──── up ───▶ podman      an end of input is passed on, the other way goes on
    client ◀── down ─── podman      a hang-up ends what can no longer be delivered

There is no time limit: a terminal may be silent for days. What one end wrote before it hung up still reaches the other.
What podman no longer accepts is read and dropped, so that the client is not stuck in a write.
"""

from __future__ import annotations

import socket
from typing import Final

import anyio

from storaged.gateway.sockets import end_reading, end_writing, receive, send_all
from storaged.server.disconnect import hung_up

_DELIVERY: Final = 10.0
"""Seconds for podman to accept what a client wrote before it hung up."""
_LINGER: Final = 2.0
"""Seconds for a client to notice the end before its further writes are cut off."""


async def tunnel(
    client: socket.socket, podman: socket.socket, *, number: int, up: bytes = b"", down: bytes = b""
) -> None:
    """Carry bytes both ways until both ways have ended. ``up`` and ``down`` are bytes that were already read.

    ``number`` is the connection's, for the log. Closes neither socket. Never raises anything but cancellation.
    """
    await _Tunnel(client, podman, number).run(up, down)


class _Tunnel:
    def __init__(self, client: socket.socket, podman: socket.socket, number: int) -> None:
        self._client = client
        self._podman = podman
        self._number = number
        self._up = anyio.CancelScope()
        self._down = anyio.CancelScope()
        self._client_ended = False

    async def run(self, up: bytes, down: bytes) -> None:
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch_client)
            watching.start_soon(self._watch_podman)
            async with anyio.create_task_group() as pumps:
                pumps.start_soon(self._pump_up, up)
                pumps.start_soon(self._pump_down, down)
            watching.cancel_scope.cancel()
        if not self._client_ended:
            with anyio.move_on_after(_LINGER):
                await self._drop_rest()

    async def _pump_up(self, data: bytes) -> None:
        with self._up:
            try:
                while True:
                    if data:
                        await send_all(self._podman, data)
                    data = await self._read_client()
                    if not data:
                        break
            except anyio.BrokenResourceError:
                await self._drop_rest()
            end_writing(self._podman)

    async def _pump_down(self, data: bytes) -> None:
        with self._down:
            try:
                while True:
                    if data:
                        await send_all(self._client, data)
                    data = await receive(self._podman)
                    if not data:
                        break
            except anyio.BrokenResourceError:
                # The client no longer reads, so nothing more is written to it; podman should notice that, too.
                end_reading(self._podman)
            end_writing(self._client)

    async def _read_client(self) -> bytes:
        data = await receive(self._client)
        self._client_ended = not data
        return data

    async def _drop_rest(self) -> None:
        try:
            while await self._read_client():
                pass
        except anyio.BrokenResourceError:
            self._client_ended = True

    async def _watch_client(self) -> None:
        if await hung_up(self._client, self._number):
            self._down.cancel()
            self._up.deadline = anyio.current_time() + _DELIVERY

    async def _watch_podman(self) -> None:
        # What podman has written is still read to its end: only then does the way down end.
        if await hung_up(self._podman, self._number):
            self._up.cancel()
