"""The query context: what answers depend on besides tables and known sizes, namely leases and short names.

::

    generation  =  INSTANCE ":" snapshots made of tables and sizes [ "." changes of leases and registries.conf ]

No new snapshot is made for them. A request's view (``views.View``) takes snapshot and context together, so all its
reads see one generation.
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
    """The context at one moment. ``number`` counts its changes since the daemon started."""

    number: int
    query_context: QueryContext


class ContextWatch:
    """The context now. ``registries`` is called each time; it limits by itself how often it checks the disk.

    ``podman_lists`` as in ``QueryContext``.
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
        """The context of this moment. Call it on the event loop only."""
        found, held, current = self._registries(), self.leases.by_image, self._current
        if found.fingerprint != self._fingerprint or held is not current.query_context.leases:
            self._fingerprint = found.fingerprint
            query_context = _with(found, structs.replace(current.query_context, leases=held))
            current = self._current = VersionedContext(number=current.number + 1, query_context=query_context)
        return current

    def read_lists_as_podman(self, podman_lists: bool) -> None:
        """Change ``podman_lists``: the same question may have another answer now, so the generation changes."""
        current = self.now()
        if current.query_context.podman_lists != podman_lists:
            query_context = structs.replace(current.query_context, podman_lists=podman_lists)
            self._current = VersionedContext(number=current.number + 1, query_context=query_context)

    def query_context(self) -> QueryContext:
        """The context for an operation, with the leases of this very moment. Can be called from any thread."""
        return structs.replace(self._current.query_context, leases=self.leases.by_image)


def without_leases(metrics: Metrics) -> ContextWatch:
    """The context of a store without leases and without a registries.conf."""
    return ContextWatch(Leases(metrics))


def _with(found: Registries, query_context: QueryContext) -> QueryContext:
    doubts = tuple(error.message for error in found.broken)
    return structs.replace(
        query_context, short_names=found.candidates, search_registries=found.search, short_name_doubts=doubts
    )
