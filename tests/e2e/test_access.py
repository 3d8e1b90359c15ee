"""Processes of other uids at a real socket: who may read, who may change something, and what the log says of it.

Every method of the table is asked for, with parameters made from its own description: a new one is covered as it is.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from attrs import NOTHING, fields

from storaged.sample import SampleSpec, write_store
from storaged_client.contract.errors import NotPermitted
from storaged_client.contract.methods import COMMON_ERRORS, METHODS, Method
from tests.support.daemon import PATIENCE, Daemon, serving

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another uid needs root"),
    pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs a python that every user may run"),
]

NOBODY = 65534
STAFF = 4242
"""A group that no process has, but one that is given it."""

_AUDIT = re.compile(r"audit method=(\S+) uid=(\d+) pid=(\d+) target=(\S+) result=(\S+)")
_MUTATING = [name for name, row in METHODS.items() if row.mutates]

_ASK = """
import json, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(30)
peer.connect(sys.argv[1])
file = peer.makefile("rwb")
for line in sys.stdin:
    file.write(line.encode())
    file.flush()
    message = json.loads(line)
    if isinstance(message, list) or "id" in message:
        print(file.readline().decode(), end="")
"""


def request(method: str, params: Any = None, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params or {}, **more}


def ask(
    daemon: Daemon, messages: Sequence[Any], *, group: int = NOBODY, groups: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """Send each message as nobody and wait for its answer, if it gets one."""
    asked = subprocess.run(
        ["/usr/bin/python3", "-c", _ASK, daemon.path],
        input="".join(json.dumps(message) + "\n" for message in messages),
        user=NOBODY,
        group=group,
        extra_groups=groups,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=True,
    )
    return [json.loads(line) for line in asked.stdout.splitlines()]


def example(row: Method, image: str) -> dict[str, Any]:
    """What the method requires, by type: any text is the id of an image."""
    hints = get_type_hints(row.params)
    return {one.name: _value(hints[one.name], image) for one in fields(row.params) if one.default is NOTHING}


def _value(kind: Any, image: str) -> Any:
    origin = get_origin(kind)
    if origin is tuple:
        return [_value(get_args(kind)[0], image)]
    if origin is Literal:
        return get_args(kind)[0]
    if kind is Any or origin is dict:
        return {}
    return {str: image, int: 1, float: 1.0, bool: False}[kind]


def name_of(answer: dict[str, Any]) -> str | None:
    """The name of the error, None of a result."""
    assert ("result" in answer) != ("error" in answer), answer
    return answer["error"]["data"]["name"] if "error" in answer else None


def state(folder: Path) -> dict[str, Any]:
    """Every file and folder of the store, with the bytes of its tables."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.suffix == ".json" else path.stat().st_size
        for path in sorted((folder / "root").rglob("*"))
        if path.is_file() and "storaged" not in path.relative_to(folder).parts
    }


def opened(folder: Path, daemon: Daemon) -> Daemon:
    """The socket's mode is the door: it is opened here, so that what is behind it is tested."""
    folder.chmod(0o755)
    Path(daemon.path).chmod(0o666)
    return daemon


def configured(folder: Path, text: str) -> list[str]:
    (folder / "storaged.toml").write_text(text)
    return ["--config", str(folder / "storaged.toml")]


def audited(daemon: Daemon) -> list[tuple[str, str, str, str]]:
    """Method, uid, target and result of each line, once the daemon has ended."""
    daemon.signal(signal.SIGTERM)
    daemon.await_exit()
    found = [match.group(1, 2, 4, 5) for match in map(_AUDIT.search, daemon.log.splitlines()) if match]
    return [line for line in found if line[1] != "0"]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_another_uid_may_call_every_method_that_reads_and_none_that_mutates(short_dir: Path, backend: str) -> None:
    image = sorted(write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1)).dangling)[0]
    config = configured(short_dir, "[access]\nuids = [4711]\ngids = [4712]\n")
    with serving(short_dir, "--backend", backend, *config) as daemon:
        opened(short_dir, daemon)
        with daemon.client() as client:
            client.settle()
            before = state(short_dir)
        examples = {name: example(row, image) for name, row in METHODS.items()}
        answers = ask(daemon, [request(name, examples[name], id=name) for name in METHODS])
        for name, answer in zip(METHODS, answers, strict=True):
            row = METHODS[name]
            if row.mutates:
                assert (name_of(answer), answer["error"]["code"]) == ("NotPermitted", NotPermitted.code), answer
                assert "NotPermitted" in row.errors, f"{name} does not declare NotPermitted"
            else:
                # As configured: whoever is let in may read, and these parameters are right.
                assert name_of(answer) in (None, *{*row.errors, *COMMON_ERRORS} - {"InvalidParams"}), answer
        (document,) = ask(daemon, [request("rpc.discover", id=1)])
        told = {method["name"] for method in document["result"]["methods"] if method.get("x-mutates")}
        assert told == set(_MUTATING)
        with daemon.client() as client:
            assert "result" in client.request("server.ping")
        assert state(short_dir) == before
        lines = audited(daemon)
    assert [(line[0], line[1], line[3]) for line in lines] == [
        (name, str(NOBODY), "NotPermitted") for name in _MUTATING
    ]
    assert all((image in target) is (image in str(examples[method])) for method, _, target, _ in lines)


