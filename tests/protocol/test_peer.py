from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.jsonrpc.events import (
    Cancel,
    Close,
    Discard,
    ErrorResponse,
    Event,
    Notification,
    Reply,
    Request,
    Response,
    Stray,
)
from storaged_client.jsonrpc.messages import LocalProtocolError
from storaged_client.jsonrpc.peer import Peer
from tests.protocol.calculator import VECTORS, Calculator, brief
from tests.support.answers import error_text, result_text


def request(id: Any, method: str = "get_data", **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "id": id, **more}).encode() + b"\n"


def only(events: list[Event], kind: type) -> Any:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1
    return found[0]


def error_of(events: list[Event]) -> Any:
    return brief(json.loads(only(events, Reply).data))["error"]


# ---------------------------------------------------------------- ids and answers


def test_a_second_request_of_an_id_in_flight_is_refused_without_the_id() -> None:
    peer = Peer(1_000)
    (first,) = peer.receive_data(request(1))
    reply = json.loads(only(peer.receive_data(request(1)), Reply).data)
    assert (reply["error"]["code"], reply["id"], reply["error"]["data"]["id"]) == (-32600, None, 1)
    assert isinstance(first, Request)
    assert json.loads(result_text(peer, first, b"{}")) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert isinstance(only(peer.receive_data(request(1)), Request), Request)


def test_a_result_is_spliced_in_as_it_is() -> None:
    peer = Peer(1_000)
    (event,) = peer.receive_data(request("x"))
    assert isinstance(event, Request)
    assert result_text(peer, event, b' {"a" : 1}') == b'{"jsonrpc":"2.0","id":"x","result": {"a" : 1}}\n'


def test_a_second_answer_is_our_mistake() -> None:
    peer = Peer(1_000)
    (event,) = peer.receive_data(request(1))
    assert isinstance(event, Request)
    result_text(peer, event, b"1")
    with pytest.raises(LocalProtocolError):
        result_text(peer, event, b"1")
    with pytest.raises(LocalProtocolError):
        error_text(peer, event, -32603, "x")


def test_an_error_that_is_no_json_leaves_the_request_to_be_answered() -> None:
    peer = Peer(1_000)
    (event,) = peer.receive_data(request(1))
    assert isinstance(event, Request)
    with pytest.raises(LocalProtocolError):
        error_text(peer, event, 1001, "x", {"bad": object()})
    assert json.loads(error_text(peer, event, 1001, "x"))["error"] == {"code": 1001, "message": "x"}


def test_an_error_keeps_its_evidence() -> None:
    peer = Peer(1_000)
    (event,) = peer.receive_data(request(1))
    assert isinstance(event, Request)
    data = json.loads(error_text(peer, event, 3001, "busy", {"lock": "images.lock"}))["error"]["data"]
    assert data == {"lock": "images.lock"}


def test_cancel_names_a_request_in_flight_and_it_is_still_answered_once() -> None:
    peer = Peer(1_000)
    (event,) = peer.receive_data(request("a"))
    assert isinstance(event, Request)
    cancel = b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":%s}'
    assert peer.receive_data(cancel % b'{"id":"a"}') == [Cancel("a")]
    assert peer.receive_data(cancel % b'["a"]') == [Cancel("a")]
    assert json.loads(error_text(peer, event, -32800, "cancelled"))["error"]["code"] == -32800
    assert peer.receive_data(cancel % b'{"id":"a"}') == []


def test_a_reply_over_the_limit_becomes_an_error() -> None:
    peer = Peer(1_000, max_reply=100)
    (event,) = peer.receive_data(request(1))
    assert isinstance(event, Request)
    reply = json.loads(result_text(peer, event, b'"' + b"x" * 100 + b'"'))
    assert brief(reply) == {"error": {"code": 3009, "name": "TooLarge"}, "id": 1}


# ---------------------------------------------------------------- batches


def test_a_batch_is_answered_when_its_last_member_is() -> None:
    peer = Peer(1_000)
    events = peer.receive_data(b"[" + request(1).strip() + b"," + request(2).strip() + b",3]\n")
    one, two = (event for event in events if isinstance(event, Request))
    assert result_text(peer, two, b"2") == b""
    replies = json.loads(error_text(peer, one, 1001, "none", {"name": "ImageUnknown"}))
    assert [brief(reply)["id"] for reply in replies] == [1, 2, None]


