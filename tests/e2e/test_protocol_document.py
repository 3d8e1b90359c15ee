"""docs/protocol.md is true: its example is run, its tables are held against the daemon."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from storaged.engine import leases
from storaged.engine.tokens import Plans
from storaged.sample import SampleSpec, write_store
from storaged.server.limits import Limits
from storaged_client.contract.methods import METHODS
from storaged_client.json_limits import MESSAGE_DEPTH
from tests.support.client import Client
from tests.support.daemon import serving

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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The socket of a daemon that answers every question on this page."""
    with TemporaryDirectory(prefix="sd-") as folder, serving(Path(folder)) as daemon:
        yield daemon.path


def test_the_example_is_answered_as_printed(address: str) -> None:
    found = re.search(r"^\$ echo '(.*)' \| socat - UNIX-CONNECT:\S+\n(\{.*\})$", _TEXT, re.MULTILINE)
    assert found
    generation = re.compile(r'"generation":"[0-9a-f]+:\d+"')
    # The document's daemon has read its store, so this one reads its own first.
    _exchange(address, json.dumps(_request(1, "images.list")).encode())
    (line,) = _exchange(address, found[1].encode() + b"\n")
    assert generation.sub("", line.decode().strip()) == generation.sub("", found[2])


@pytest.mark.parametrize("separator", [b"", b"\n", b"  \r\n\t"])
def test_texts_are_taken_concatenated_separated_and_pretty_printed(address: str, separator: bytes) -> None:
    texts = [json.dumps(_request(n), indent=n or None).encode() for n in range(3)]
    lines = _exchange(address, separator.join(texts))
    assert sorted(json.loads(line)["id"] for line in lines) == [0, 1, 2]
    assert all(line.endswith(b"}\n") for line in lines)


def test_a_parameter_that_is_unknown_is_refused_with_its_path(address: str) -> None:
    (line,) = _exchange(address, json.dumps(_request(1, "images.list", filtres=[])).encode())
    error = json.loads(line)["error"]
    assert (error["code"], error["data"]["path"]) == (-32602, "$.filtres")


def test_a_current_generation_is_unchanged(address: str) -> None:
    (line,) = _exchange(address, json.dumps(_request(1, "images.list")).encode())
    generation = json.loads(line)["result"]["generation"]
    asked = _request(2, "images.list", if_generation=generation)
    (line,) = _exchange(address, json.dumps(asked).encode())
    assert json.loads(line)["result"] == {"unchanged": True, "generation": generation, "stale": None}


def test_a_batch_of_more_than_the_limit_is_one_error(address: str) -> None:
    (line,) = _exchange(address, json.dumps([_request(n) for n in range(101)]).encode())
    (whole,) = _exchange(address, json.dumps([_request(n) for n in range(100)]).encode())
    assert json.loads(line)["error"]["code"] == -32600
    assert [one["id"] for one in json.loads(whole)] == list(range(100))


@pytest.mark.parametrize(
    ("what", "sent", "code"),
    [
        ("a request", b'{"a":"' + b"x" * (1 << 20) + b'"}', -32002),
        ("descriptors per message", b'{"jsonrpc":"2.0","id":1,"method":"server.ping","fds":17}', -32050),
        ("", b"no JSON\n", -32700),
    ],
)
def test_beyond_these_the_connection_closes(address: str, what: str, sent: bytes, code: int) -> None:
    (line,) = _exchange(address, sent + json.dumps(_request(2)).encode())
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
            "descriptors per message": str(limits.descriptors),
            "requests in flight per connection": str(limits.in_flight),
            "a reply": str(limits.reply_bytes >> 20),
            "connections": str(limits.connections),
            "a peer that does not read its replies": str(limits.stall_seconds),
            "an incomplete request": str(limits.text_seconds),
            "nested arrays and objects in a request": str(MESSAGE_DEPTH),
        }.items()
    )


def _section(title: str) -> str:
    return _TEXT[_TEXT.index(f"## {title}\n") :].split("\n## ")[0]


def test_the_methods_said_to_change_the_store_are_those_of_the_table() -> None:
    (sentence,) = re.findall(r"^(`images\.tag`.*?)change\s+the\s+store", _section("Changes"), re.MULTILINE | re.DOTALL)
    named, noun = set(), ""
    for word in re.findall(r"`([a-z_.]+)`", sentence):
        noun = word.partition(".")[0] if "." in word else noun
        named.add(f"{noun}.{word.rpartition('.')[2]}")
    assert named == {name for name, row in METHODS.items() if row.mutates} - {"server.shutdown"}


def test_the_limits_of_plans_and_leases_are_as_printed() -> None:
    text = " ".join(_section("Changes").split())
    assert f"The last {Plans.usual.per_uid} plans per uid" in text
    assert f"at most {leases.PER_UID} leases and {leases.IMAGES_PER_UID:,} images per uid" in text
    assert (Plans.usual.seconds, leases.LONGEST) == (3600, 24 * 3600)


def test_a_plan_is_made_and_carried_out_as_printed(short_dir: Path) -> None:
    asked, applied = map(json.loads, re.findall(r"^(\{.*images\.prune.*\})$", _section("Changes"), re.MULTILINE))
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=10, contents="files"))
    with serving(short_dir) as daemon, daemon.client() as client:
        planned = client.request("images.prune", asked["params"])["result"]
        client.ask("images.prune", {**applied["params"], "plan": planned["plan"]}, id=2)
        *told, answer = _until_answered(client, 2)
        refused = client.request("images.prune", {"plan": planned["plan"], "all": True})["error"]
        unknown = client.request("images.prune", {"plan": "of before"})["error"]
    going = {image["id"] for image in planned["removed"]}
    assert going
    assert {image["id"] for image in answer["result"]["removed"]} == going
    assert told
    assert all(
        (one["method"], one["params"].keys()) == ("$/progress", {"token", "done", "total", "unit", "message"})
        for one in told
    )
    assert refused["data"]["path"] == "$.plan"
    assert unknown["data"]["name"] == "PlanStale"


def _until_answered(client: Client, id: int) -> Iterator[Any]:
    while True:
        message = client.line()
        yield message
        if message.get("id") == id:
            return


def test_each_change_leaves_the_line_printed_in_the_log(short_dir: Path) -> None:
    (form,) = re.findall(r"`(audit method=images\.tag [^`]*)`", _section("Changes"))
    with serving(short_dir) as daemon, daemon.client() as client:
        assert client.request("images.tag", {"name": "no such", "tags": ["x"]})["error"]
        line = daemon.await_line("audit ", anywhere=True)
    keys = re.findall(r"(\w+)=", form)
    assert re.findall(r"(\w+)=", line[line.index("audit ") :]) == keys