def test_no_form_of_a_request_gets_a_mutation_past_the_refusal(short_dir: Path) -> None:
    image = sorted(write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1)).dangling)[0]
    with serving(short_dir) as daemon:
        opened(short_dir, daemon)
        with daemon.client() as client:
            client.settle()
            before = state(short_dir)
        right = {name: example(METHODS[name], image) for name in _MUTATING}
        forms = {
            "by position": [request(name, list(right[name].values()), id=1) for name in _MUTATING],
            "without what it needs": [request(name, id=1) for name in _MUTATING],
            "with what is unknown": [request(name, {"unknown": 1}, id=1) for name in _MUTATING],
            "as a notification": [request(name, right[name]) for name in _MUTATING],
            "in a batch": [[request(name, right[name], id=name) for name in _MUTATING]],
        }
        answers = {form: ask(daemon, [*messages, request("server.ping", id="end")]) for form, messages in forms.items()}
        assert [answer["id"] for answer in answers.pop("as a notification")] == ["end"]
        batch, _ = answers.pop("in a batch")
        for form, found in {**answers, "in a batch": batch}.items():
            refused = [name_of(answer) for answer in found if answer["id"] != "end"]
            assert refused == ["NotPermitted"] * len(_MUTATING), form
        assert state(short_dir) == before
        lines = Counter((line[0], line[3]) for line in audited(daemon))
    # Of each kind the first is told, and then the number of the others.
    assert lines == {(name, "NotPermitted"): 1 for name in _MUTATING}
    told = re.findall(r"audit method=(\S+) uid=(\d+) result=(\S+) repeated=(\d+) seconds=\d+", daemon.log)
    assert sorted(told) == sorted((name, str(NOBODY), "NotPermitted", str(len(forms) - 1)) for name in _MUTATING)


@pytest.mark.parametrize(
    ("granted", "group", "groups"),
    [
        (f"uids = [{NOBODY}]", NOBODY, ()),
        (f"gids = [{NOBODY}]", NOBODY, ()),
        (f"gids = [{STAFF}]", NOBODY, (1, STAFF)),
    ],
    ids=["uid", "own group", "one of its groups"],
)
def test_a_uid_or_group_of_the_configuration_may_call_every_method(
    short_dir: Path, granted: str, group: int, groups: tuple[int, ...]
) -> None:
    image = sorted(write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1)).dangling)[0]
    with serving(short_dir, *configured(short_dir, f"[access]\n{granted}\n")) as daemon:
        opened(short_dir, daemon)
        # What ends the daemon comes last.
        order = sorted(METHODS, key=lambda name: name == "server.shutdown")
        messages = [request(name, example(METHODS[name], image), id=name) for name in order]
        tag = request("images.tag", {"name": image, "tags": ["granted:1"]}, id="tag")
        tagged, *answers = ask(daemon, [tag, *messages], group=group, groups=groups)
        assert tagged["result"]["names"] == ["localhost/granted:1"]
        names = dict(zip(order, map(name_of, answers), strict=True))
        assert "NotPermitted" not in names.values()
        assert names["server.shutdown"] is None
        daemon.await_exit()
    lines = [match.group(1, 2) for match in map(_AUDIT.search, daemon.log.splitlines()) if match]
    assert lines == [(name, str(NOBODY)) for name in ("images.tag", *(name for name in order if name in _MUTATING))]


def test_who_is_in_no_group_of_the_configuration_is_refused(short_dir: Path) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=5, seed=1))
    with serving(short_dir, *configured(short_dir, f"[access]\ngids = [{STAFF}]\n")) as daemon:
        opened(short_dir, daemon)
        (answer,) = ask(daemon, [request("images.prune", id=1)], groups=(1, STAFF + 1))
        assert name_of(answer) == "NotPermitted"