def test_a_batch_over_the_limit_is_one_error_and_runs_nothing() -> None:
    peer = Peer(100_000)
    for count, code in ((100, None), (101, -32600)):
        members = b",".join(request(n).strip() for n in range(count))
        events = peer.receive_data(b"[" + members + b"]")
        if code is None:
            assert len(events) == count
            for event in events:
                assert isinstance(event, Request)
                result_text(peer, event, b"0")
        else:
            assert error_of(events)["code"] == code
            assert len(events) == 1


def test_the_replies_of_a_batch_are_bounded_together() -> None:
    peer = Peer(10_000, max_reply=1_000)
    events = peer.receive_data(b"[" + b",".join(request(n).strip() for n in range(10)) + b"]")
    sent = b""
    for event in events:
        assert isinstance(event, Request)
        sent += result_text(peer, event, b'"' + b"x" * 300 + b'"')
    replies = json.loads(sent)
    assert [("result" in reply) for reply in replies] == [True] * 3 + [False] * 7
    assert replies[-1]["error"]["code"] == 3009


# ---------------------------------------------------------------- bad input


def test_a_text_over_the_limit_is_told_and_the_connection_closed() -> None:
    peer = Peer(100)
    events = peer.receive_data(b'{"a":"' + b"x" * 200)
    assert error_of(events) == {"code": -32002, "name": "MessageTooLarge"}
    assert isinstance(events[-1], Close)
    assert peer.receive_data(request(1), (9,)) == [Discard((9,))]
    assert peer.receive_eof() == []
    assert peer.held == 0


def test_half_a_request_and_a_hang_up_is_a_parse_error() -> None:
    peer = Peer(100)
    assert peer.receive_data(b'{"jsonrpc"') == []
    events = peer.receive_eof()
    assert error_of(events) == {"code": -32700, "name": "ParseError"}
    assert isinstance(events[-1], Close)


def test_a_hang_up_between_texts_leaves_requests_to_be_answered() -> None:
    peer = Peer(100)
    (event,) = peer.receive_data(request(1))
    assert peer.receive_eof() == [Close("end of stream")]
    assert isinstance(event, Request)
    assert result_text(peer, event, b"1")


def test_deep_nesting_is_a_parse_error() -> None:
    peer = Peer(1 << 20)
    assert error_of(peer.receive_data(b"[" * 100_000 + b"]" * 100_000 + b"\n"))["code"] == -32700


def test_the_broken_batch_of_the_specification_is_answered_without_its_end() -> None:
    peer = Peer(1_000)
    text = b"""[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]"""
    events = peer.receive_data(text)
    assert error_of(events) == {"code": -32700, "name": "ParseError"}
    assert isinstance(events[-1], Close)


def test_only_a_text_begun_is_unfinished_and_expires() -> None:
    peer = Peer(1_000)
    assert peer.receive_data(request(1) + b" \n")
    assert not peer.unfinished
    assert peer.expire(30) == []
    assert peer.texts == 1
    assert peer.receive_data(b"{") == []
    assert peer.unfinished
    events = peer.expire(30, "text_seconds")
    assert error_of(events) == {"code": -32700, "name": "ParseError"}
    assert isinstance(events[0], Reply)
    assert events[0].limit == "text_seconds"
    assert isinstance(events[-1], Close)
    assert not peer.unfinished


def test_a_text_whose_descriptors_do_not_come_expires_and_gives_back_those_that_came() -> None:
    peer = Peer(1_000)
    assert peer.receive_data(request(1, fds=2), (7,)) == []
    assert peer.unfinished
    events = peer.expire(30)
    assert error_of(events)["code"] == -32050
    assert events[-1] == Discard((7,))


# ---------------------------------------------------------------- descriptors


def test_descriptors_are_taken_in_order() -> None:
    peer = Peer(1_000)
    first, second = peer.receive_data(request(1, fds=2) + request(2, fds=1), (10, 11, 12))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.fds, second.fds) == ((10, 11), (12,))


def test_further_batches_come_on_single_spaces() -> None:
    peer = Peer(1_000)
    assert peer.receive_data(request(1, fds=3), (10,)) == []
    assert peer.receive_data(b" ", (11,)) == []
    event = only(peer.receive_data(b" ", (12,)), Request)
    assert event.fds == (10, 11, 12)


