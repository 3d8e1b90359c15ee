"""What a peer says to one stream, held against the reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from storaged_client.jsonrpc.events import (
    Cancel,
    Close,
    Discard,
    ErrorResponse,
    Notification,
    Reply,
    Request,
    Response,
    Stray,
)
from storaged_client.jsonrpc.peer import Peer
from tests.support.answers import result_text

from .inputs import Input
from .reference import Bounds, Meaning, Message

BOUNDS = Bounds(text=48 * 1024)
ASKED = 3
"""Requests of our own that are in flight, with the ids from 1."""


class Trace:
    """What a peer said to one stream, and what it wrote when each request was answered by its number."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.requests: list[Request] = []
        self.answers: list[Any] = []
        self.codes: list[int] = []
        self.descriptors: list[int] = []
        self.closes = 0
        self.sent = 0
        self.work = self.held = self.left = 0

    def note(self, event: object) -> None:
        match event:
            case Request():
                self.requests.append(event)
                self.events.append(("request", event.id, event.method, event.params, event.fds))
                self.descriptors += event.fds
            case Notification():
                self.events.append(("notification", event.method, event.params, event.fds))
                self.descriptors += event.fds
            case Cancel():
                self.events.append(("cancel", event.id))
            case Response():
                self.events.append(("response", event.id, event.result, event.fds))
                self.descriptors += event.fds
            case ErrorResponse():
                self.events.append(("error", event.id, event.error))
            case Stray():
                self.events.append(("stray", event.id))
            case Reply():
                self.events.append(("reply", brief(event.data)))
            case Discard():
                self.descriptors += event.fds
            case Close():
                self.closes += 1
                if len(self.events) and self.events[-1][0] == "reply" and event.reason != "end of stream":
                    self.codes.append(self.events.pop()[1][0])

    def problem(self, each: Input) -> str:
        """What no input may bring about, whatever it means."""
        if self.closes != 1:
            return f"closed {self.closes} times"
        if sorted(self.descriptors) != list(range(each.fds)):
            return f"of {each.fds} descriptors these came out: {sorted(self.descriptors)}"
        if self.work > 4 * self.sent + 16:
            return f"{self.work} bytes looked at for {self.sent}"
        if self.held > BOUNDS.text + self.sent or self.left:
            return f"{self.held} bytes held, {self.left} requests in flight at the end"
        return ""

    def differs(self, said: Meaning) -> str:
        """The first difference from what the reference says."""
        if repr(self.events) != repr(said.events):
            pairs = zip([*self.events, ("nothing",)], [*said.events, ("nothing",)], strict=False)
            first = next((pair for pair in pairs if repr(pair[0]) != repr(pair[1])), None)
            return f"the peer says, and the reference: {first!r:.500}"
        if (self.codes and self.codes[0] not in said.fault) or bool(self.codes) != bool(said.fault):
            return f"the peer ends with {self.codes}, the reference with {set(said.fault)}"
        if repr(self.answers) != repr([_brief(answer) for answer in said.answers]):
            return f"written, and by the reference: {self.answers!r:.250}, {said.answers!r:.250}"
        return ""


def listen(peer: Peer, chunks: Sequence[Message]) -> Trace:
    """Give a peer the whole stream and its end, then answer all that it was asked."""
    trace = Trace()
    for _ in range(ASKED):
        peer.send_request("x", None)
    for chunk in chunks:
        for event in peer.receive_data(chunk.data, chunk.fds):
            trace.note(event)
        trace.sent += len(chunk.data)
        trace.held = max(trace.held, peer.held)
    for event in peer.receive_eof():
        trace.note(event)
    written = b"".join(
        result_text(peer, request, str(number).encode()) for number, request in enumerate(trace.requests, start=1)
    )
    trace.answers = [_brief_reply(json.loads(line)) for line in written.splitlines()]
    trace.work, trace.left = peer.work, peer.in_flight
    return trace


def brief(reply: bytes) -> Any:
    """Of each error its code and id."""
    value = json.loads(reply)
    if isinstance(value, list):
        return [(part["error"]["code"], part["id"]) for part in value]
    return value["error"]["code"], value["id"]


def _brief_reply(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_brief_reply(part) for part in reply]
    return (reply["error"]["code"] if "error" in reply else reply["result"], reply["id"])


def _brief(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_brief(part) for part in answer]
    return (answer["error"] if "error" in answer else answer["result"], answer["id"])
