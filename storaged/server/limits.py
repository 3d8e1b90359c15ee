"""The limits of the protocol, which the settings file may change and no client can."""

from __future__ import annotations

from attrs import asdict, frozen

from storaged.engine.leases import IMAGES_PER_UID as LEASED_IMAGES
from storaged.engine.leases import PER_UID as LEASES
from storaged.engine.leases import TOTAL as TOTAL_LEASES
from storaged.engine.leases import TOTAL_IMAGES as TOTAL_LEASED_IMAGES
from storaged.engine.tokens import Bounds, Cursors, Plans
from storaged_client.json_limits import REPLY_BYTES

PARSED = 20
"""How many times the size of its text a request may take once it is parsed."""


@frozen(kw_only=True)
class Limits:
    """Every limit of the protocol: sizes in bytes, times in seconds."""

    connections: int = 256
    request_bytes: int = 1 << 20
    reply_bytes: int = REPLY_BYTES
    descriptors: int = 16
    """Of one message."""
    batch: int = 100
    in_flight: int = 64
    """Of one connection; then reading stops."""
    in_flight_bytes: int = 4 << 20
    """Texts of one connection's requests in flight; then reading stops. Parsed, they take ``PARSED`` times as much."""
    waiting_bytes: int = 1 << 20
    """Of one connection's answers that wait to be written; then reading stops."""
    stall_seconds: int = 30
    """A peer that reads nothing for this long is disconnected."""
    text_seconds: int = 30
    """A peer that takes this long to send the rest of a text is disconnected."""
    drain_seconds: int = 10
    """From the first SIGTERM to the exit."""
    uid_connections: int = 255
    uid_in_flight: int = 1024
    uid_bytes: int = 256 << 20
    uid_request_bytes: int = 16 << 20
    total_in_flight: int = 4096
    """Of all users together, like every ``total_`` limit."""
    total_bytes: int = 384 << 20
    total_request_bytes: int = 24 << 20
    cursors: int = Cursors.usual.per_uid
    """Paged listings of one uid; the oldest is dropped first."""
    cursor_seconds: int = Cursors.usual.seconds
    plans: int = Plans.usual.per_uid
    """Of one uid; the oldest is dropped first."""
    plan_seconds: int = Plans.usual.seconds
    leases: int = LEASES
    leased_images: int = LEASED_IMAGES
    """In all leases of one uid; an image counts once in each."""

    total_cursors: int = Cursors.usual.total
    total_plans: int = Plans.usual.total
    total_leases: int = TOTAL_LEASES
    total_leased_images: int = TOTAL_LEASED_IMAGES

    @property
    def of_cursors(self) -> Bounds:
        """Bounds of paged listings."""
        return Bounds(per_uid=self.cursors, total=self.total_cursors, seconds=self.cursor_seconds)

    @property
    def of_plans(self) -> Bounds:
        """Bounds of the plans of dry runs."""
        return Bounds(per_uid=self.plans, total=self.total_plans, seconds=self.plan_seconds)

    def most_memory(self) -> int:
        """Bytes that all clients together can make the daemon hold, apart from the store itself."""
        return self.total_bytes + PARSED * self.total_request_bytes + self.connections * self.request_bytes

    def as_facts(self) -> dict[str, int]:
        return asdict(self)
