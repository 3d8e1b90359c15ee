"""The port by which methods reach the process that hosts them (``server.lifecycle`` implements it)."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen


@frozen(kw_only=True)
class HostFacts:
    """What ``server.info`` tells of the process. ``started`` is RFC 3339, ``limits`` as configured."""

    backend: str
    socket: str
    api_socket: str | None = None
    """The gateway's; None where there is no gateway."""
    podman_socket: str | None = None
    """What the gateway passes on to; None where it passes nothing on."""
    started: str
    limits: dict[str, int]


class Host(Protocol):
    def facts(self) -> HostFacts:
        """The facts that do not change while the daemon lives."""
        ...

    def gauges(self) -> dict[str, float]:
        """Numbers of this moment: ``connections``, ``requests_in_flight``."""
        ...

    def shutdown(self, reason: str) -> None:
        """Begin to drain. Returns at once; the reply of the caller is still sent."""
        ...
