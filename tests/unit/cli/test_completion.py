"""Completion: what the daemon is asked for names, and what real shells make of the scripts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from storaged.operations.filters import SERVED
from storaged_client.cli import complete, completion, completion_script
from storaged_client.cli.commands import COMMANDS
from storaged_client.cli.main import main
from tests.support.server import Refusal, Server

from .facts import APP, BASE, LIST

ROWS = [
    {"id": APP, "names": ["localhost/app:latest", "quay.io/ns/app:v2"]},
    {"id": BASE, "names": ["localhost/base:1", "evil/$(id):1", "two words", "-x"]},
]
LISTS = [{"id": LIST, "names": ["localhost/many:1"]}]


def _list(params: Any) -> Any:
    rows = LISTS if params.get("filters") == ["manifest=true"] else ROWS
    return {"generation": "g", "stale": None, "images": rows, "next_cursor": None, "sizes_pending": 0}


@pytest.fixture
def daemon(short_dir: Path) -> Iterator[Server]:
    with Server(short_dir / "s", {"images.list": _list}) as server:
        yield server


def test_names_are_those_of_one_page_however_many_images_there_are(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": f"{number:064x}", "names": [f"localhost/x:{number}"]} for number in range(15_000)]

    def page(params: Any) -> Any:
        return {**_list(params), "images": rows[: params["limit"]], "next_cursor": "token.10000"}

    with Server(short_dir / "s", {"images.list": page}) as server:
        assert main(["__complete", "images", "x:", server.path]) == 0
        assert [request[1]["limit"] for request in server.requests] == [10_000]
    offered = capsys.readouterr().out.splitlines()
    assert len(offered) == 10_000
    assert "x:9999" in offered
    assert "x:10000" not in offered


@pytest.fixture
def environment(daemon: Server, tmp_path: Path) -> dict[str, str]:
    """A shell in which ``storagectl`` is this one, and the daemon answers."""
    program = tmp_path / "bin" / "storagectl"
    program.parent.mkdir()
    code = tmp_path / "storagectl.py"
    code.write_text(
        "import json, sys\nfrom storaged_client.cli.main import main\n"
        f"if sys.argv[1] != '__complete': open({str(tmp_path / 'ran')!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        "sys.exit(main())\n"
    )
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(code)])} "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "STORAGED_SOCKET": daemon.path,
    }


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["localhost/app:latest", "localhost/base:1", "quay.io/ns/app:v2"]),
        ("a", ["app", "app:latest", "app:v2"]),
        ("localhost/b", ["localhost/base:1"]),
        ("ns/", ["ns/app:v2"]),
        (APP[:2], [APP[:12]]),
        (APP[:15], [APP[:15]]),
        ("none", []),
    ],
)
def test_names_are_offered_from_any_component_on_and_ids_by_prefix(prefix: str, expected: list[str]) -> None:
    assert [name for name in complete.candidates(ROWS, prefix) if name != APP[:1]] == expected


def test_a_name_that_a_shell_would_run_is_never_offered() -> None:
    odd = ["a;b", "$(x)", "`x`", "a b", "a\nb", "-rf", "", "a'b", "é", "\x1b[0m"]
    assert complete.candidates([{"id": APP, "names": odd}], "") == []


def test_names_are_asked_of_the_last_known_state(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["__complete", "lists", "", daemon.path]) == 0
    assert capsys.readouterr() == ("localhost/many:1\n", "")
    [(method, params)] = daemon.requests
    assert (method, params["consistency"], params["fields"]) == ("images.list", "cached", ["id", "names"])


def _refuse(_: Any) -> Any:
    raise Refusal(3001, "StoreBusy", "busy")


@pytest.mark.parametrize("answer", [_refuse, lambda _: {"images": None}, lambda _: {"images": [{"id": 3}]}])
def test_a_strange_answer_offers_nothing_and_says_nothing(
    short_dir: Path, answer: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(short_dir / "s", {"images.list": answer}):
        assert main(["__complete", "images", "a", str(short_dir / "s")]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [[], ["images"], ["what", ""], ["images", "", "@x"], ["images", "", "/no/s"]])
def test_where_no_daemon_answers_none_is_started_and_nothing_is_said(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGED_SOCKET", str(tmp_path / "s"))
    assert main(["__complete", *arguments]) == 0
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_names_load_the_standard_library_and_little_of_it(environment: dict[str, str]) -> None:
    code = (
        "import sys; from storaged_client.cli.main import main; main(['__complete', 'images', '']);"
        "print(*(m for m in ('typing', 'attrs', 'cattrs', 'anyio', 'msgspec', 'asyncio', 'filelock', 'subprocess',"
        " 'threading', 'datetime') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**environment, "PYTHONPATH": str(Path(complete.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["localhost/app:latest", "localhost/base:1", "quay.io/ns/app:v2", ""]


# ---------------------------------------------------------------- scripts


def test_the_script_knows_the_filters_the_daemon_serves() -> None:
    assert sorted(completion_script.FILTERS) == sorted(SERVED)


def test_every_command_is_a_place_once() -> None:
    paths = [path for place in completion.places() for path in place.paths]
    assert sorted(paths) == sorted(["", "image", "manifest", "system", *(command.path for command in COMMANDS)])


@pytest.mark.parametrize("shell", ["powershell", ""])
def test_another_shell_is_refused(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 125
    assert "choose from bash, fish, zsh" in capsys.readouterr().err


CASES = [
    ("storagectl wh", ["why"]),
    ("storagectl image ", ["ls", "list", "exists", "inspect", "history", "tree", "tag", "untag", "rm", "prune"]),
    ("storagectl --format json mani", ["manifest"]),
    ("storagectl image ls --dig", ["--digests"]),
    ("storagectl images --sort ", ["created", "id", "repository", "size", "tag"]),
    ("storagectl images --sort=cr", ["--sort=created"]),
    ("storagectl images -f dang", ["dangling="]),
    ("storagectl images -qf dangling=", ["dangling=true", "dangling=false"]),
    ("storagectl images --filter containers=e", ["containers=external"]),
    ("storagectl images --filter since=localhost/b", ["since=localhost/base:1"]),
    ("storagectl images --filter=in-list=lo", ["--filter=in-list=localhost/many:1"]),
    ("storagectl images --filter label=x", []),
    ("storagectl why localhost/ap", ["localhost/app", "localhost/app:latest"]),
    ("storagectl why localhost/app:la", ["localhost/app:latest"]),
    ("storagectl image inspect localhost/app:latest quay", ["quay.io/ns/app:v2"]),
    ("storagectl inspect -f '{{.Id}}' quay", ["quay.io/ns/app:v2"]),
    ("storagectl manifest inspect ", ["localhost/many:1"]),
    ("storagectl rmi -f localhost/b", ["localhost/base:1"]),
    ("storagectl prune -f --pl", ["--plan"]),
    ("storagectl manifest annotate --arch arm64 localhost/m", ["localhost/many:1"]),
    ("storagectl inspect --type im", ["image"]),
    ("storagectl completion z", ["zsh"]),
    ("storagectl call server.i", ["server.info"]),
    ("storagectl --socket /nowhere why localhost/ap", []),
    ("storagectl nonsense ", []),
    ("storagectl check --scope re", ["records"]),
]


def _script(shell: str) -> str:
    """As ``storagectl completion`` prints it."""
    return import_module(f"storaged_client.cli.completion_{shell}").script(completion.places())


def _need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} on this machine")
    return found


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash_completes(line: str, expected: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    _need("bash")
    (tmp_path / "script").write_text(_script("bash"))
    # As readline breaks them.
    words = re.findall(r"'[^']*'|[^\s:=@']+|[:=@]+", line)
    if line[-1] in " :=@":
        words.append("")
    driver = (
        'source "$1"; COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        '_storagectl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    argv = ["bash", "--norc", "-c", driver, "bash", str(tmp_path / "script"), line, *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    # What bash does: the words replace what follows the last break.
    typed = line.rpartition(" ")[2]
    kept = re.match(r".*[:=@]", typed)
    head = kept.group() if kept else ""
    assert [head + word for word in done.stdout.split("\n") if word] == expected


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_fish_completes(line: str, expected: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    _need("fish")
    (tmp_path / "script").write_text(_script("fish"))
    argv = ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", str(tmp_path / "script"), line]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    offered = [each.partition("\t")[0] for each in done.stdout.splitlines()]
    assert sorted(offered) == sorted(expected)


def _typed(argv: list[str], setup: str, line: str, environment: dict[str, str], wanted: str) -> str:
    """Type a line and a tab into an interactive shell; what the terminal shows until ``wanted`` appears behind it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, environment)
    shown = b""

    def read_until(text: str) -> None:
        nonlocal shown
        while text.encode() not in shown:
            shown += os.read(terminal, 65536)

    try:
        os.write(terminal, f"{setup}; echo re''ady\n".encode())
        read_until("ready")
        shown = b""
        os.write(terminal, f"{line}\t".encode())
        read_until(wanted)
        return shown.decode(errors="replace")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


