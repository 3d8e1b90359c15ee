"""One run of a command: its flags and arguments, and the daemon behind them, connected when first asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .flags import Options, UsageError, seconds
from .output import complain

if TYPE_CHECKING:
    from storaged_client.sync import Client

_PAGE = 10_000
"""Items a page: well below the limit of a reply, and one page for nearly every store."""


class Invocation:
    """The options and arguments of a command, and ``call``.

    A reply that is not of the present state of the store is announced by one line on standard error, on a
    terminal or not: standard output and the exit status stay what they would be.
    """

    def __init__(self, options: Options, arguments: list[str]) -> None:
        self.options = options
        self.arguments = arguments
        self._client: Client | None = None
        self._told_stale = False

    def call(self, method: str, params: Any = None) -> dict[str, Any]:
        """The result of one request.

        Raises:
            StoragedError: the daemon answered with an error.
            DaemonUnavailable: none listens and none may or can be started.
            RequestTimeout: ``--timeout`` was up.
            SocketForbidden: the socket is not ours to use.
        """
        timeout = seconds(self.options.text("timeout"))
        if self._client is None:
            import storaged_client

            spawn = not self.options.on("no-spawn")
            self._client = storaged_client.connect(self.options.text("socket"), spawn=spawn, timeout=timeout)
        result: dict[str, Any] = self._client.call(method, params, timeout=timeout)
        stale = result.get("stale")
        if stale is not None and not self._told_stale:
            self._told_stale = True
            complain(f"storagectl: {stale_text(stale)}")
        return result

    def pages(self, method: str, params: dict[str, Any], member: str) -> list[Any]:
        """All items of a listing that comes in pages; the later ones are of the generation of the first.

        Raises: as ``call``.
        """
        items: list[Any] = []
        params = {**params, "limit": _PAGE}
        while True:
            result = self.call(method, params)
            items += result[member]
            cursor = result.get("next_cursor")
            if cursor is None:
                return items
            params = {**params, "cursor": cursor}

    def one_argument(self) -> str:
        """The only argument.

        Raises:
            UsageError: none, or several.
        """
        if len(self.arguments) != 1:
            raise UsageError(f"accepts 1 arg(s), received {len(self.arguments)}")
        return self.arguments[0]

    def no_arguments(self) -> None:
        """Refuse arguments.

        Raises:
            UsageError: there are some.
        """
        if self.arguments:
            raise UsageError(f"accepts no arguments, received {len(self.arguments)}")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def stale_text(stale: dict[str, Any]) -> str:
    """Why an answer is of an earlier state, in one sentence."""
    shown = f"showing the state of {stale['age_ms'] / 1000:.1f} s ago"
    reason = stale.get("reason")
    if reason == "unreadable":
        return f"{shown}: {stale.get('file') or 'a table of the store'} cannot be read"
    if reason == "incomplete":
        shown = "showing what could be read when the daemon started"
    return f"{shown}: {holder_text(stale)}"


def holder_text(stale: dict[str, Any]) -> str:
    """Who holds which lock, as far as the kernel tells."""
    lock = stale.get("lock") or "a lock of the store"
    holder = stale.get("holder") or {}
    mode = {"write": " for writing", "read": " for reading"}.get(holder.get("mode") or "", "")
    text = f"{lock} is held{mode}"
    if holder.get("pid") is not None:
        text += f" by pid {holder['pid']}"
        if holder.get("command"):
            text += f" ({holder['command']})"
    return text
