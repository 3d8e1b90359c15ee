"""Whole commands over a real socket: streams, exit statuses, requests."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits
from storaged_client.cli.commands import COMMANDS
from storaged_client.cli.main import main
from storaged_client.contract.version import VERSION
from tests.support.server import Refusal, Server
from tests.support.user_unit import enable

from .facts import APP, BASE, image, info

STATE = {"generation": "g", "stale": None}
STALE = {
    "age_ms": 1200,
    "reason": "locked",
    "lock": "images.lock",
    "holder": {"pid": 123, "command": "podman", "mode": "write"},
    "file": None,
}


def _list(params: Any) -> Any:
    pages = {None: ([image(id=BASE)], "c1"), "c1": ([image(id=APP)], None)}
    images, cursor = pages[params.get("cursor")]
    return {**STATE, "images": images, "next_cursor": cursor, "sizes_pending": 0}


def _exists(params: Any) -> Any:
    return {**STATE, "exists": params["name"] == "localhost/app", "stale": STALE}


def _why(params: Any) -> Any:
    raise Refusal(1001, "ImageUnknown", f"{params['name']}: image not known", input=params["name"])


def _manifest_exists(params: Any) -> Any:
    raise Refusal(1004, "NotAManifestList", f"{params['name']}: image is not a manifest list")


def _refuse(params: Any) -> Any:
    raise Refusal(params["code"], params["data"].pop("name"), params["message"], **params["data"])


def _busy(params: Any) -> Any:
    raise Refusal(3001, "StoreBusy", "images.lock is held", holder={"pid": 1})


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    answers = {
        "images.list": _list,
        "images.exists": _exists,
        "images.why": _why,
        "manifests.exists": _manifest_exists,
        "layers.list": _busy,
        "refuse": _refuse,
        "server.info": lambda _: info(),
    }
    with Server(short_dir / "s", answers) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        monkeypatch.setenv("STORAGED_NO_SPAWN", "1")
        yield server


def test_a_listing_follows_its_pages(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "-q", "--no-trunc", "-a"]) == exits.DONE
    assert capsys.readouterr().out == f"sha256:{BASE}\nsha256:{APP}\n"
    first, second = (params for _, params in daemon.requests)
    assert first["all"] is True
    assert "cursor" not in first
    assert second["cursor"] == "c1"


@pytest.mark.parametrize("restarts", [1, 2, 3])
def test_a_listing_that_its_daemon_forgot_is_begun_again_and_given_up_at_last(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], restarts: int
) -> None:
    gone = iter(range(restarts))

    def forgetful(params: Any) -> Any:
        if "cursor" in params and next(gone, None) is not None:
            raise Refusal(1009, "GenerationGone", "start it again")
        return _list(params)

    with Server(short_dir / "s", {"images.list": forgetful}) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        monkeypatch.setenv("STORAGED_NO_SPAWN", "1")
        status = main(["images", "-q", "--no-trunc", "-a"])
    shown = capsys.readouterr()
    if restarts < 3:
        assert (status, shown.out) == (exits.DONE, f"sha256:{BASE}\nsha256:{APP}\n")
    else:
        assert (status, shown.out, shown.err) == (exits.FAILED, "", "Error: start it again\n")


@pytest.mark.parametrize("argv", [["images", "-q", "--format", "json"], ["-q", "--format=json", "image", "ls"]])
def test_json_of_images_comes_before_quiet_as_podman_has_it(
    argv: list[str], daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == exits.DONE
    assert [one["Id"] for one in json.loads(capsys.readouterr().out)] == [BASE, APP]


@pytest.mark.parametrize(
    "argv",
    [
        ["images", "-q", "--noheading"],
        ["-q", "--noheading", "images"],
        ["-q", "image", "--noheading", "ls"],
        ["image", "list", "-qn"],
    ],
)
def test_global_flags_stand_anywhere(argv: list[str], daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exits.DONE
    assert capsys.readouterr().out == f"{BASE[:12]}\n{APP[:12]}\n"


def test_the_socket_can_be_given_before_and_after(
    daemon: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGED_SOCKET", "/nonexistent/storaged.sock")
    assert main(["--socket", daemon.path, "images", "-q"]) == exits.DONE
    assert main(["image", f"--socket={daemon.path}", "ls", "-q"]) == exits.DONE
    assert main(["images", "-q", "--socket", daemon.path]) == exits.DONE
    assert capsys.readouterr().out.count(BASE[:12]) == 3


@pytest.mark.parametrize(("name", "status"), [("localhost/app", exits.DONE), ("nope", exits.ABSENT)])
def test_exists_answers_by_its_status_alone(
    name: str, status: int, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "exists", name]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("storagectl: showing the state of 1.2 s ago: images.lock is held for writing by pid 123 (podman)\n")


@pytest.mark.parametrize(
    ("argv", "status", "text"),
    [
        (["why", "nope"], exits.FAILED, "Error: nope: image not known\n"),
        (["manifest", "exists", "app"], exits.FAILED, "Error: app: image is not a manifest list\n"),
        (["layers"], exits.BUSY, "Error: images.lock is held\n"),
    ],
)
def test_an_error_ends_with_its_own_status(
    argv: list[str], status: int, text: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == status
    assert capsys.readouterr() == ("", text)


def test_no_daemon_is_status_69(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGED_SOCKET", str(short_dir / "nobody"))
    assert main(["images", "--no-spawn"]) == exits.UNAVAILABLE
    path = short_dir / "nobody"
    assert f"no daemon listens at {path}; to start one: storaged serve --socket {path}" in capsys.readouterr().err


def test_a_call_prints_the_raw_result_on_one_line(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "images.list", '{"cursor": "c1"}']) == exits.DONE
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == _list({"cursor": "c1"})
    assert daemon.requests == [("images.list", {"cursor": "c1"})]


def test_a_call_prints_the_raw_error_on_one_line(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "images.why", '{"name": "nope"}']) == exits.FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {
        "code": 1001,
        "message": "nope: image not known",
        "data": {"name": "ImageUnknown", "input": "nope"},
    }
    assert main(["call", "layers.list"]) == exits.BUSY


@pytest.mark.parametrize("code", [1001, 3999])
def test_a_raw_error_is_json_with_its_own_number_whatever_it_says(
    code: int, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": code, "message": "no \x7f\x9b", "data": {"name": "ImageUnknown", "asked": "\x7f\x9b"}}
    if code == 3999:
        error["data"] = {"name": "OfANewerDaemon"}
    assert main(["call", "refuse", json.dumps(error)]) == exits.FAILED
    assert json.loads(capsys.readouterr().err) == error


def test_a_command_that_mends_reaches_the_daemon_that_named_it(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"storagectl untag {APP[:12]} localhost/app:1"
    reason = {
        "code": "named",
        "detail": f"it is named x; `{command}` removes that name",
        "file": None,
        "command": command,
    }
    verdict = {**STATE, "id": APP, "dangling": False, "intermediate": False, "prunable": False, "removable": True}
    flaw = {"name": "x", "detail": "y", "image": APP, "file": None, "command": f"storagectl rmi --force {APP}"}
    path = short_dir / "s"
    quoted = shlex.quote(str(path))
    answers = {
        "images.why": lambda _: {**verdict, "reasons": [reason]},
        "server.info": lambda _: info(flaws=[flaw], socket=str(path)),
    }
    with Server(path, answers):
        monkeypatch.setenv("STORAGED_SOCKET", str(path))
        assert main(["why", "app"]) == exits.DONE
        assert f"`{command}` removes" in capsys.readouterr().out
        monkeypatch.setenv("STORAGED_SOCKET", "/nowhere/else")
        assert main(["why", "app", "--socket", str(path)]) == exits.DONE
        assert f"`storagectl --socket {quoted} untag {APP[:12]} localhost/app:1` removes" in capsys.readouterr().out
        main(["info", "--socket", str(path)])
        assert f"to repair it: storagectl --socket {quoted} rmi --force {APP}\n" in capsys.readouterr().out


LINE = re.compile(r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)" level=(\w+) msg=(".*")')


def logged(text: str) -> list[tuple[str, str]]:
    """The level and the text of each line; nothing else may be there."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [(one[1], json.loads(one[2])) for one in found if one]


