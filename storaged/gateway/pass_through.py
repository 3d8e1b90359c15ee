"""Passes requests on to podman: checks who may, keeps connections, records and logs what may change something."""

from __future__ import annotations

import secrets
from typing import Any, Final

import anyio
import h11
from attrs import frozen

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.errors import ApiError
from storaged.gateway.identity import Identity
from storaged.gateway.pass_exchange import ClientGone, Exchange, Unanswered
from storaged.gateway.pass_heads import for_podman
from storaged.gateway.pass_rights import PassRights
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.podman_facts import DOCKER_INFO, LIBPOD_INFO, VERSION, PodmanFacts
from storaged.gateway.podman_socket import NoPodman, PodmanConnection, PodmanSocket
from storaged.gateway.request import Link, Request
from storaged.gateway.without_podman import WithoutPodman
from storaged.metrics import Metrics
from storaged.service.access import audit, audit_refused

AUDITED: Final = "podman.pass"
"""The method that the audit line names."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_OF_REFUSED: Final = 300
"""Characters of the logged target of a request that was refused."""


@frozen(kw_only=True)
class PassTerms:
    """Where podman is, and who may have requests passed on to it."""

    podman: PodmanSocket
    rights: PassRights


class PassThrough:
    """podman as the gateway's upstream. One for each daemon; ``terms`` may be replaced.

    Each client's connection has one to podman, opened when it is first needed and kept as long as possible.
    """

    def __init__(self, terms: PassTerms, metrics: Metrics, changes: PassedChanges) -> None:
        self.terms = terms
        self.changes = changes
        self._metrics = metrics
        self._without = WithoutPodman()
        self._facts = PodmanFacts()
        self._via = b"storaged-" + secrets.token_hex(8).encode()
        self._kept: dict[int, PodmanConnection] = {}
        """By the number of the client's connection; absent while it is in use."""

    def revise(self, terms: PassTerms) -> None:
        """Use other terms from now on, over new connections; requests in progress continue."""
        if terms != self.terms:
            self.terms = terms
            self._facts.forget()
            for number in list(self._kept):
                self._forget(number)

    async def may_pass(self, request: Request) -> bool:
        """As in ``Upstream``: podman is there if it accepts a connection, which is kept for the request to be passed
        on."""
        if not self.terms.rights.may_pass(request.session.credentials):
            return False
        try:
            podman = await self._connected(request.link.number)
        except ApiError:
            return False
        self._keep(request.link, podman)
        return True

    @property
    def identity(self) -> Identity:
        return self._facts.identity

    async def introduce(self) -> None:
        if not self._facts.introduced:
            await self._facts.get(self.terms.podman, VERSION)

    async def version(self) -> dict[str, Any] | None:
        return await self._facts.get(self.terms.podman, VERSION)

    async def info(self, request: Request) -> dict[str, Any] | None:
        if not self.terms.rights.may_pass(request.session.credentials):
            return None
        what = LIBPOD_INFO if request.libpod else DOCKER_INFO
        return await self._facts.get(self.terms.podman, what, self.changes.number)

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """Have podman answer, or answer that there is no podman; None if podman answered.

        Raises:
            ApiError: this is the answer: the client may not, or podman does not answer.
            BrokenResourceError: the connection is at its end: nobody is left, or the answer broke off.
        """
        head = connection.head
        assert head is not None
        try:
            self.terms.rights.check(request.session.credentials)
            asked = for_podman(head, via=self._via)
        except ApiError as error:
            if request.method == "CONNECT":
                connection.end_after_answer()  # what follows is not meant for us
            if request.method not in _SAFE:
                audit_refused(request.session, AUDITED, target=_target(head)[:_OF_REFUSED], result=str(error.status))
            raise
        self._metrics.add("gateway.passed")
        record = _Record(request, head, self.changes)
        connection.passing = True
        try:
            await self._exchange(connection, head, asked, record)
        except NoPodman as error:
            record.answered(error.status)
            return await self._without.pass_on(connection, request)
        except ApiError as error:
            self._metrics.add("gateway.pass_failed")
            record.answered(error.status)
            raise
        except ClientGone as error:
            raise anyio.BrokenResourceError(str(error)) from None
        finally:
            connection.passing = False
            record.unanswered()
        return None

    async def _exchange(
        self, connection: HttpConnection, head: h11.Request, asked: h11.Request, record: _Record
    ) -> None:
        """Pass it on; send it again if podman closed an idle connection just as it was reused."""
        terms = self.terms
        podman, again = await self._connected(connection.number), False
        while True:
            exchange = Exchange(connection, podman, head, moved=record.moved, heard=self._facts.heard, again=again)
            keep = False
            try:
                await exchange.run(asked)
                # Under other terms there may be another podman.
                keep = not exchange.tunnel_opened and terms == self.terms and podman.next_exchange()
            except Unanswered:
                if record.changes or not (podman.used and exchange.repeatable):
                    raise
            else:
                if exchange.tunnel_opened:
                    self._metrics.add("gateway.tunnels")
                if keep:
                    self._keep(connection, podman)
                if not exchange.body_sent:
                    connection.end_after_answer()
                return
            finally:
                if not keep:
                    podman.close()
            podman, again = await self.terms.podman.connect(), True

    async def _connected(self, number: int) -> PodmanConnection:
        kept = self._kept.pop(number, None)
        if kept is not None:
            if not kept.stale:
                return kept
            kept.close()
        return await self.terms.podman.connect()

    def _keep(self, connection: Link, podman: PodmanConnection) -> None:
        self._kept[connection.number] = podman
        connection.session.at_end((self, "podman"), lambda: self._forget(connection.number))

    def _forget(self, number: int) -> None:
        kept = self._kept.pop(number, None)
        if kept is not None:
            kept.close()


def _target(head: h11.Request) -> str:
    """Method and path as one word. The query is left out, because clients put passwords there."""
    path = head.target.partition(b"?")[0]
    if not path.startswith(b"/"):
        # Drop the host of an absolute target: a password may come before it.
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return (head.method + b":" + path).decode("ascii", "backslashreplace")


class _Record:
    """The record of a request that may change something, and its line in the log.

    The line is written as soon as podman answers: an attached session may go on for days.
    """

    def __init__(self, request: Request, head: h11.Request, changes: PassedChanges) -> None:
        self.changes = request.method not in _SAFE
        self._request = request
        self._head = head
        self._passed = changes
        self._told = not self.changes

    def moved(self, status: int) -> None:
        """Called by ``Exchange``."""
        if self.changes:
            self._passed.moved()
        self.answered(status)

    def answered(self, result: int | str) -> None:
        if not self._told:
            self._told = True
            audit(self._request.session, AUDITED, target=_target(self._head), result=str(result))

    def unanswered(self) -> None:
        """The client left, or the daemon is stopping: whatever podman did by then is done."""
        if not self._told:
            self._passed.moved()
            self.answered("unfinished")
