"""Every example of the specification and every defined answer to bad input, cut at every byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storaged_client.jsonrpc.peer import Peer
from tests.protocol.calculator import VECTORS, Calculator, brief

LIMIT = 10_000

vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


def check(calculator: Calculator, vector: dict[str, Any]) -> None:
    replies = [brief(reply) for reply in calculator.replies()]
    assert replies == ([] if vector["reply"] is None else [vector["reply"]])
    if replies and isinstance(vector["reply"], dict):
        assert type(replies[0]["id"]) is type(vector["reply"]["id"])
    assert (calculator.closed is not None) == vector.get("closes", False)
    assert calculator.peer.in_flight == 0


@vectors
def test_answer_is_as_defined_whole(vector: dict[str, Any]) -> None:
    calculator = Calculator(Peer(LIMIT))
    calculator.receive(vector["send"].encode())
    if vector["send"].endswith("]") and calculator.closed is None and vector.get("closes"):
        calculator.hang_up()
    check(calculator, vector)


@vectors
def test_answer_is_the_same_cut_at_every_byte(vector: dict[str, Any]) -> None:
    data = vector["send"].encode()
    for cut in range(1, min(len(data), 500)):
        calculator = Calculator(Peer(LIMIT))
        calculator.receive(data[:cut])
        calculator.receive(data[cut:])
        check_at_end(calculator, vector)


@vectors
@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n\t"], ids=["bare", "lf", "blanks"])
def test_answer_is_the_same_byte_by_byte(vector: dict[str, Any], end: bytes) -> None:
    calculator = Calculator(Peer(LIMIT))
    for byte in vector["send"].encode() + end:
        calculator.receive(bytes([byte]))
    check_at_end(calculator, vector)


def check_at_end(calculator: Calculator, vector: dict[str, Any]) -> None:
    if vector.get("closes") and calculator.closed is None:
        calculator.hang_up()
    check(calculator, vector)


@pytest.mark.parametrize("between", [b"", b"\n", b" ", b"\r\n\r\n"], ids=["nothing", "lf", "space", "crlf"])
@pytest.mark.parametrize("size", [1, 7, 64, 4096, 1 << 20])
def test_texts_one_after_the_other_are_each_answered(between: bytes, size: int) -> None:
    good = [vector for vector in VECTORS if not vector.get("closes")]
    if size > 64:  # in one read an id may be in flight once
        seen: set[Any] = set()
        good = [vector for vector in good if is_new(vector["reply"], seen)]
    data = between.join(vector["send"].strip().encode() for vector in good) + b"\n"
    if between == b"":
        data = data.replace(b"12true", b"12 true")
    calculator = Calculator(Peer(LIMIT))
    for start in range(0, len(data), size):
        calculator.receive(data[start : start + size])
    expected = [vector["reply"] for vector in good if vector["reply"] is not None]
    assert [brief(reply) for reply in calculator.replies()] == expected
    assert calculator.closed is None


def is_new(reply: Any, seen: set[Any]) -> bool:
    parts = reply if isinstance(reply, list) else [reply] if reply else []
    ids = {part["id"] for part in parts if "result" in part or part["id"] is not None}
    if ids & seen:
        return False
    seen |= ids
    return True


def test_pretty_printed_equals_compact() -> None:
    for vector in VECTORS:
        if vector.get("closes") or not vector["name"].startswith("spec"):
            continue
        pretty = json.dumps(json.loads(vector["send"]), indent=4)
        calculator = Calculator(Peer(LIMIT))
        calculator.receive(pretty.encode() + b"\n")
        check(calculator, vector)
