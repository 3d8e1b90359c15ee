"""Whose a descriptor is where a sender's counts are wrong: that of the text it was sent with, or nobody's."""

from __future__ import annotations

import json

from storaged_client.jsonrpc.events import Close, Discard, Event, Reply, Request
from storaged_client.jsonrpc.peer import Peer


def _call(id: int, fds: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "m", "fds": fds}).encode()


def _taken(events: list[Event]) -> dict[int, tuple[int, ...]]:
    return {int(str(event.id)): event.fds for event in events if isinstance(event, Request)}


def _dropped(events: list[Event]) -> list[int]:
    return [fd for event in events if isinstance(event, Discard) for fd in event.fds]


def test_a_text_that_lacks_descriptors_never_gets_those_of_the_next() -> None:
    peer = Peer(1_000)
    assert peer.receive_data(_call(1, 2), (10,)) == []
    events = peer.receive_data(b" \n" + _call(2, 1), (11,))
    assert _taken(events) == {}
    assert sorted(_dropped(events)) == [10, 11]
    (reply,) = (event for event in events if isinstance(event, Reply))
    assert json.loads(reply.data)["error"]["code"] == -32050
    assert any(isinstance(event, Close) for event in events)


def test_descriptors_that_lack_still_come_on_a_blank() -> None:
    peer = Peer(1_000)
    peer.receive_data(_call(1, 2), (10,))
    assert _taken(peer.receive_data(b" ", (11,))) == {1: (10, 11)}


def test_descriptors_beyond_the_count_never_go_to_the_next_text() -> None:
    peer = Peer(1_000)
    first = _call(1, 1)
    assert peer.receive_data(first[:5], (10, 11, 12)) == []
    events = peer.receive_data(first[5:] + _call(2, 1), (13,))
    assert _taken(events) == {1: (10,), 2: (13,)}
    assert _dropped(events) == [11, 12]
