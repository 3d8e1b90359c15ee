"""What a service manager hears of a daemon: the datagrams of sd_notify."""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path

from tests.support.daemon import PATIENCE


class Manager:
    """A socket that receives them."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard: list[str] = []

    def await_field(self, field: str) -> str:
        """Listen until a datagram has a line that begins so."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.socket], [], [], 0.5)
            if ready:
                text = self.socket.recv(4096).decode()
                self.heard.append(text)
                for line in text.splitlines():
                    if line.startswith(field):
                        return line
        raise AssertionError(f"{field!r} was not told, but {self.heard}")

    def close(self) -> None:
        self.socket.close()
