"""A real socket with a thread behind it that answers JSON-RPC requests from a table."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Answer = Callable[[Any], Any]
"""Parameters → the ``result``, or an exception of ``Refusal``."""


class Refusal(Exception):
    """Becomes the ``error`` object."""

    def __init__(self, code: int, name: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": {"name": name, **data}}


class Answerer:
    """Answers on every connection, one request after the other; ``requests`` is what was asked."""

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        self.path = path
        self.requests: list[tuple[str, Any]] = []
        self.progress: list[dict[str, Any]] = []
        """Told before each answer to who asked with a token."""
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channels: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Answerer:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for channel in (self._listener, *self._channels):
            try:
                channel.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
        for channel in (self._listener, *self._channels):
            channel.close()

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            self._channels.append(channel)
            self._start(self._serve, channel)

    def _serve(self, channel: socket.socket) -> None:
        waiting = b""
        while True:
            try:
                received = channel.recv(65536)
            except OSError:
                return
            if not received:
                return
            waiting += received
            *lines, waiting = waiting.split(b"\n")
            for line in filter(bytes.strip, lines):
                request = json.loads(line)
                reply = self._reply(request)
                if reply is None:
                    continue
                try:
                    for told in self._progress(request):
                        channel.sendall(json.dumps(told).encode() + b"\n")
                    channel.sendall(json.dumps(reply).encode() + b"\n")
                except OSError:
                    return

    def _progress(self, request: Any) -> list[Any]:
        token = (request.get("params") or {}).get("progress_token")
        if token is None:
            return []
        return [
            {"jsonrpc": "2.0", "method": "$/progress", "params": {"token": token, **told}} for told in self.progress
        ]

    def _reply(self, request: Any) -> Any:
        if "id" not in request:
            return None
        method, params = request["method"], request.get("params")
        self.requests.append((method, params))
        base = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return {**base, "result": self._answers[method](params)}
        except Refusal as refusal:
            return {**base, "error": refusal.error}
