"""The log of ``--log-level debug`` on standard error, in podman's form: requests, daemons, and times.

::

    time="2026-11-24T09:14:50+01:00" level=debug msg="images.exists answered after 1.3 ms"    in a pipe
    DEBU[0000] images.exists answered after 1.3 ms                                            on a terminal
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from storaged_client import spawn_record
from storaged_client.contract.version import PROTOCOL, VERSION

from .output import complain

_COARSE = 0.05
"""Seconds by which a file may seem older than it is: its time is that of the kernel's last tick."""

_MOST = 400
"""The maximum number of characters of parameters."""


class Log:
    """Belongs to one command; ``level`` is ``trace``, ``debug`` or ``info``: podman's default, ``warn``, logs less."""

    def __init__(self, level: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._debug = level in ("debug", "trace")
        self._clock = clock
        self._began = clock()
        self._began_at = time.time() - _COARSE
        self._started: Any = None
        """The pid of the daemon reported last."""

    def begin(self, command: str) -> None:
        self.debug(f"storagectl {VERSION} (protocol {PROTOCOL}): {command}")

    def debug(self, text: str) -> None:
        if self._debug:
            self._tell("debug", text)

    def info(self, text: str) -> None:
        self._tell("info", text)

    def watch(self, address: str, method: str, params: Any, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Make a request, and log it, its answer, and a daemon started for it.

        Raises: what ``ask`` does.
        """
        told = json.dumps(params, default=str) if params else "{}"
        self.debug(f"asking {address}: {method} {told if len(told) <= _MOST else f'{told[:_MOST]}…'}")
        began = self._clock()
        try:
            result = ask()
        except BaseException as error:
            self.reached(address)
            self.debug(f"{method} failed after {self._since(began)}: {type(error).__name__}: {error}")
            raise
        self.reached(address)
        state = f", generation {result['generation']}" if "generation" in result else ""
        self.debug(f"{method} answered after {self._since(began)}{state}")
        return result

    def reached(self, address: str) -> None:
        """Log the daemon behind this socket, if a client has started it since this command began."""
        pid = spawn_record.read(address, since=self._began_at).get("pid")
        if pid is not None and pid != self._started:
            self._started = pid
            self.info(f"a daemon was started, pid {pid}; its log is {spawn_record.log_path()}")

    def _since(self, began: float) -> str:
        return f"{(self._clock() - began) * 1000:.1f} ms"

    def _tell(self, level: str, text: str) -> None:
        if sys.stderr.isatty():
            complain(f"{level.upper()[:4]}[{int(self._clock() - self._began):04d}] {text}")
            return
        zone = time.strftime("%z")
        now = time.strftime("%Y-%m-%dT%H:%M:%S") + (f"{zone[:3]}:{zone[3:]}" if zone.strip("+-0") else "Z")
        complain(f'time="{now}" level={level} msg={json.dumps(text, ensure_ascii=False)}')
