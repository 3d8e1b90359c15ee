"""One run of a command: its flags and arguments, and the daemon, connected on first use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .flags import Options, UsageError, seconds
from .output import complain, overwrite

if TYPE_CHECKING:
    from storaged_client.progress import Progress
    from storaged_client.storage_conf import Flags
    from storaged_client.sync import Client

    from ..contract.plain import Caller, Stale
    from .log import Log

_PAGE = 10_000
"""Items per page: well below the limit of a reply, and one page for nearly every store."""
_LISTINGS = 3

_WHERE = ("socket", "root", "runroot", "storage-driver")
"""The flags that select the daemon."""


class Invocation:
    """The options and arguments of a command, and ``call``.

    If a reply does not show the present state of the store, a line on standard error says so, on a terminal or not;
    standard output and the exit status are not affected.
    """

    def __init__(self, options: Options, arguments: list[str], words: tuple[str, ...] = ()) -> None:
        self.options = options
        self.arguments = arguments
        self._words = words
        self._client: Client | None = None
        self._told_stale = False
        self._log: Log | None = None
        level = options.text("log-level")
        if level in ("trace", "debug", "info"):
            import shlex

            from .log import Log

            self._log = Log(level)
            self._log.begin(shlex.join(words))

    @property
    def call(self) -> Caller:
        """Make one request, and return its raw result.

        ``watched``: progress is shown if somebody can see it. ``descriptors`` are passed with it.

        Raises:
            StoragedError: the daemon answered with an error.
            DaemonUnavailable: none listens and none may or can be started.
            RequestTimeout: the ``--timeout`` expired.
            SocketForbidden: we may not use the socket.
        """
        return self._call

    def _call(
        self, method: str, params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()
    ) -> Any:
        timeout = seconds(self.options.text("timeout"))
        if self._client is None:
            self._client = self.connect(spawn=not self.options.on("no-spawn"), timeout=timeout)
            if self._log is not None:
                self._log.reached(self._client.address)
        client, log = self._client, self._log
        listener = _show if watched and sys.stderr.isatty() else None

        def ask() -> Any:
            return client.call(method, params, timeout=timeout, progress=listener, descriptors=descriptors)

        try:
            result = ask() if log is None else log.watch(client.address, method, params, ask)
        finally:
            if listener is not None:
                overwrite("")
        stale = result.get("stale")
        if stale is not None and not self._told_stale:
            self._told_stale = True
            complain(f"storagectl: {stale_text(stale)}")
        return result

    def connect(self, *, spawn: bool, timeout: float | None) -> Client:
        """A separate client for the daemon that the flags select.

        Raises:
            StoragedError, ClientError: as ``call``.
        """
        import storaged_client

        client = storaged_client.connect(
            self.options.text("socket"),
            spawn=spawn,
            timeout=timeout,
            root=self.options.text("root"),
            runroot=self.options.text("runroot"),
            storage_driver=self.options.text("storage-driver"),
            storage_opt=self.options.many("storage-opt"),
        )
        if client.notice:
            complain(f"storagectl: {client.notice}")
        return client

    def store_flags(self) -> Flags:
        """podman's flags that name a store."""
        from storaged_client.storage_conf import Flags

        options = self.options
        return Flags(
            options.text("root"), options.text("runroot"), options.text("storage-driver"), options.many("storage-opt")
        )

    def skew(self) -> str:
        """A notice about a daemon of another version; empty if it has this version, or was not asked yet."""
        return self._client.skew() if self._client is not None else ""

    def pages(self, method: str, params: dict[str, Any], member: str) -> list[Any]:
        """All items of a listing in pages; later pages are of the generation of the first.

        If the generation is gone before the last page, because the daemon that kept it is, the listing begins again.

        Raises: as ``call``.
        """
        for _ in range(_LISTINGS - 1):
            try:
                return self._listing(method, params, member)
            except _generation_gone():
                continue
        return self._listing(method, params, member)

    def _listing(self, method: str, params: dict[str, Any], member: str) -> list[Any]:
        items: list[Any] = []
        params = {**params, "limit": _PAGE}
        while True:
            result = self.call(method, params)
            items += result[member]
            cursor = result.get("next_cursor")
            if cursor is None:
                return items
            # The cursor stands for the whole request; the daemon accepts nothing else with it.
            params = {"limit": _PAGE, "cursor": cursor}

    def one_argument(self) -> str:
        """The only argument.

        Raises:
            UsageError: none, or several.
        """
        if len(self.arguments) != 1:
            raise UsageError(f"accepts 1 arg(s), received {len(self.arguments)}")
        return self.arguments[0]

    def at_least(self, number: int) -> list[str]:
        """The arguments.

        Raises:
            UsageError: there are fewer.
        """
        if len(self.arguments) < number:
            raise UsageError(f"requires at least {number} arg(s), only received {len(self.arguments)}")
        return self.arguments

    def own_command(self, *words: str) -> str:
        """A command of storagectl for the same daemon."""
        import shlex

        where = [part for name in _WHERE if (value := self.options.text(name)) for part in (f"--{name}", value)]
        return shlex.join(("storagectl", *where, *words))

    def reaching(self, text: str) -> str:
        """A text of the daemon, with its storagectl commands changed to reach the same daemon."""
        own = self.own_command()
        return text if own == "storagectl" else text.replace("storagectl ", f"{own} ")

    def podmans_command(self) -> str:
        """The podman command for the same request."""
        import shlex

        return f"podman {shlex.join(self._words)}"

    def local_image(self, name: str) -> str:
        """The name of an image in the store.

        Raises:
            UsageError: it names a registry or a file with a transport.
        """
        if "://" in name:
            raise UsageError(f"{name}: only images of the local store; use: {self.podmans_command()}")
        return name

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


def _generation_gone() -> type[Exception]:
    from storaged_client.contract.errors import GenerationGone  # only after an exception

    return GenerationGone


def _show(progress: Progress) -> None:
    overwrite(f"{progress.message} {progress.done} of {progress.total} {progress.unit}".lstrip())


def stale_text(stale: Stale) -> str:
    """One sentence that says why an answer shows an earlier state."""
    shown = f"showing the state of {stale['age_ms'] / 1000:.1f} s ago"
    reason = stale.get("reason")
    if reason == "unreadable":
        return f"{shown}: {stale.get('file') or 'a table of the store'} cannot be read"
    if reason == "incomplete":
        shown = "showing what could be read when the daemon started"
    return f"{shown}: {holder_text(stale)}"


def holder_text(stale: Stale) -> str:
    """The lock and its holder, as far as the kernel tells."""
    lock = stale.get("lock") or "a lock of the store"
    holder = stale.get("holder") or {}
    mode = {"write": " for writing", "read": " for reading"}.get(holder.get("mode") or "", "")
    text = f"{lock} is held{mode}"
    if holder.get("pid") is not None:
        text += f" by pid {holder['pid']}"
        if holder.get("command"):
            text += f" ({holder['command']})"
    return text
