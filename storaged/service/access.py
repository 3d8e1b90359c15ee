"""Who may change the store: uid 0, the daemon's own uid, and the configured uids and gids.

The socket's mode decides who may connect, and every peer may read; the credentials taken at accept decide who may
change anything. Each mutation is logged, even if refused or failed, without any rate limit::

    audit method=images.tag uid=0 pid=4711 target=localhost/app:1,localhost/app:2 result=ok
    audit method=images.prune uid=0 pid=4711 target=- result=ok removed=0f3c…,9be1… part=1/2

``removed`` has the ids of the removed images. What is too long for one line of the journal continues in the next.
Anybody can repeat without end what does not even begin (``NotPermitted``, a quota reached): for each method and uid
one line a minute is written, with the number of the others.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import zip_longest
from typing import Any

from anyio import CancelScope, get_cancelled_exc_class
from anyio.to_thread import run_sync
from attrs import define, fields
from msgspec import Struct

from storaged.logs import ALWAYS, Whole, repeats
from storaged.service.params import structure
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract.errors import NotPermitted, StoragedError
from storaged_client.contract.methods import METHODS, Method

_LINE = "audit method=%s uid=%d pid=%d target=%s result=%s"

audit_log = logging.getLogger("storaged.audit")
audit_log.setLevel(logging.INFO)  # whatever log_level says: each mutation leaves its line

_TARGETS = frozenset({"name", "names", "tags", "image", "images", "digest", "plan"})
"""Parameters that name the target of a mutation."""

_PART = 8000
"""Characters of a target, or of removed ids, in one line: the journal splits lines of 48 KiB."""

_LONG_TARGET = 64 << 10
"""Length of a target, in characters, above which a thread writes the line."""

_OF_REFUSED = 300
"""Characters of the target of a mutation that did not begin."""


class Access(Struct, frozen=True, kw_only=True):
    """The rule. ``uids`` and ``gids`` come from the configuration."""

    own_uid: int
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def may_mutate(self, session: Session) -> bool:
        who = session.credentials
        if who.uid in (0, self.own_uid) or who.uid in self.uids:
            return True
        return who.gid in self.gids or not self.gids.isdisjoint(who.groups)

    def check(self, session: Session, method: Method) -> None:
        """Refuse a mutation that the peer may not make.

        Raises:
            NotPermitted: the peer may read only.
        """
        if method.mutates and not self.may_mutate(session):
            raise NotPermitted(
                f"uid {session.credentials.uid} may not call {method.name}: only root, uid {self.own_uid} and the "
                "uids and gids of the configuration may change anything",
                {"uid": session.credentials.uid, "method": method.name},
            )


@define
class AuditEntry:
    """The contents of a mutation's line, as far as they are known."""

    target: str = "-"
    result: str = "InternalError"
    removed: Iterable[str] = ()

    def succeed(self, params: Any, result: object) -> None:
        """The mutation was answered with this result."""
        self.result, self.removed = result_of(result), tuple(removed_of(params, result))


@asynccontextmanager
async def audited(session: Session, method: str) -> AsyncIterator[AuditEntry]:
    """The scope of a mutation: its line is written at the end, whatever happens."""
    entry = AuditEntry()
    try:
        yield entry
    except get_cancelled_exc_class():
        entry.result = "RequestCancelled"
        raise
    except StoragedError as error:
        entry.result = error.name
        raise
    finally:
        write = partial(audit, session, method, target=entry.target, result=entry.result, removed=entry.removed)
        if len(entry.target) <= _LONG_TARGET:
            write()
        else:
            with CancelScope(shield=True):
                await run_sync(write)


def audit(session: Session, method: str, *, target: str, result: str, removed: Iterable[str] = ()) -> None:
    """Write the line of a mutation, or several if it is long. ``target`` comes from ``target_of``, ``removed`` has the
    ids of the removed images."""
    who = session.credentials
    lines = list(zip_longest(_parts(target), _parts(",".join(removed)), fillvalue="-"))
    for number, (part, gone) in enumerate(lines, 1):
        text, more = _LINE, [Whole(part), result]
        if gone:
            text += " removed=%s"
            more.append(Whole(gone))
        if len(lines) > 1:
            text += " part=%s"
            more.append(f"{number}/{len(lines)}")
        audit_log.info(text, method, who.uid, who.pid, *more, extra=ALWAYS)


def audit_refused(session: Session, method: str, *, target: str, result: str) -> None:
    """Write the line of a mutation that did not begin, once a minute for each kind; the target may be cut."""
    who = session.credentials
    repeated = repeats(method=method, uid=who.uid, result=result)
    audit_log.info(_LINE, method, who.uid, who.pid, target, result, extra=repeated)


def _parts(text: str) -> list[str]:
    """Split a list of words into pieces that fit into lines, between two words if possible."""
    found = []
    while len(text) > _PART:
        at = text.rfind(",", 1, _PART + 1)
        found.append(text[: at if at > 0 else _PART])
        text = text[at + 1 if at > 0 else _PART :]
    return [*found, text]


def audit_unbegun(session: Session, method: str, params: object, result: str) -> None:
    """Write the line of a mutation that was refused, or given up, before it began; nothing for other methods."""
    row = METHODS.get(method)
    if row is None or not row.mutates:
        return
    try:
        target = target_of(structure(row, params)[1], whole=False)
    except StoragedError:
        target = "-"
    audit_refused(session, method, target=target, result=result)


def target_of(params: Any, *, whole: bool = True) -> str:
    """The target of a mutation as one word without spaces or control characters; ``whole`` keeps all of it."""
    named: list[str] = []
    for attribute in fields(type(params)):
        if attribute.name in _TARGETS:
            value = getattr(params, attribute.name)
            named += (value,) if isinstance(value, str) else value or ()
    if not named:
        return "-"
    if not whole:
        named = [name[:_OF_REFUSED] for name in named[:_OF_REFUSED]]
    return (
        ",".join(named)[: None if whole else _OF_REFUSED].encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
    )


def removed_of(params: Any, result: object) -> Iterator[str]:
    """The ids of the removed images; none for a dry run."""
    if isinstance(result, t.PruneReport) and not getattr(params, "dry_run", False):
        yield from (gone.id for gone in result.removed)


def result_of(result: object) -> str:
    """The result of a mutation that was answered: ``ok``, the error that stopped all of it, or ``partial``."""
    if not isinstance(result, t.PruneReport) or not result.failed:
        return "ok"
    if result.removed or result.untagged:
        return "partial"
    return str(result.failed[0].error.data.get("name", "partial"))