@pytest.mark.parametrize("level", ["debug", "trace"])
def test_debug_tells_what_is_asked_of_whom_and_what_came_of_it(
    level: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--log-level", level, "images", "-q", "--filter", "label=a\nb"]) == exits.DONE
    out, err = capsys.readouterr()
    assert out == f"{BASE[:12]}\n{APP[:12]}\n"
    lines = logged(err)
    assert {level for level, _ in lines} == {"debug"}
    first, asked, answered, *_ = [text for _, text in lines]
    assert first.startswith(f"storagectl {VERSION} (protocol ")
    assert first.endswith(": images -q --filter 'label=a\nb'")
    assert asked.startswith(f"asking {daemon.path}: images.list {{")
    assert re.fullmatch(r"images\.list answered after \d+\.\d ms, generation g", answered)
    assert len(lines) == 1 + 2 * len(daemon.requests)


def test_debug_tells_which_error_it_was(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--log-level=debug", "why", "nope"]) == exits.FAILED
    *told, error = capsys.readouterr().err.splitlines()
    assert logged("\n".join(told))[-1][1].endswith(" ms: ImageUnknown: nope: image not known")
    assert error == "Error: nope: image not known"


@pytest.mark.parametrize("level", ["info", "warn", "warning", "error", "fatal", "panic"])
def test_any_other_level_tells_nothing_of_a_request(
    level: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "-q", "--log-level", level]) == exits.DONE
    assert capsys.readouterr().err == ""


def closed(streams: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """What a command does whose standard streams are closed by the shell that starts it."""
    code = "import sys; from storaged_client.cli.main import main; sys.exit(main())"
    script = f'exec "$0" -c "$1" "${{@:2}}" {streams}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, code, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("argv", [["images"], ["images", "--format", "{{.ID}}"], ["info"], ["--help"]])
def test_a_closed_standard_output_is_an_error_and_no_traceback(daemon: Server, argv: list[str]) -> None:
    done = closed(">&-", *argv)
    assert (done.returncode, done.stderr) == (exits.FAILED, "Error: standard output is closed\n")


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_nothing_else_comes_to_stand_where_a_standard_stream_was(daemon: Server, streams: str) -> None:
    # Its answer is its status; it complains of stale state, which must not get into the daemon's socket.
    done = closed(streams, "exists", "localhost/app")
    assert (done.returncode, done.stdout) == (exits.DONE, "")
    assert [method for method, _ in daemon.requests] == ["images.exists"]
    assert closed(streams, "images", "--bogus").returncode == exits.FAILED


def test_the_version_is_that_of_both_ends(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--version"], ["-v"], ["-v", "images"]):
        assert main(argv) == exits.DONE
        client, server = capsys.readouterr().out.splitlines()
        assert client.startswith("storagectl version ")
        assert server == f"storaged version {VERSION} (protocol 1.0), pid 123"


def test_behind_a_command_there_is_no_flag_for_the_version(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        if command.module != "system_df":  # whose -v is --verbose
            assert main([*command.path.split(), "--version"]) == exits.FAILED
            assert capsys.readouterr().err.startswith("Error: unknown flag: --version\n")
    for argv in (["images", "-v"], ["manifest", "-v", "ls"], ["manifest", "annotate", "-v", "l"]):
        assert main(argv) == exits.FAILED
        assert "unknown shorthand flag: 'v' in -v\n" in capsys.readouterr().err
    assert daemon.requests == []


def test_a_daemon_of_another_version_is_told_with_the_command_that_replaces_it(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = short_dir / "s"
    monkeypatch.setenv("STORAGED_SOCKET", str(path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_dir / "config"))
    with Server(path, {"server.info": lambda _: info(version="0.0.1", socket=str(path))}):
        for argv, status in ((["--version"], exits.DONE), (["info"], exits.FOUND)):
            assert main(argv) == status
            assert f"storaged stop --socket {shlex.quote(str(path))}\n" in capsys.readouterr().out
        enable(short_dir / "config", str(path))
        for argv, status in ((["--version"], exits.DONE), (["info"], exits.FOUND)):
            assert main(argv) == status
            assert "systemctl --user restart storaged.service\n" in capsys.readouterr().out


def test_the_version_needs_no_daemon(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGED_SOCKET", str(short_dir / "nobody"))
    assert main(["--version"]) == exits.DONE
    assert "storaged: no answer" in capsys.readouterr().out
    assert list(short_dir.iterdir()) == []


HEAVY = ("argparse", "attrs", "attr", "cattrs", "anyio", "asyncio", "trio", "msgspec", "dataclasses", "filelock")


@pytest.mark.parametrize("argv", [["--version"], ["images"]])
def test_nothing_heavy_is_loaded(argv: list[str], daemon: Server) -> None:
    program = (
        f"import sys; from storaged_client.cli.main import main; assert main({argv!r}) == 0; "
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=20)
    assert done.stderr == b"[]\n"


def test_a_reader_that_left_ends_the_command_quietly(daemon: Server) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "storaged_client.cli.main", "images"],
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
            timeout=20,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_full_disk_is_an_error_with_a_message(daemon: Server) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "storaged_client.cli.main", "images"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=20,
        )
    assert done.returncode == exits.FAILED
    assert done.stderr == b"Error: No space left on device\n"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A background job of a shell ignores the interrupt, and so would the children of a test run as one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_command_quietly(short_dir: Path) -> None:
    with Server(short_dir / "s", {"images.list": lambda _: asked_to_stop(child)}) as server:
        environment = {**os.environ, "STORAGED_SOCKET": server.path, "STORAGED_NO_SPAWN": "1"}
        child = subprocess.Popen(
            [sys.executable, "-m", "storaged_client.cli.main", "images"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (-signal.SIGINT, b"", b"")


def asked_to_stop(child: subprocess.Popen[bytes]) -> Any:
    """The request came, so the command waits for this answer: interrupt it there and answer when it is gone."""
    child.send_signal(signal.SIGINT)
    child.wait(20)
    return {**STATE, "images": [], "next_cursor": None}


@pytest.mark.parametrize("version", [VERSION, "0.0.1"])
def test_an_answer_that_lacks_a_member_is_another_versions_or_a_mistake_of_ours(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    told = {"version": version, "protocol": "0.9"}
    with Server(short_dir / "s", {"images.exists": lambda _: STATE, "server.info": lambda _: told}) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        monkeypatch.setenv("STORAGED_NO_SPAWN", "1")
        if version == VERSION:
            with pytest.raises(KeyError):
                main(["exists", "x"])
        else:
            assert main(["exists", "x"]) == exits.FAILED
            said = capsys.readouterr().err
            assert said.startswith("Error: the daemon's answer has no 'exists'; the daemon is storaged 0.0.1 ")
            assert said.endswith(f"storaged stop --socket {shlex.quote(str(server.path))}\n")
