"""The fuzzer finds nothing in the peer, and every mistake that is planted in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from storaged_client.jsonrpc.events import Discard, Event, Request
from storaged_client.jsonrpc.peer import Peer
from tests.acceptance.stress import cuts
from tests.acceptance.stress.examples import examples, requests
from tests.acceptance.stress.fuzz import corpus
from tests.acceptance.stress.fuzz_peer import Hang, fuzz, limited
from tests.acceptance.stress.reference import Bounds, Message, meaning
from tests.acceptance.stress.trace import BOUNDS
from tests.support.report import Report


def violations(peer: type[Peer], count: int = 600) -> list[str]:
    report = Report()
    fuzz(report, seed=1, count=count, corpus=corpus(), make=lambda: peer(BOUNDS.text), most=1)
    return report.violations


def test_the_peer_holds_under_a_few_thousand_inputs() -> None:
    assert violations(Peer, count=4_000) == []


class _Crashes(Peer):
    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        if b"\xff" in data:
            raise IndexError("planted")
        return super().receive_data(data, fds)


class _Hangs(Peer):
    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        while b"\xff" in data:
            pass
        return super().receive_data(data, fds)


class _LosesDescriptors(Peer):
    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        return [event for event in super().receive_data(data, fds) if not isinstance(event, Discard)]


class _MindsCuts(Peer):
    """A text that comes in two reads is another one."""

    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        before = self.held
        events = super().receive_data(data, fds)
        for event in events:
            if before and isinstance(event, Request) and isinstance(event.params, dict):
                event.params["cut"] = True
        return events


class _TakesWhatIsNoId(Peer):
    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        return super().receive_data(data.replace(b'"id": true', b'"id": 1'), fds)


class _NeverForgets(Peer):
    kept: ClassVar[list[bytes]] = []

    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> list[Event]:
        self.kept.append(data + b" ")
        return super().receive_data(data, fds)


@pytest.mark.parametrize(
    ("peer", "sign"),
    [
        (_Crashes, "crashed: IndexError"),
        (_Hangs, "no end after 1.0 s"),
        (_LosesDescriptors, "descriptors these came out"),
        (_MindsCuts, "the peer says, and the reference"),
        (_TakesWhatIsNoId, "the peer"),
        (_NeverForgets, "blocks of memory are left"),
    ],
)
def test_a_peer_with_a_mistake_is_found_out(peer: type[Peer], sign: str) -> None:
    assert sign in violations(peer, count=3_000)[0]


def test_a_peer_that_minds_cuts_is_found_out_by_the_examples() -> None:
    report = Report()
    cuts.into_peer(report, requests(examples()), make=lambda: _MindsCuts(BOUNDS.text))
    assert report.violations


def test_the_examples_of_the_document_are_found() -> None:
    text = 'Say `{"a": 1}`, or `{"id": …}`:\n```json\n{"b": {"c": 2}}\n{"a": 1}\n```\n'
    assert examples(text) == [b'{"a": 1}', b'{"b": {"c": 2}}']
    assert len(requests(examples())) >= 3


def test_a_hang_is_a_matter_of_processor_time() -> None:
    def never_end() -> None:
        with limited(0.05):
            while True:
                pass

    with pytest.raises(Hang):
        never_end()


# ---------------------------------------------------------------- the reference


def said(*messages: Message) -> tuple[list[str], set[int]]:
    found = meaning(messages, Bounds(text=100, fds=2))
    return [event[0] for event in found.events], set(found.fault)


CALL = b'{"jsonrpc":"2.0","id":%d,"method":"m","fds":%d}'


@pytest.mark.parametrize(
    ("messages", "events", "fault"),
    [
        ([Message(data=CALL % (1, 0) + CALL % (2, 0))], ["request", "request"], set()),
        ([Message(data=CALL % (1, 0) + b"}")], ["request"], {-32700}),
        ([Message(data=b'"' + b"x" * 99 + b'"')], [], {-32002}),
        ([Message(data=b"12true")], [], {-32700}),
        ([Message(data=b"12 true")], ["reply", "reply"], set()),
        ([Message(data=CALL % (1, 1))], [], {-32050}),
        ([Message(data=CALL % (1, 3), fds=(0, 1, 2))], [], {-32050}),
        ([Message(data=CALL % (1, 1), fds=(0,)), Message(data=CALL % (2, 1))], ["request"], {-32050}),
        ([Message(data=CALL % (1, 2), fds=(0,)), Message(data=b" ", fds=(1,))], ["request"], set()),
    ],
)
def test_the_reference_goes_by_the_documents(messages: list[Message], events: list[str], fault: set[int]) -> None:
    assert said(*messages) == (events, fault)
