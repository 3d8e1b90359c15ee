"""Metrics of each request. A class, since a generator costs more than the answer to a repeated question."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Final

from storaged.metrics import Metrics
from storaged_client.contract.errors import StoragedError
from storaged_client.contract.methods import METHODS

_NAMES: Final = {method: f"requests.{method}" for method in (*METHODS, "rpc.discover")}
"""Methods with their own metrics; all others share those of ``unknown``."""

_log = logging.getLogger(__name__)


class RequestMetrics:
    """The scope in which a request is answered: counts it, its time and its error.

    ``continued``: answering continues in another scope, which counts instead.
    """

    __slots__ = ("_began", "_method", "_metrics", "continued")

    def __init__(self, metrics: Metrics, method: str) -> None:
        self._metrics = metrics
        self._method = method
        self.continued = False

    def __enter__(self) -> RequestMetrics:
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        metrics = self._metrics
        if not self.continued:
            seconds = time.perf_counter() - self._began
            name = _NAMES.get(self._method, "requests.unknown")
            metrics.spend(name, seconds)
            if error is not None:
                metrics.add(f"{name}.errors")
            _log.debug("request method=%s seconds=%.6f failed=%s", self._method, seconds, error is not None)
        if isinstance(error, StoragedError):
            metrics.add(f"errors.{error.name}")
