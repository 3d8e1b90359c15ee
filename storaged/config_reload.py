"""Reloads the configuration: applies what can change at run time, and logs what needs a restart.

::

    limits  access  log_level  compat  idle_exit      apply at once
    any other setting, the location of the store      one log line says that they need a restart
    a file with a mistake                             one log line for each, and nothing changes
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from anyio.to_thread import run_sync
from attrs import AttrsInstance, evolve, fields, has

from storaged.errors import ConfigError
from storaged.settings import Settings
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoragedError

CHANGEABLE = frozenset({"limits", "access", "log_level", "compat", "idle_exit"})

_NO_SETTING = frozenset({"file", "fingerprint", "config_file", "alternatives", "chosen_by"})
"""Where something was read from, which changes nothing by itself."""

_log = logging.getLogger(__name__)


def differences(old: AttrsInstance, new: AttrsInstance) -> list[str]:
    """The names of the settings in which two values of one attrs class differ; of nested ones with a dot."""
    found = []
    for attribute in fields(type(old)):
        before, after = getattr(old, attribute.name), getattr(new, attribute.name)
        if before == after or attribute.name in _NO_SETTING:
            continue
        nested = differences(before, after) if has(type(before)) and type(before) is type(after) else []
        found += [f"{attribute.name}.{name}" for name in nested] or [attribute.name]
    return found


class Reconfiguration:
    """Applies changed settings. ``read`` and ``discover`` are blocking; ``apply`` gets the new settings.

    ``discover`` finds the present location of the store, ``location`` is the one being served.
    """

    def __init__(
        self,
        settings: Settings,
        location: StoreLocation,
        *,
        read: Callable[[], Settings],
        discover: Callable[[], StoreLocation],
        apply: Callable[[Settings], None],
    ) -> None:
        self._settings = settings
        self._location = location
        self._read = read
        self._discover = discover
        self._apply = apply

    async def run(self) -> None:
        """Read everything again and apply it as far as possible. Raises only when cancelled.

        A cancellation abandons a read that hangs: it holds nothing.
        """
        found = await run_sync(self._look, abandon_on_cancel=True)
        if found is None:
            return
        new, moved = found
        lasting = {name: getattr(self._settings, name) for name in _names(Settings) - CHANGEABLE - _NO_SETTING}
        settings = evolve(new, **lasting)
        changed = differences(self._settings, settings)
        late = differences(settings, new) + moved
        apply = settings != self._settings
        self._settings = settings
        # Log before the change, or after it if only the new level shows the line.
        heard = _log.isEnabledFor(logging.INFO)
        if heard:
            _log.info("configuration reloaded changed=%s", ",".join(changed) or "-")
        if apply:
            self._apply(settings)
        if not heard:
            _log.info("configuration reloaded changed=%s", ",".join(changed) or "-")
        if late:
            _log.warning("configuration changed that needs a restart settings=%s", ",".join(late))

    def _look(self) -> tuple[Settings, list[str]] | None:
        try:
            new = self._read()
        except ConfigError as error:
            for mistake in error.data.get("mistakes") or [error.message]:
                _log.error("configuration not reloaded file=%s mistake=%s", error.data.get("file"), mistake)
            return None
        try:
            moved = [f"storage.conf:{name}" for name in differences(self._location, self._discover())]
        except (StoragedError, OSError) as error:
            _log.error("storage.conf can no longer be used, the store is served at its old place error=%s", error)
            moved = []
        return new, moved


def _names(kind: type) -> set[str]:
    return {attribute.name for attribute in fields(kind)}
