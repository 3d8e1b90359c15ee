"""Clients that ask without a pause, of a daemon that comes and goes, and what becomes of each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.client import Client
from tests.support.daemon import PATIENCE


class Load:
    """``answered`` counts by the daemon's pid; ``faults`` are requests that were taken and not answered."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.answered: dict[int, int] = {}
        self.faults: list[str] = []
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._run, args=(1000 * number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Return when every client has the answers it waits for."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        while not self._ended.is_set():
            try:
                with Client(self.path) as client:
                    self._ask(client, seed)
            except Exception as error:
                self.faults.append(repr(error))
                return

    def await_another_daemon(self) -> None:
        """Return when one has answered that had not before, or something went wrong."""
        known = len(self.answered)
        deadline = time.monotonic() + PATIENCE
        while len(self.answered) == known and not self.faults and time.monotonic() < deadline:
            time.sleep(0.01)

    def _ask(self, client: Client, seed: int) -> None:
        pid = 0
        for number in range(seed, seed + 50):
            method = "images.list" if pid else "server.info"
            try:
                client.ask(method, {}, id=number)
            except (BrokenPipeError, ConnectionResetError):
                return  # the daemon drains, and took no byte of it
            # What the kernel took must be answered, whatever happens to the daemon meanwhile.
            answer = client.line()
            assert answer["id"] == number
            if "result" not in answer:
                assert answer["error"]["data"]["name"] == "ShuttingDown", answer
                continue
            pid = pid or int(answer["result"]["pid"])
            self.answered[pid] = self.answered.get(pid, 0) + 1


@contextmanager
def under_load(path: str, clients: int = 4) -> Iterator[Load]:
    load = Load(path)
    load.begin(clients)
    try:
        yield load
    finally:
        load.end()
