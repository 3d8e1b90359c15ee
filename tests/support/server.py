"""A stand-in for the daemon: a JSON-RPC server with a thread a connection, the real ``Peer`` and a real Unix socket."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from storaged_client.contract.errors import StoragedError
from storaged_client.jsonrpc.events import Cancel, Close, Notification, Reply, Request
from storaged_client.jsonrpc.peer import Peer

from .answers import error_text, result_text


class Refusal(Exception):
    """An error of any number and name, also of such as the contract does not have."""

    def __init__(self, code: int, name: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code, self.name, self.message, self.data = code, name, message, data


class Server:
    """``echo`` answers its params, ``die`` ends the connection unanswered.

    ``answers`` maps a method to a result, an error, or a function of the params that returns or raises one. ``holding``
    names the methods that wait for ``release``. ``requests`` are those that came, notifications among them.
    ``progress`` is told before each answer to who asked with a token.
    """

    def __init__(self, path: str | Path, answers: dict[str, Any] | None = None) -> None:
        self.path = str(path)
        self.answers = answers or {}
        self.requests: list[tuple[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        self.cancelled: list[Any] = []
        self.connections = 0
        self.changed = threading.Condition()
        self.holding = {"hold"}
        self.held: list[tuple[Connection, Request]] = []
        self._open: list[Connection] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                self._open.append(Connection(self, channel))
                self.changed.notify_all()

    def wait_for(self, condition: Any) -> None:
        """Wait until ``condition()`` is true of what the server has seen."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout=10)

    def release(self, result: Any = "released") -> None:
        """Answer everything that is held, the last first."""
        with self.changed:
            held, self.held = self.held[::-1], []
        for connection, request in held:
            connection.answer(request, result)

    def tell(self, done: int, **other: Any) -> None:
        """Tell the progress of everything that is held and asked to be told."""
        with self.changed:
            held = [
                (connection, request) for connection, request in self.held if "progress_token" in (request.params or {})
            ]
        for connection, request in held:
            connection.tell(request, {"done": done, "total": 9, "unit": "files", **other})

    def tell_all(self, method: str, params: Any) -> None:
        """Notify every connection."""
        for connection in self._open:
            connection.notify(method, params)

    def stop(self) -> None:
        """End as a killed daemon does: the listener and all connections at once."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            connection.end()
        with suppress(FileNotFoundError):
            os.unlink(self.path)


class Connection:
    def __init__(self, server: Server, channel: socket.socket) -> None:
        self.server = server
        self.channel = channel
        self.peer = Peer(1 << 20)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def end(self) -> None:
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def _serve(self) -> None:
        with self.channel:
            while True:
                try:
                    data, descriptors, _, _ = socket.recv_fds(self.channel, 65536, 16)
                except OSError:
                    return
                if not data:
                    return
                with self.lock:
                    events = self.peer.receive_data(data, descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                for event in events:
                    if not self._react(event):
                        return

    def _react(self, event: object) -> bool:
        server = self.server
        with server.changed:
            match event:
                case Request() | Notification():
                    server.requests.append((event.method, event.params))
                case Cancel(id):
                    server.cancelled.append(id)
            holds = isinstance(event, Request) and event.method in server.holding
            if isinstance(event, Request) and holds:
                server.held.append((self, event))
            server.changed.notify_all()
        match event:
            case Reply(data):
                self.channel.sendall(data)
            case Close():
                return False
            case Request(_, "die", _):
                return False
            case Request() if holds:
                pass
            case Request(_, "echo", params):
                self.answer(event, params)
            case Request():
                known = server.answers.get(event.method)
                if known == "die":
                    return False
                self.answer(event, _result(known, event.params))
        return True

    def notify(self, method: str, params: Any) -> None:
        with self.lock, suppress(OSError):
            self.channel.sendall(self.peer.send_notification(method, params))

    def tell(self, request: Request, progress: dict[str, Any]) -> None:
        self.notify("$/progress", {"token": request.params["progress_token"], **progress})

    def answer(self, request: Request, result: Any) -> None:
        if "progress_token" in (request.params or {}):
            for progress in self.server.progress:
                self.tell(request, progress)
        with self.lock:
            if isinstance(result, StoragedError | Refusal):
                data = error_text(self.peer, request, result.code, result.message, {"name": result.name, **result.data})
            else:
                data = result_text(self.peer, request, json.dumps(result).encode())
            with suppress(OSError):
                self.channel.sendall(data)


def _result(known: Any, params: Any) -> Any:
    try:
        return known(params) if callable(known) else known
    except (StoragedError, Refusal) as error:
        return error
