"""What answers depend on besides the tables and the known sizes: the leases and the short names of this moment.

::

    generation  =  INSTANCE ":" snapshots made of tables and sizes [ "." changes of leases and registries.conf ]

A snapshot is not made anew for them, but what a request is answered from (``views.View``) takes both at once, so
that all reads of one request see one generation.
"""

from __future__ import annotations

import platform
from collections.abc import Callable

from msgspec import Struct, structs

from storaged.engine.leases import Leases
from storaged.metrics import Metrics
from storaged.operations.query_context import HostPlatform, QueryContext, normalise_platform
from storaged.store.registries import Registries


class VersionedContext(Struct, frozen=True, kw_only=True):
    """Those of one moment. ``number`` counts the changes since the daemon started."""

    number: int
    query_context: QueryContext


class ContextWatch:
    """The circumstances now. ``registries`` is asked each time: it bounds by itself how often it looks at the disk.

    ``podman_lists`` as in ``View``.
    """

    def __init__(
        self,
        leases: Leases,
        registries: Callable[[], Registries] = Registries,
        host: HostPlatform | None = None,
        *,
        podman_lists: bool = False,
    ) -> None:
        self.leases = leases
        self._registries = registries
        found = registries()
        host = host or normalise_platform(platform.system(), platform.machine())
        self._fingerprint = found.fingerprint
        query_context = QueryContext(platform=host, leases=leases.by_image, podman_lists=podman_lists)
        self._current = VersionedContext(number=0, query_context=_with(found, query_context))

    def now(self) -> VersionedContext:
        """The circumstances of this moment. For the event loop."""
        found, held, current = self._registries(), self.leases.by_image, self._current
        if found.fingerprint != self._fingerprint or held is not current.query_context.leases:
            self._fingerprint = found.fingerprint
            query_context = _with(found, structs.replace(current.query_context, leases=held))
            current = self._current = VersionedContext(number=current.number + 1, query_context=query_context)
        return current

    def read_lists_as_podman(self, podman_lists: bool) -> None:
        """Change what ``podman_lists`` was at the start: another answer to the same question, so another generation."""
        current = self.now()
        if current.query_context.podman_lists != podman_lists:
            query_context = structs.replace(current.query_context, podman_lists=podman_lists)
            self._current = VersionedContext(number=current.number + 1, query_context=query_context)

    def query_context(self) -> QueryContext:
        """What an operation is asked with now; the leases are those of this very moment. From any thread."""
        return structs.replace(self._current.query_context, leases=self.leases.by_image)


def without_leases(metrics: Metrics) -> ContextWatch:
    """The circumstances of a store that nobody leases from, without a registries.conf."""
    return ContextWatch(Leases(metrics))


def _with(found: Registries, query_context: QueryContext) -> QueryContext:
    doubts = tuple(error.message for error in found.broken)
    return structs.replace(
        query_context, short_names=found.candidates, search_registries=found.search, short_name_doubts=doubts
    )
