"""Walks through a store step by step: one table, one image, one layer or one directory a step.

::

    phase 0  tables          1  relations       2  images        3  layers        4  directories
             each file          each table         each record      each record      each listing
             └──── scope records ────┘             └──────── scopes files, contents ────────┘

What a step finds are candidates. They are reported only if a second look finds them again, their tables are unchanged,
and no writer was at work meanwhile. Otherwise the tables are read again and the same unit is checked again. So a store
that changes during the check produces no false finding. A unit that writers keep disturbing is reported as
``unsettled``.

A resume token says which unit was finished last. The order of units does not depend on the order of the tables, so a
token stays valid when the store changes and after a restart.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from typing import Final

from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.checking.directories import directories
from storaged.store.checking.findings import Finding, Subject, finding
from storaged.store.checking.image_data import check_image_data
from storaged.store.checking.layer_data import check_vfs_layer
from storaged.store.checking.look import Look, Scope
from storaged.store.checking.overlay_layers import check_overlay_layer
from storaged.store.checking.relations import check_relations, note_of
from storaged.store.checking.state import KINDS, State, Watcher
from storaged.store.checking.tables import check_store, check_table
from storaged.store.files import EXHAUSTED, Files
from storaged.store.inventory import TableKind, table_files
from storaged.store.tables import ImageRow, LayerRow, StoreLocation
from storaged_client.contract.errors import InvalidParams, StoreBusy

_PAUSES: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds before each further look at a unit that a writer disturbed."""

_PATIENCE: Final = 5.0
"""The total of such pauses in one walk, in seconds: the check must end even beside a writer that never stops."""

_VERSION: Final = "1"
_STORE: Final = "store"
_DRIVERS: Final = frozenset({"overlay", "vfs"})
"""The drivers whose layers are checked; for others only the tables and the images are."""

_TABLE, _RELATIONS, _IMAGE, _LAYER, _DIRECTORY = range(5)

Key = tuple[int, int, str]
"""(phase, store, id of the unit); orders the units."""


class Step(Struct, frozen=True, kw_only=True):
    """A finished unit; or, with the same ``done`` as before, a part of a long one.

    ``resume`` continues after it; None at the end.
    """

    findings: tuple[Finding, ...] = ()
    key: Key
    """The last finished unit."""
    done: int
    total: int
    resume: str | None
    note: str | None = None
    """Something that is not wrong, but matters before another tool repairs the store."""
    unsettled: str | None = None
    """A unit that could not be judged: a writer disturbed every look, or we may not read it."""


def walk(
    location: StoreLocation,
    *,
    scope: Scope = "files",
    resume: str | None = None,
    files: Files | None = None,
    metrics: Metrics | None = None,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> Generator[Step, None, None]:
    """Check a store; blocking, without any lock, and without changing anything but access times.

    Close the generator to stop between two steps. ``clock`` is seconds since 1970, ``pause`` waits.

    Raises:
        InvalidParams: ``resume`` is not a token of this scope.
        StoreBusy: the tables cannot be read because descriptors or memory ran out.
    """
    return _Walk(location, scope, files or Files(), metrics or Metrics(), clock, pause).run(key_of(resume, scope))


def token_of(scope: Scope, key: Key) -> str:
    """The resume token that continues after a unit."""
    return f"{_VERSION}.{scope}.{key[0]}.{key[1]}.{key[2]}"


def key_of(token: str | None, scope: Scope) -> Key:
    """The unit after which a resume token continues; without a token, a key before all units.

    Raises:
        InvalidParams: it is not a token of this scope.
    """
    if token is None:
        return (0, 0, "")
    parts = token.split(".", 4)
    if (
        len(parts) != 5
        or parts[0] != _VERSION
        or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts[2:4])
    ):
        raise InvalidParams("this is not a valid resume token; use the token unchanged", path="$.resume")
    if parts[1] != scope:
        raise InvalidParams(f"this token belongs to scope {parts[1][:20]!r}; use the same scope", path="$.resume")
    return int(parts[2]), int(parts[3]), parts[4]