def test_the_next_text_before_the_descriptors_is_a_mismatch_and_all_are_given_back() -> None:
    peer = Peer(1_000)
    assert peer.receive_data(request(1, fds=3), (10,)) == []
    events = peer.receive_data(request(2), (11,))
    assert error_of(events) == {"code": -32050, "name": "DescriptorMismatch"}
    assert only(events, Discard).fds == (10, 11)
    assert isinstance(only(events, Close), Close)


def test_garbage_before_the_descriptors_is_a_mismatch() -> None:
    peer = Peer(1_000)
    peer.receive_data(request(1, fds=1))
    assert error_of(peer.receive_data(b"x"))["code"] == -32050


def test_the_end_before_the_descriptors_is_a_mismatch() -> None:
    peer = Peer(1_000)
    peer.receive_data(request(1, fds=2), (10,))
    events = peer.receive_eof()
    assert error_of(events)["code"] == -32050
    assert only(events, Discard).fds == (10,)


def test_descriptors_nobody_announced_are_given_back() -> None:
    peer = Peer(1_000)
    events = peer.receive_data(request(1), (10,))
    assert only(events, Request).fds == ()
    assert only(events, Discard).fds == (10,)
    assert peer.receive_data(b" ", (11,)) == [Discard((11,))]


def test_descriptors_of_a_text_that_has_begun_are_kept() -> None:
    peer = Peer(1_000)
    text = request(2, fds=1)
    assert isinstance(only(peer.receive_data(request(1) + text[:5], (10,)), Request), Request)
    assert only(peer.receive_data(text[5:]), Request).fds == (10,)


def test_descriptors_piled_on_one_text_are_refused() -> None:
    peer = Peer(1_000, max_fds=4)
    assert peer.receive_data(b'{"jsonrpc"', (1, 2, 3, 4)) == []
    events = peer.receive_data(b":", (5,))
    assert error_of(events)["code"] == -32050
    assert only(events, Discard).fds == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("text", [b'{"fds":1}', b'{"jsonrpc":"2.0","fds":1,"result":1,"id":4}'])
def test_descriptors_of_what_is_no_request_are_given_back(text: bytes) -> None:
    assert only(Peer(1_000).receive_data(text, (10,)), Discard).fds == (10,)


# ---------------------------------------------------------------- two peers


def pump(client: Peer, server: Calculator, data: bytes, size: int) -> list[Event]:
    for start in range(0, len(data), size):
        server.receive(data[start : start + size])
    sent, server.sent = server.sent, b""
    events: list[Event] = []
    for start in range(0, len(sent), size):
        events += client.receive_data(sent[start : start + size])
    return events


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_two_peers_understand_each_other(size: int, lines: bool) -> None:
    client, server = Peer(10_000, lines=lines), Calculator(Peer(10_000))
    first, data = client.send_request("subtract", [5, 3])
    second, more = client.send_request("nothing", {"a": "é"}, id="mine")
    events = pump(client, server, data + client.send_notification("n", None) + client.send_cancel(7) + more, size)
    assert events[0] == Response(first, 2)
    assert isinstance(events[1], ErrorResponse)
    assert (second, events[1].id, events[1].error["data"]["name"]) == ("mine", "mine", "MethodNotFound")
    assert server.requests[1].params == {"a": "é"}


def test_both_ends_may_ask() -> None:
    left, right = Peer(1_000), Peer(1_000)
    id, data = left.send_request("x", None)
    (asked,) = right.receive_data(data)
    back, data = right.send_request("y", None)
    assert back == id
    (asked_back,) = left.receive_data(data)
    assert isinstance(asked, Request)
    assert isinstance(asked_back, Request)
    assert left.receive_data(result_text(right, asked, b"1")) == [Response(id, 1)]
    assert right.receive_data(result_text(left, asked_back, b"2")) == [Response(back, 2)]
    assert right.receive_data(left.send_notification("n", [1])) == [Notification("n", [1], size=43)]


def test_an_answer_to_nothing_and_a_second_answer_are_strays() -> None:
    peer = Peer(1_000)
    id, _ = peer.send_request("x", None)
    answer = json.dumps({"jsonrpc": "2.0", "id": id, "result": None}).encode()
    assert peer.receive_data(answer) == [Response(id, None)]
    assert isinstance(only(peer.receive_data(answer), Stray), Stray)


def test_an_error_without_an_id_reaches_the_one_who_asks() -> None:
    peer = Peer(1_000)
    data = b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"no","data":{"name":"ParseError"}},"id":null}'
    event = only(peer.receive_data(data), ErrorResponse)
    assert (event.id, event.error["code"]) == (None, -32700)


