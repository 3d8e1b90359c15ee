"""Clients that ask at fixed moments, whether or not the last answer has come, and tell how late each answer was.

A client that waited for its answer before it asked again would ask least while the daemon is slowest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.client import Client, RpcError

Question = tuple[str, dict[str, Any]]


class Paced:
    """``clients`` connections that together ask ``rate`` questions a second, in turn."""

    def __init__(self, path: str, questions: Sequence[Question], *, clients: int = 4, rate: float = 100.0) -> None:
        self._path = path
        self._questions = questions
        self._clients = [Client(path) for _ in range(clients)]
        self._rate = rate
        self._lock = threading.Lock()
        self.errors: list[str] = []

    def window(self, seconds: float) -> list[float]:
        """Seconds from the moment each question was due to its answer."""
        began = time.monotonic() + 0.05
        count = max(len(self._clients), round(seconds * self._rate))
        times: list[float] = []
        with ThreadPoolExecutor(len(self._clients)) as threads:
            for part in threads.map(lambda lane: self._ask(lane, began, count), range(len(self._clients))):
                times += part
        return times

    def _ask(self, lane: int, began: float, count: int) -> list[float]:
        times = []
        for number in range(lane, count, len(self._clients)):
            due = began + number / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
            method, params = self._questions[number % len(self._questions)]
            try:
                self._clients[lane].call(method, **params)
            except (RpcError, OSError) as error:
                with self._lock:
                    self.errors.append(f"{method}: {error}")
                if isinstance(error, OSError):
                    self._clients[lane].close()
                    self._clients[lane] = Client(self._path)
            times.append(time.monotonic() - due)
        return times

    def close(self) -> None:
        for client in self._clients:
            client.close()
