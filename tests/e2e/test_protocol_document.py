"""docs/protocol.md is true: its example is run, its tables are held against the daemon."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from storaged.server.guard import Limits
from tests.e2e.daemons import serving

_TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def _exchange(path: str, sent: bytes) -> list[bytes]:
    """Send, close the writing side, and return the lines that came until the daemon closed."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(10)
        channel.connect(path)
        channel.sendall(sent)
        channel.shutdown(socket.SHUT_WR)
        with channel.makefile("rb") as lines:
            return list(lines)


def _request(id: Any, method: str = "server.ping", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def test_the_example_is_answered_as_printed(short_dir: Path) -> None:
    found = re.search(r"^\$ echo '(.*)' \| socat - UNIX-CONNECT:\S+\n(\{.*\})$", _TEXT, re.MULTILINE)
    assert found
    generation = re.compile(r'"generation":"[0-9a-f]+:\d+"')
    with serving(short_dir) as daemon:
        # The document's daemon has read its store, so this one reads its own first.
        _exchange(daemon.path, json.dumps(_request(1, "images.list")).encode())
        (line,) = _exchange(daemon.path, found[1].encode() + b"\n")
    assert generation.sub("", line.decode().strip()) == generation.sub("", found[2])


@pytest.mark.parametrize("separator", [b"", b"\n", b"  \r\n\t"])
def test_texts_are_taken_concatenated_separated_and_pretty_printed(short_dir: Path, separator: bytes) -> None:
    texts = [json.dumps(_request(n), indent=n or None).encode() for n in range(3)]
    with serving(short_dir) as daemon:
        lines = _exchange(daemon.path, separator.join(texts))
    assert sorted(json.loads(line)["id"] for line in lines) == [0, 1, 2]
    assert all(line.endswith(b"}\n") for line in lines)


def test_a_parameter_that_is_unknown_is_refused_with_its_path(short_dir: Path) -> None:
    with serving(short_dir) as daemon:
        (line,) = _exchange(daemon.path, json.dumps(_request(1, "images.list", filtres=[])).encode())
    error = json.loads(line)["error"]
    assert (error["code"], error["data"]["path"]) == (-32602, "$.filtres")


def test_a_current_generation_is_unchanged(short_dir: Path) -> None:
    with serving(short_dir) as daemon:
        (line,) = _exchange(daemon.path, json.dumps(_request(1, "images.list")).encode())
        generation = json.loads(line)["result"]["generation"]
        asked = _request(2, "images.list", if_generation=generation)
        (line,) = _exchange(daemon.path, json.dumps(asked).encode())
    assert json.loads(line)["result"] == {"unchanged": True, "generation": generation, "stale": None}


def test_a_batch_of_more_than_the_limit_is_one_error(short_dir: Path) -> None:
    with serving(short_dir) as daemon:
        (line,) = _exchange(daemon.path, json.dumps([_request(n) for n in range(101)]).encode())
        (whole,) = _exchange(daemon.path, json.dumps([_request(n) for n in range(100)]).encode())
    assert json.loads(line)["error"]["code"] == -32600
    assert [one["id"] for one in json.loads(whole)] == list(range(100))


@pytest.mark.parametrize(
    ("what", "sent", "code"),
    [
        ("a request", b'{"a":"' + b"x" * (1 << 20) + b'"}', -32002),
        ("descriptors a message", b'{"jsonrpc":"2.0","id":1,"method":"server.ping","fds":17}', -32050),
        ("", b"no JSON\n", -32700),
    ],
)
def test_beyond_these_the_connection_closes(short_dir: Path, what: str, sent: bytes, code: int) -> None:
    with serving(short_dir) as daemon:
        (line,) = _exchange(daemon.path, sent + json.dumps(_request(2)).encode())
    answer = json.loads(line)
    assert (answer["id"], answer["error"]["code"]) == (None, code)
    assert re.search(rf"{what}.*`{code}`.*clos", _TEXT, re.DOTALL)


def test_the_limits_printed_are_the_defaults() -> None:
    limits = Limits()
    printed = dict(re.findall(r"^\| ([^|]*) \| (\d+)\b.* \|", _TEXT, re.MULTILINE))
    assert (
        printed.items()
        >= {
            "a request": str(limits.request_bytes >> 20),
            "descriptors a message": str(limits.descriptors),
            "requests in flight a connection": str(limits.in_flight),
            "a reply": str(limits.reply_bytes >> 20),
            "connections": str(limits.connections),
            "a peer that does not read its replies": str(limits.stall_seconds),
        }.items()
    )