def test_an_id_of_ours_cannot_be_used_twice_and_params_must_be_json() -> None:
    peer = Peer(1_000)
    peer.send_request("x", None, id="a")
    with pytest.raises(LocalProtocolError):
        peer.send_request("x", None, id="a")
    for bad in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(LocalProtocolError):
            peer.send_request("x", bad)


# ---------------------------------------------------------------- anything at all


fragments = st.sampled_from([vector["send"].encode() for vector in VECTORS]) | st.binary(max_size=30)


@given(
    parts=st.lists(fragments, max_size=8),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=10),
    fds=st.lists(st.integers(0, 3), min_size=1, max_size=10),
)
def test_no_input_raises_or_leaks_a_descriptor_or_grows(parts: list[bytes], cuts: list[int], fds: list[int]) -> None:
    limit = 300
    server = Calculator(Peer(limit, max_fds=4))
    data = b"".join(parts)
    at = step = given_out = 0
    while at < len(data):
        size, count = cuts[step % len(cuts)], fds[step % len(fds)]
        server.receive(data[at : at + size], range(given_out, given_out + count))
        assert server.peer.held <= limit + size
        assert server.peer.in_flight == 0
        at, step, given_out = at + size, step + 1, given_out + count
    server.hang_up()
    taken = [fd for request in server.requests for fd in request.fds]
    assert sorted(taken + server.discarded) == list(range(given_out))
    assert server.peer.work <= 4 * len(data) + 16
    server.replies()


def test_a_result_goes_out_in_its_parts_and_is_not_copied() -> None:
    peer = Peer(1000)
    result = [b'{"a":[1,', b"2]}"]
    [event] = peer.receive_data(b'{"jsonrpc":"2.0","id":"x","method":"m"}')
    assert isinstance(event, Request)
    parts = peer.result_parts(event, result)
    assert all(any(part is own for part in parts) for own in result)
    assert b"".join(parts) == b'{"jsonrpc":"2.0","id":"x","result":{"a":[1,2]}}\n'
    with pytest.raises(LocalProtocolError):
        peer.result_parts(event, result)


def test_the_results_of_a_batch_are_not_copied_and_one_too_long_is_an_error() -> None:
    peer = Peer(1000, max_reply=100)
    text = b"[%s]" % b",".join(b'{"jsonrpc":"2.0","id":%d,"method":"m"}' % number for number in (1, 2, 3))
    first, second, third = (event for event in peer.receive_data(text) if isinstance(event, Request))
    own = b'"first"'
    assert peer.result_parts(first, (own,)) == ()
    assert peer.result_parts(second, (b'"' + b"x" * 200 + b'"',)) == ()
    parts = peer.error_parts(third, -32603, "wrong")
    assert any(part is own for part in parts)
    replies = json.loads(b"".join(parts))
    assert [("result" in reply, "error" in reply) for reply in replies] == [(True, False), (False, True), (False, True)]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100, "request_bytes"),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","fds":3}', "descriptors"),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","fds":"no"}', ""),
        (b"[1,2,3]", "batch"),
        (b"[]", ""),
        (b"?", ""),
    ],
)
def test_a_refusal_names_the_limit_that_was_gone_over(text: bytes, limit: str) -> None:
    events = Peer(100, max_batch=2, max_fds=2).receive_data(text)
    assert [event.limit for event in events if isinstance(event, Reply)] == [limit]


def test_a_request_knows_how_long_its_text_was() -> None:
    peer = Peer(1000)
    text = b'{"jsonrpc":"2.0","id":1,"method":"m","params":["%s"]}' % (b"x" * 50)
    [alone] = peer.receive_data(text + b"\n")
    assert isinstance(alone, Request)
    assert alone.size == len(text)
    batch = peer.receive_data(b"[" + text.replace(b'"id":1,', b"") + b"]")
    assert [event.size for event in batch if isinstance(event, Notification)] == [len(text) - 5]


def test_an_abandoned_peer_keeps_nothing_and_takes_nothing() -> None:
    peer = Peer(1000)
    peer.receive_data(b'{"jsonrpc":"2.0","id":1,"method":"m"}\n{"jsonrpc":"2.0","id":2,')
    peer.abandon()
    assert (peer.in_flight, peer.held) == (0, 0)
    assert peer.receive_data(b'"method":"m"}\n', [7]) == [Discard((7,))]
