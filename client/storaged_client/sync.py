"""The blocking client: one connection, any number of threads, pipelined.

``retry`` defines what is sent again after the daemon went away.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import address as addresses
from . import discovery, retry, stores
from .connection import Connection, Pending
from .contract.errors import MethodNotFound, StoragedError
from .errors import ClientClosed, ClientError, DaemonUnavailable
from .progress import Listener, with_token
from .storage_conf import Flags
from .transport import NotSent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from .calls import Call
    from .managers import Nouns
else:
    from .nouns import Nouns

R = TypeVar("R")

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._start_over()


os.register_at_fork(after_in_child=_after_fork)


class Client(Nouns):
    """A connection to the daemon at ``address``, made when first needed and again after it was lost.

    ``timeout`` limits each call, in seconds; None waits for ever. With ``spawn``, a daemon is started if none listens.
    Safe to share between threads, and usable on both sides of a fork.

    The store is the one podman would open here, with ``root``, ``runroot``, ``storage_driver`` and ``storage_opt`` like
    podman's flags; a daemon of another store answers WrongStore. With an address and none of these, it is whatever is
    served there.

    Raises: AddressError, SocketForbidden; StorageConfError, if the store cannot be determined.
    """

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
        self._target = stores.find(address, Flags(root, runroot, storage_driver, storage_opt))
        self.address = self._target.address
        self._spawn = spawn
        self._timeout = timeout
        self._closed = False
        self._was_connected = False
        self._connection: Connection | None = None
        self._connecting = threading.Lock()
        _clients.add(self)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect now; does not wait for a daemon that is not there.

        Raises: DaemonUnavailable, SocketForbidden, RequestTimeout.
        """
        deadline = self._deadline(None)
        give_up = time.monotonic() + retry.WINDOW if deadline is None else deadline
        for pause in retry.delays():
            try:
                self._connected(deadline)
            except addresses.QueueFull:
                if time.monotonic() + pause > give_up:
                    raise
                time.sleep(pause)
            else:
                return

    def close(self) -> None:
        """End the connection; calls of other threads raise ClientClosed. May be repeated."""
        self._closed = True
        with self._connecting:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def call(
        self,
        method: str,
        params: dict[str, Any] | list[Any] | None = None,
        *,
        timeout: float | None = None,
        progress: Listener | None = None,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """The raw result of one request. ``timeout`` in seconds, else the client's.

        ``progress`` is called by this thread with each ``Progress`` that the daemon sends meanwhile; if it is slower
        than the daemon, only with the newest. ``descriptors`` are passed with the request.

        Raises: the error the daemon answered (``contract.errors``), DaemonUnavailable, OutcomeUnknown, RequestTimeout,
        SocketForbidden, ClientClosed, TypeError if the params are not JSON, OSError if a descriptor is invalid.
        """
        for descriptor in descriptors:
            os.get_inheritable(descriptor)
        deadline = self._deadline(timeout)
        if progress is not None:
            params = with_token(params)
        request = retry.Request(method, params, progress, descriptors)
        give_up: float | None = None
        for pause in retry.delays():
            try:
                return self._once(request, deadline)
            except (retry.Again, addresses.NobodyListens, addresses.QueueFull) as error:
                now = time.monotonic()
                if give_up is None:
                    give_up = now + retry.WINDOW if deadline is None else min(now + retry.WINDOW, deadline)
                if now + pause > give_up:
                    if isinstance(error, DaemonUnavailable):
                        raise
                    raise DaemonUnavailable(f"the daemon at {self.address} went away: {error}") from error
            time.sleep(pause)
        raise AssertionError("delays() has no end")

    def run(self, call: Call[R]) -> Any:
        """The typed result of a call of ``calls``: ``R``, or Unchanged.

        Raises: as ``call``; MalformedResult, if the daemon's answer does not match.
        """
        from .contract import wire
        from .contract.methods import METHODS

        row = METHODS[call.method]
        timeout = call.params.get("timeout")
        if timeout is not None and not row.mutates:
            timeout += retry.GRACE
        else:
            timeout = None
        answer = self.call(
            call.method, call.params, timeout=timeout, progress=call.progress, descriptors=call.descriptors
        )
        try:
            result = wire.structure_result(row.result, answer)
        except wire.MalformedResult as error:
            error.method = call.method
            error.hint = self.skew()
            raise
        return call.settle(result) if call.settle is not None and type(result) is row.result else result

    def discover(self) -> dict[str, Any]:
        """The OpenRPC document of the daemon.

        Raises: as ``call``.
        """
        document: dict[str, Any] = self.call("rpc.discover")
        return document

    @property
    def notice(self) -> str:
        """A notice about the store, as podman gives it; usually empty."""
        return self._target.notice

    def skew(self, *, lacks: bool = False) -> str:
        """A notice about a daemon of another version and what to do; empty if it has this version, or does not answer.

        ``lacks``: the daemon certainly does not know what was requested. Takes two seconds at most.
        """
        return self._skew(None, lacks=lacks)

    def _skew(self, deadline: float | None, *, lacks: bool = False) -> str:
        from . import version_mismatch

        connection = self._connection
        if connection is None:
            return ""
        patience = time.monotonic() + version_mismatch.PATIENCE
        if deadline is not None:
            patience = min(deadline, patience)
        try:
            pending = connection.ask(*version_mismatch.QUESTION, patience)
        except (ClientError, NotSent):
            return ""  # the original error says more than this one
        return version_mismatch.hint(pending.result, self.address, lacks=lacks)

    # ------------------------------------------------------------ within

    def _deadline(self, timeout: float | None) -> float | None:
        timeout = self._timeout if timeout is None else timeout
        return None if timeout is None else time.monotonic() + timeout

    def _once(self, request: retry.Request, deadline: float | None) -> Any:
        connection = self._connected(deadline)
        if not connection.of_store and isinstance(request.params, list):
            # Positional parameters cannot include the store.
            self._compare_store(connection, deadline)
        pending = self._ask(connection, request.stating(None if connection.of_store else self._target.stated), deadline)
        try:
            return retry.result_of(pending, request.method, closed=self._closed)
        except retry.Again:
            self._drop(connection)
            raise
        except StoragedError as error:
            from . import version_mismatch

            if not isinstance(error, version_mismatch.MAY_EXPLAIN):
                raise
            if connection.of_store or not stores.is_unknown(error):
                error.hint = self._skew(deadline, lacks=isinstance(error, MethodNotFound))
                raise
        self._compare_store(connection, deadline)
        return self._once(request, deadline)

    def _ask(self, connection: Connection, request: retry.Request, deadline: float | None) -> Pending:
        try:
            pending = connection.ask(request.method, request.params, deadline, request.listener, request.descriptors)
        except NotSent as error:
            self._drop(connection)
            raise retry.Again("it closed the connection") from error
        if pending.lost:
            self._drop(connection)
        return pending

    def _compare_store(self, connection: Connection, deadline: float | None) -> None:
        from . import version_mismatch

        if self._target.stated is not None:
            pending = self._ask(connection, retry.Request(*version_mismatch.QUESTION), deadline)
            info = retry.result_of(pending, version_mismatch.QUESTION[0], closed=self._closed)
            stores.check_served(self._target.stated, info)
        connection.of_store = True

    def _connected(self, deadline: float | None) -> Connection:
        connection = self._connection
        if connection is not None and not connection.dead:
            return connection
        sock: socket.socket | None = None
        if self._spawn:
            from . import spawn

            # Not with the lock held: a start takes longer than the time another thread may have.
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            sock = spawn.connect(self._target, timeout=left, replace=not self._was_connected)
        with self._connecting:
            if not self._closed and (self._connection is None or self._connection.dead):
                self._connection = Connection(sock or discovery.connect(self._target))
                self._was_connected = True
                sock = None
            connection = self._connection
        if sock is not None:
            sock.close()
        if self._closed or connection is None:
            raise ClientClosed("the client is closed")
        return connection

    def _drop(self, connection: Connection) -> None:
        connection.retire()
        with self._connecting:
            if self._connection is connection:
                self._connection = None

    def _start_over(self) -> None:
        """In a forked child: the parent keeps its connection, and locks of its threads are meaningless."""
        self._connecting = threading.Lock()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.forget()


def connect(
    address: str | os.PathLike[str] | None = None,
    *,
    spawn: bool = False,
    timeout: float | None = None,
    root: str | None = None,
    runroot: str | None = None,
    storage_driver: str | None = None,
    storage_opt: Sequence[str] = (),
) -> Client:
    """A connected blocking client; see Client. A daemon is started only with ``spawn``.

    Raises: AddressError, DaemonUnavailable, SocketForbidden, RequestTimeout, StorageConfError.
    """
    client = Client(
        address,
        spawn=spawn,
        timeout=timeout,
        root=root,
        runroot=runroot,
        storage_driver=storage_driver,
        storage_opt=storage_opt,
    )
    client.connect()
    return client
