"""The methods of the specification's examples, served by a peer; and the vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from storaged_client.jsonrpc.events import Close, Discard, Reply, Request
from storaged_client.jsonrpc.peer import Peer
from tests.support.answers import error_text, result_text

VECTORS: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("vectors.jsonl").read_text().splitlines()
]


class Calculator:
    """Answers each request as soon as it comes."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sent = b""
        self.closed: str | None = None
        self.discarded: list[int] = []
        self.requests: list[Request] = []

    def receive(self, data: bytes, fds: Iterable[int] = ()) -> None:
        for event in self.peer.receive_data(data, tuple(fds)):
            self._react(event)

    def hang_up(self) -> None:
        for event in self.peer.receive_eof():
            self._react(event)

    def _react(self, event: object) -> None:
        match event:
            case Request():
                self.requests.append(event)
                self.sent += self._answer(event)
            case Reply(data):
                self.sent += data
            case Close(reason):
                assert self.closed is None
                self.closed = reason
            case Discard(fds):
                self.discarded.extend(fds)

    def _answer(self, request: Request) -> bytes:
        params = request.params
        try:
            match request.method:
                case "subtract":
                    a, b = params if isinstance(params, list) else (params["minuend"], params["subtrahend"])
                    result: Any = a - b
                case "sum":
                    result = sum(params)
                case "get_data":
                    result = ["hello", 5]
                case _:
                    return b"".join(
                        self.peer.error_parts(request, -32601, "no such method", {"name": "MethodNotFound"})
                    )
        except (KeyError, TypeError, ValueError) as error:
            return error_text(self.peer, request, -32602, str(error), {"name": "InvalidParams"})
        return result_text(self.peer, request, json.dumps(result).encode())

    def replies(self) -> list[Any]:
        """What was sent, each text on a line of its own."""
        assert self.sent.endswith(b"\n") or not self.sent
        return [json.loads(line) for line in self.sent.splitlines()]


def brief(reply: Any) -> Any:
    """The reply as the vectors spell it: of an error its code and name."""
    if isinstance(reply, list):
        return [brief(part) for part in reply]
    assert reply["jsonrpc"] == "2.0"
    if "error" in reply:
        assert isinstance(reply["error"]["message"], str)
        return {
            "error": {"code": reply["error"]["code"], "name": reply["error"]["data"]["name"]},
            "id": reply["id"],
        }
    return {"result": reply["result"], "id": reply["id"]}
