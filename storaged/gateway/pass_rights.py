"""Who may have requests passed on to podman: uid 0, the daemon's own uid, and those in the settings.

A request that is passed on runs with the daemon's rights on podman's socket, and a user who may start a container there
may become the user that podman runs as. So nothing is inferred from the modes of either socket.
"""

from __future__ import annotations

from attrs import frozen

from storaged.gateway.errors import ApiError
from storaged.service.session import Credentials


@frozen(kw_only=True)
class PassRights:
    """The rule. ``uids`` and ``gids`` are ``[gateway] pass_uids`` and ``pass_gids``."""

    own_uid: int
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def may_pass(self, who: Credentials) -> bool:
        """Whether this peer's requests may be passed on to podman; each of its groups counts."""
        if who.uid in (0, self.own_uid) or who.uid in self.uids:
            return True
        return who.gid in self.gids or not self.gids.isdisjoint(who.groups)

    def check(self, who: Credentials) -> None:
        """Refuse a peer whose requests may not be passed on.

        Raises:
            ApiError: 403.
        """
        if not self.may_pass(who):
            raise ApiError(
                403,
                f"uid {who.uid} may not use podman through this socket: only root, uid {self.own_uid} and those whom "
                "pass_uids and pass_gids in the table [gateway] of storaged.toml name may",
                "not permitted",
            )
