"""Who may change anything: uid 0, the daemon's own uid, and those of the configuration (interface §2).

The socket's mode is the door, the credentials taken at accept are the room: whoever is let in may read.
"""

from __future__ import annotations

import logging

from attrs import frozen

from storaged.service.session import Session
from storaged_client.contract.errors import NotPermitted
from storaged_client.contract.methods import Method

audit_log = logging.getLogger("storaged.audit")


@frozen(kw_only=True)
class Access:
    """The rule. ``uids`` and ``gids`` are those of the configuration."""

    own_uid: int
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def may_mutate(self, session: Session) -> bool:
        who = session.credentials
        return who.uid in (0, self.own_uid) or who.uid in self.uids or who.gid in self.gids

    def check(self, session: Session, method: Method) -> None:
        """Let a mutation pass or not.

        Raises:
            NotPermitted: the peer may read only.
        """
        if method.mutates and not self.may_mutate(session):
            audit(session, method.name, target="-", result="NotPermitted")
            raise NotPermitted(
                f"uid {session.credentials.uid} may not call {method.name}: only root, uid {self.own_uid} and the "
                "uids and gids of the configuration may change anything",
                {"uid": session.credentials.uid, "method": method.name},
            )


def audit(session: Session, method: str, *, target: str, result: str) -> None:
    """The one line that each mutation leaves, refused ones too."""
    who = session.credentials
    audit_log.info("audit method=%s uid=%d pid=%d target=%s result=%s", method, who.uid, who.pid, target, result)
