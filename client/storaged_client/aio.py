"""The async client, on anyio: trio or asyncio. One connection, any number of tasks, pipelined.

``retry`` defines what is sent again after the daemon went away.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup, UNIXSocketStream

from . import address as addresses
from . import discovery, retry, spawn, stores, version_mismatch
from .aio_connection import AsyncConnection, Pending
from .calls import Call
from .contract import wire
from .contract.errors import MethodNotFound, StoragedError
from .contract.methods import METHODS
from .errors import ClientClosed, DaemonUnavailable, ForeignLoop, RequestTimeout
from .progress import Listener, with_token
from .storage_conf import Flags

if TYPE_CHECKING:
    from .managers import AsyncNouns
else:
    from .nouns import AsyncNouns

R = TypeVar("R")


class AsyncClient(AsyncNouns):
    """An async context manager; see ``sync.Client`` for the parameters. For the tasks of one event loop."""

    def __init__(
        self,
        address: str | os.PathLike[str] | None = None,
        *,
        spawn: bool = False,
        timeout: float | None = None,
        root: str | None = None,
        runroot: str | None = None,
        storage_driver: str | None = None,
        storage_opt: Sequence[str] = (),
    ) -> None:
        self.address = addresses.given(address) or ""
        """Empty if none was given, until it is entered: finding it reads the store's files."""
        self._find = partial(_find, address, root, runroot, storage_driver, storage_opt)
        self._target: stores.Target | None = None
        self._spawn = spawn
        self._timeout = timeout
        self._connection: AsyncConnection | None = None
        self._tasks: TaskGroup | None = None
        self._home: tuple[int, object] | None = None
        """The process and the loop it was entered in."""
        self._connecting = anyio.Lock()

    async def __aenter__(self) -> AsyncClient:
        """Connect; does not wait for a daemon that is not there.

        Raises: DaemonUnavailable, SocketForbidden; StorageConfError, if the store cannot be determined.
        """
        if self._target is None:
            self._target = await anyio.to_thread.run_sync(self._find)
            self.address = self._target.address
        connection = await self._adopt(await self._open_when_there_is_room())
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        tasks.start_soon(connection.run)
        self._connection, self._tasks, self._home = connection, tasks, _here()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        if self._connection is not None:
            self._connection.close()
        tasks.cancel_scope.cancel()
        # Our own tasks raise nothing, so the caller's exception need not be wrapped in a group.
        await tasks.__aexit__(None, None, None)

    async def call(
        self,
        method: str,
        params: dict[str, Any] | list[Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of the blocking client
        progress: Listener | None = None,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """The raw result of one request. ``timeout`` in seconds, else the client's. Cancelling it tells the daemon.

        ``progress`` is called by this task with each ``Progress`` that the daemon sends meanwhile. ``descriptors`` are
        passed with the request.

        Raises: the error the daemon answered (``contract.errors``), DaemonUnavailable, OutcomeUnknown, RequestTimeout,
        SocketForbidden, ClientClosed, ForeignLoop, TypeError if the params are not JSON, OSError if a descriptor is
        invalid.
        """
        limit = self._timeout if timeout is None else timeout
        if progress is not None:
            params = with_token(params)
        answer: StoragedError | None = None
        with anyio.move_on_after(limit) as scope:
            try:
                return await self._persist(retry.Request(method, params, progress, descriptors))
            except version_mismatch.MAY_EXPLAIN as error:
                answer = error
        if answer is None:
            raise RequestTimeout(f"{method}: no answer in time")
        # The answer is there and must not be lost, whatever becomes of this check.
        with anyio.CancelScope(deadline=scope.deadline):
            answer.hint = await self.skew(lacks=isinstance(answer, MethodNotFound))
        raise answer

    async def run(self, call: Call[R]) -> Any:
        """The typed result of a call of ``calls``: ``R``, or Unchanged.

        Raises: as ``call``; MalformedResult, if the daemon's answer does not match.
        """
        row = METHODS[call.method]
        timeout = call.params.get("timeout")
        timeout = timeout + retry.GRACE if timeout is not None and not row.mutates else None
        answer = await self.call(
            call.method, call.params, timeout=timeout, progress=call.progress, descriptors=call.descriptors
        )
        try:
            result = wire.structure_result(row.result, answer)
        except wire.MalformedResult as error:
            error.method = call.method
            error.hint = await self.skew()
            raise
        return call.settle(result) if call.settle is not None and type(result) is row.result else result

    async def discover(self) -> dict[str, Any]:
        """The OpenRPC document of the daemon.

        Raises: as ``call``.
        """
        document: dict[str, Any] = await self.call("rpc.discover")
        return document

    async def skew(self, *, lacks: bool = False) -> str:
        """A notice about a daemon of another version and what to do; empty if it has this version, or does not answer.

        ``lacks``: the daemon certainly does not know what was requested. Takes two seconds at most.
        """
        connection = self._connection
        if connection is None or connection.dead:
            return ""
        with anyio.move_on_after(version_mismatch.PATIENCE):
            pending = await self._ask(connection, retry.Request(*version_mismatch.QUESTION))
            return version_mismatch.hint(pending.result, self.address, lacks=lacks)
        return ""

    # ------------------------------------------------------------ within

    async def _persist(self, request: retry.Request) -> Any:
        give_up: float | None = None
        for pause in retry.delays():
            try:
                return await self._once(request)
            except (retry.Again, addresses.NobodyListens, addresses.QueueFull) as error:
                now = time.monotonic()
                give_up = give_up or now + retry.WINDOW
                if now + pause > give_up:
                    if isinstance(error, DaemonUnavailable):
                        raise
                    raise DaemonUnavailable(f"the daemon at {self.address} went away: {error}") from error
            await anyio.sleep(pause)
        raise AssertionError("delays() has no end")

    async def _once(self, request: retry.Request) -> Any:
        connection = await self._connected()
        if not connection.of_store and isinstance(request.params, list):
            # Positional parameters cannot include the store.
            await self._compare_store(connection)
        pending = await self._ask(connection, request.stating(None if connection.of_store else self._stated))
        try:
            return retry.result_of(pending, request.method, closed=self._tasks is None)
        except retry.Again:
            connection.dead = True  # begin nothing more on it; requests in flight are still answered
            raise
        except StoragedError as error:
            if connection.of_store or not stores.is_unknown(error):
                raise
        await self._compare_store(connection)
        return await self._once(request)

    @property
    def _stated(self) -> dict[str, Any] | None:
        return self._target.stated if self._target is not None else None

    async def _compare_store(self, connection: AsyncConnection) -> None:
        stated = self._stated
        if stated is not None:
            pending = await self._ask(connection, retry.Request(*version_mismatch.QUESTION))
            info = retry.result_of(pending, version_mismatch.QUESTION[0], closed=self._tasks is None)
            await anyio.to_thread.run_sync(stores.check_served, stated, info)
        connection.of_store = True

    @staticmethod
    async def _ask(connection: AsyncConnection, request: retry.Request) -> Pending:
        id, pending = connection.begin(request.method, request.params, request.listener, request.descriptors)
        try:
            await pending.wait()
        except BaseException:
            connection.abandon(id)
            raise
        return pending

    async def _connected(self) -> AsyncConnection:
        if self._home is not None and self._home != _here():
            # The descriptor is shared with the parent, or the tasks belong to the other loop: nothing would be
            # answered.
            raise ForeignLoop("the client was entered in another event loop or before a fork: enter a new one here")
        connection = self._connection
        if connection is not None and not connection.dead:
            return connection
        async with self._connecting:
            if self._connection is None or self._connection.dead:
                if self._tasks is None:
                    raise ClientClosed("the client is closed, or was not entered by async with")
                await self._join(await self._adopt(await self._open()))
            assert self._connection is not None
            return self._connection

    async def _join(self, connection: AsyncConnection) -> None:
        if self._tasks is None:
            await connection.give_up()
            raise ClientClosed("the client was closed while a call ran")
        self._tasks.start_soon(connection.run)
        self._connection = connection

    async def _open_when_there_is_room(self) -> socket.socket:
        give_up = time.monotonic() + (retry.WINDOW if self._timeout is None else self._timeout)
        for pause in retry.delays():
            try:
                return await self._open()
            except addresses.QueueFull:
                if time.monotonic() + pause > give_up:
                    raise
            await anyio.sleep(pause)
        raise AssertionError("delays() has no end")

    async def _open(self) -> socket.socket:
        target = self._target
        assert target is not None
        if self._spawn:
            left = anyio.current_effective_deadline() - anyio.current_time()
            timeout = min(left, spawn.PATIENCE if self._timeout is None else self._timeout)
            # Not abandoned when cancelled: a half-started daemon must not be left without a record.
            replace = self._connection is None
            return await anyio.to_thread.run_sync(lambda: spawn.connect(target, timeout=timeout, replace=replace))
        target.stated = target.meant
        try:
            return addresses.connect(target.address, target.uids)
        except addresses.NobodyListens:
            return await anyio.to_thread.run_sync(discovery.connect, target)

    @staticmethod
    async def _adopt(sock: socket.socket) -> AsyncConnection:
        try:
            return AsyncConnection(await UNIXSocketStream.from_socket(sock))
        except BaseException:
            sock.close()
            raise


def _find(
    address: str | os.PathLike[str] | None,
    root: str | None,
    runroot: str | None,
    storage_driver: str | None,
    storage_opt: Sequence[str],
) -> stores.Target:
    return stores.find(address, Flags(root, runroot, storage_driver, storage_opt))


def _here() -> tuple[int, object]:
    return os.getpid(), anyio.lowlevel.current_token()


def aconnect(
    address: str | os.PathLike[str] | None = None,
    *,
    spawn: bool = False,
    timeout: float | None = None,
    root: str | None = None,
    runroot: str | None = None,
    storage_driver: str | None = None,
    storage_opt: Sequence[str] = (),
) -> AsyncClient:
    """An async client, to be entered with ``async with``; see AsyncClient.

    Raises: AddressError.
    """
    return AsyncClient(
        address,
        spawn=spawn,
        timeout=timeout,
        root=root,
        runroot=runroot,
        storage_driver=storage_driver,
        storage_opt=storage_opt,
    )
