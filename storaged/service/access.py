"""Who may change anything: uid 0, the daemon's own uid, and those of the configuration (interface §2).

The socket's mode is the door, the credentials taken at accept are the room: whoever is let in may read. Each
mutation leaves one line in the log, refused and failed ones too::

    audit method=images.tag uid=0 pid=4711 target=localhost/app:1,localhost/app:2 result=ok
"""

from __future__ import annotations

import logging
from typing import Any

from attrs import fields
from msgspec import Struct

from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams, NotPermitted, StoragedError
from storaged_client.contract.methods import METHODS, Method
from storaged_client.contract.params import Common

audit_log = logging.getLogger("storaged.audit")
audit_log.setLevel(logging.INFO)  # whatever log_level says: each mutation leaves its line

_TARGETS = frozenset({"name", "names", "tags", "image", "images", "digest", "plan"})
"""Parameters that say what a mutation is about."""

_LONGEST = 300
"""Characters of a target: a line of the journal is for people."""


class Access(Struct, frozen=True, kw_only=True):
    """The rule. ``uids`` and ``gids`` are those of the configuration."""

    own_uid: int
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def may_mutate(self, session: Session) -> bool:
        who = session.credentials
        if who.uid in (0, self.own_uid) or who.uid in self.uids:
            return True
        return who.gid in self.gids or not self.gids.isdisjoint(who.groups)

    def check(self, session: Session, method: Method) -> None:
        """Let a mutation pass or not.

        Raises:
            NotPermitted: the peer may read only.
        """
        if method.mutates and not self.may_mutate(session):
            raise NotPermitted(
                f"uid {session.credentials.uid} may not call {method.name}: only root, uid {self.own_uid} and the "
                "uids and gids of the configuration may change anything",
                {"uid": session.credentials.uid, "method": method.name},
            )


def audit(session: Session, method: str, *, target: str, result: str) -> None:
    """The one line that each mutation leaves. ``target`` is as ``target_of`` makes it."""
    who = session.credentials
    audit_log.info("audit method=%s uid=%d pid=%d target=%s result=%s", method, who.uid, who.pid, target, result)


def audit_unbegun(session: Session, method: str, params: object, result: str) -> None:
    """The line of a mutation that was refused, or given up, before it could begin; other methods leave none."""
    row = METHODS.get(method)
    if row is None or not row.mutates:
        return
    try:
        target = target_of(structure(row, params)[1])
    except StoragedError:
        target = "-"
    audit(session, method, target=target, result=result)


def structure(row: Method, params: object) -> tuple[Common, Any]:
    """The common parameters of a request, and the method's own.

    Raises:
        InvalidParams: one is wrong, or there is one too many.
    """
    if params is not None and not isinstance(params, dict | list):
        raise InvalidParams("params must be an object or an array", {"path": "$"})
    common, own = wire.split_common(params)
    return common, wire.structure_params(row.params, own)


def target_of(params: Any) -> str:
    """What the parameters of a mutation are about, in one word without spaces or control characters."""
    named: list[str] = []
    size = 0
    for attribute in fields(type(params)):
        if attribute.name not in _TARGETS:
            continue
        value = getattr(params, attribute.name)
        for one in (value,) if isinstance(value, str) else value or ():
            named.append(one[:_LONGEST])
            size += len(named[-1])
            if size > _LONGEST:
                break
    if not named:
        return "-"
    text = ",".join(named).encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def result_of(result: t.Result) -> str:
    """The word for a mutation that was answered: ``ok``, or what hindered all of it (``partial``: some of it)."""
    if not isinstance(result, t.PruneReport) or not result.failed:
        return "ok"
    if result.removed or result.untagged:
        return "partial"
    return str(result.failed[0].error.data.get("name", "partial"))
