"""``$/progress`` notifications for requests with a ``progress_token``.

At most ten a second, and none while the last one waits to be written: a slow reader gets fewer, but always the newest.
None is sent once the request is answered.
"""

from __future__ import annotations

import anyio

from storaged.service.session import Session
from storaged_client.contract.errors import InvalidParams

_LONGEST_TOKEN = 200
"""Characters of a token, which comes back with every notification."""

INTERVAL = 0.1
"""Least seconds between two notifications of one request."""


class Progress:
    """The notifications of one request; none without a token. Belongs to the event loop.

    Raises:
        InvalidParams: the token is too long.
    """

    __slots__ = ("_last", "_over", "_session", "_token", "_waiting")

    def __init__(self, session: Session, token: str | int | None) -> None:
        if isinstance(token, str) and len(token) > _LONGEST_TOKEN:
            text = f"progress_token may have at most {_LONGEST_TOKEN} characters: it comes back with every message"
            raise InvalidParams(text, path="$.progress_token")
        self._session = session
        self._token = token
        self._waiting = False
        self._over = token is None
        self._last = -INTERVAL

    def tell(self, done: int, total: int, unit: str, message: str = "") -> None:
        """``done`` of ``total`` things, which ``unit`` names in the plural, are done."""
        now = anyio.current_time()
        if self._over or self._waiting or now - self._last < INTERVAL:
            return
        self._last, self._waiting = now, True
        params = {"token": self._token, "done": done, "total": total, "unit": unit, "message": message}
        self._session.notify("$/progress", params, self._written)

    def end(self) -> None:
        """The request is about to be answered."""
        self._over = True

    def _written(self) -> None:
        self._waiting = False