TYPED = [
    ("storagectl why localhost/base", "localhost/base:1"),
    ("storagectl why localhost/app:la", "localhost/app:latest"),
    ("storagectl images --filter dang", "--filter dangling="),
    ("storagectl images --filter=dangling=t", "--filter=dangling=true"),
    ("storagectl image ls --digest", "image ls --digests"),
    ("storagectl compl", "storagectl completion"),
]


@pytest.mark.parametrize(("line", "wanted"), TYPED)
def test_a_tab_typed_into_bash_completes(line: str, wanted: str, environment: dict[str, str], tmp_path: Path) -> None:
    _need("bash")
    (tmp_path / "script").write_text(_script("bash"))
    shown = _typed(["bash", "--norc", "-i"], f"source {tmp_path}/script", line, environment, wanted)
    assert wanted in shown


@pytest.mark.parametrize(("line", "wanted"), TYPED)
def test_a_tab_typed_into_zsh_completes(line: str, wanted: str, environment: dict[str, str], tmp_path: Path) -> None:
    _need("zsh")
    (tmp_path / "script").write_text(_script("zsh"))
    subprocess.run(["zsh", "-n", str(tmp_path / "script")], check=True)
    setup = f"unsetopt prompt_cr zle_bracketed_paste; autoload -U compinit; compinit -u -D; source {tmp_path}/script"
    shown = _typed(["zsh", "-f", "-i"], setup, line, environment, wanted)
    assert wanted in shown