class _Walk:
    def __init__(
        self,
        location: StoreLocation,
        scope: Scope,
        files: Files,
        metrics: Metrics,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._location = location
        self._scope: Scope = scope
        self._files = files
        self._clock = clock
        self._pause = pause
        self._patience = _PATIENCE
        self._watcher = Watcher(location, files, metrics)
        self._tables = table_files(location)
        self._directories = {(each.store, each.path): each for each in directories(location)}
        self._look: Look
        self._images: dict[tuple[int, str], ImageRow]
        self._layers: dict[tuple[int, str], LayerRow]
        self._units: list[Key] = []

    def run(self, after: Key) -> Generator[Step, None, None]:
        try:
            self._begin()
            key = after
            if not self._remaining(key):
                yield Step(key=key, done=len(self._units), total=len(self._units), resume=None)
            while remaining := self._remaining(key):
                unit = self._units[-remaining]
                for outcome in self._unit(unit):
                    if outcome is None:
                        done = len(self._units) - self._remaining(key)
                        yield Step(key=key, done=done, total=len(self._units), resume=token_of(self._scope, key))
                        continue
                    left = self._remaining(unit)
                    yield Step(
                        key=unit,
                        findings=outcome.findings,
                        unsettled=outcome.unsettled,
                        note=self._note(unit),
                        done=len(self._units) - left,
                        total=len(self._units),
                        resume=token_of(self._scope, unit) if left else None,
                    )
                key = unit
        finally:
            self._watcher.close()

    def _begin(self) -> None:
        for pause in _PAUSES:
            if pause:
                self._pause(pause)
            try:
                self._renew()
            except OSError as error:
                lacking = error
            else:
                return
        text = (
            f"{lacking.filename}: {lacking.strerror}: the daemon lacks descriptors or memory at the moment; try again"
        )
        raise StoreBusy(text, file=lacking.filename)

    def _remaining(self, key: Key) -> int:
        return len(self._units) - bisect_right(self._units, key)

    # -------------------------------------------------------------- one unit

    def _unit(self, key: Key) -> Iterator[_Outcome | None]:
        """Look at one unit until nobody disturbs; yields None now and then during long reads."""
        hindered: OSError | None = None
        for pause in _PAUSES:
            if pause:
                if self._patience < pause:
                    break
                self._patience -= pause
                self._pause(pause)
                try:
                    self._renew()
                except OSError as error:
                    hindered = error
                    continue
            hindered = None
            try:
                candidates, forbidden = yield from self._candidates(key)
                if candidates:
                    # A repair may delete, so report only what both looks found.
                    self._look = self._looking(self._look.state)
                    again, _ = yield from self._candidates(key)
                    candidates = [each for each in candidates if each in again]
            except OSError as error:
                hindered = error
                continue
            if not candidates or self._watcher.settled(self._look.state, self._needs(key)):
                yield _Outcome(findings=tuple(candidates), unsettled=forbidden)
                return
        reason = "a writer disturbed every look"
        if hindered is not None:
            reason = f"{hindered.strerror}: the daemon lacked descriptors or memory"
        yield _Outcome(findings=(), unsettled=f"{self._words(key)}: {reason}")

    def _candidates(self, key: Key) -> Generator[None, None, tuple[list[Finding], str | None]]:
        """What one look finds, and why it could not see everything.

        Raises:
            OSError: the daemon lacks descriptors or memory, which says nothing about the unit.
        """
        found: list[Finding] = []
        try:
            for each in self._check(key):
                if each is None:
                    yield None
                else:
                    found.append(each)
        except PermissionError as error:
            return found, f"{error.filename}: we may not read it"
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            found.append(_unreadable(key, error))
        return found, None

    def _check(self, key: Key) -> Iterator[Finding | None]:
        phase, store, id = key
        look = self._look
        if phase == _TABLE:
            if id == _STORE:
                return check_store(look, store)
            return check_table(look, self._tables[int(id)])
        if phase == _RELATIONS:
            return check_relations(look, self._tables[int(id)])
        if phase == _IMAGE and (image := self._images.get((store, id))) is not None:
            return check_image_data(look, image)
        if phase == _LAYER and (layer := self._layers.get((store, id))) is not None and not layer.record.incomplete:
            if self._location.driver == "overlay":
                return check_overlay_layer(look, layer)
            return check_vfs_layer(look, layer)
        if phase == _DIRECTORY:
            directory = self._directories[store, id]
            return directory.check(look, directory.path, store)
        return iter(())

    def _note(self, key: Key) -> str | None:
        return note_of(self._look, self._tables[int(key[2])]) if key[0] == _RELATIONS else None

    def _needs(self, key: Key) -> tuple[TableKind, ...]:
        """The tables that a unit was compared with."""
        phase, store, id = key
        if phase == _DIRECTORY:
            return self._directories[store, id].kinds
        if phase in (_TABLE, _RELATIONS):
            kind = self._tables[int(id)].kind if id != _STORE else "images"
            return (kind,) if phase == _TABLE else {"layers": KINDS[:1], "images": KINDS[:2], "containers": KINDS}[kind]
        return ("images",) if phase == _IMAGE else ("layers",)

    def _words(self, key: Key) -> str:
        phase, _, id = key
        if phase in (_TABLE, _RELATIONS):
            return self._tables[int(id)].path if id != _STORE else "store"
        return {_IMAGE: f"image {id}", _LAYER: f"layer {id}", _DIRECTORY: id}[phase]

    # -------------------------------------------------------------- all units

    def _renew(self) -> None:
        """Read the tables again if they changed, and list the units."""
        state = self._watcher.look()
        self._look = self._looking(state)
        self._images = {(row.store, row.record.id): row for row in state.images}
        self._layers = {(row.store, row.record.id): row for row in reversed(state.layers)}
        units = [(_TABLE, store, _STORE) for store in range(1, len(self._location.additional) + 1)]
        for index, table in enumerate(self._tables):
            units += [(phase, table.store, f"{index:05}") for phase in (_TABLE, _RELATIONS)]
        if self._scope != "records":
            units += [(_IMAGE, *each) for each in self._images]
            if self._location.driver in _DRIVERS:
                units += [(_LAYER, *each) for each in self._layers]
                units += [(_DIRECTORY, *each) for each in self._directories]
        self._units = sorted(units)

    def _looking(self, state: State) -> Look:
        return Look(location=self._location, files=self._files, state=state, scope=self._scope, now=self._clock())


class _Outcome(Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]
    unsettled: str | None


def _unreadable(key: Key, error: OSError) -> Finding:
    kinds: dict[int, Subject] = {_TABLE: "table", _RELATIONS: "table", _IMAGE: "image", _LAYER: "layer"}
    file = error.filename if isinstance(error.filename, str) else None
    detail = error.strerror or str(error)
    return finding("file_unreadable", kinds.get(key[0], "file"), key[2], detail, store=key[1], file=file)