HOSTILE = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "a;touch PWNED",
    "a:$(touch PWNED)",
    "a b&touch PWNED",
    "it's=$(touch PWNED)",
]
INTERACTIVE = {
    "bash": ["bash", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": "source {script}",
    "zsh": "unsetopt prompt_cr zle_bracketed_paste; autoload -U compinit; compinit -u -D; source {script}",
    "fish": "source {script}",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("typed", ["--socket ", "--socket=", '--socket "'])
@pytest.mark.parametrize("shell", INTERACTIVE)
def test_a_completed_file_name_is_a_word_and_no_code(
    shell: str, typed: str, name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    _need(shell)
    (tmp_path / "script").write_text(_script(shell))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).touch()
    setup = f"{SETUP[shell].format(script=tmp_path / 'script')}; cd {folder}"
    end = b"\x05" if shell == "zsh" else b""  # behind a closing quote that stands there already
    ran = _run_completed(INTERACTIVE[shell], setup, f"storagectl {typed}", end, environment, tmp_path / "ran")
    words = json.loads(ran)
    assert words in (["--socket", name], [f"--socket={name}"])
    assert not (folder / "PWNED").exists()


def _run_completed(argv: list[str], setup: str, line: str, end: bytes, environment: dict[str, str], ran: Path) -> str:
    """Type a line, a tab and return into an interactive shell; what the program it ran left in ``ran``."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, environment)
    shown = b""

    def read_until(done: Callable[[], bool]) -> None:
        nonlocal shown
        while not done():
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)

    try:
        os.write(terminal, f"{setup}; echo re''ady\n".encode())
        read_until(lambda: b"ready\r\n" in shown)
        shown = b""
        os.write(terminal, f"{line}\t".encode())
        read_until(lambda: b"PWNED" in shown)
        os.write(terminal, end + b"\n")
        read_until(lambda: ran.exists() and ran.stat().st_size > 0)
        return ran.read_text()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
