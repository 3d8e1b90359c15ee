"""Which commands take a Go template, over a real socket, in a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, output
from storaged_client.cli.main import main

from .answerer import Answerer
from .facts import APP, BASE, LIST, details, image, info

STATE = {"generation": "g", "stale": None}
CLEARED = "localhost/clear:\x1b[2J"
RAW = {"schemaVersion": 2, "manifests": [{"digest": "sha256:28", "annotations": {"org.x": "ramalama"}}]}


def _images(params: Any) -> Any:
    rows = [image(names=["localhost/app:latest"]), image(id=BASE, names=[CLEARED])]
    rows = [{name: row[name] for name in params["fields"]} for row in rows]
    return {**STATE, "images": rows, "next_cursor": None, "sizes_pending": 0}


def _get(params: Any) -> Any:
    missing = {"code": 1001, "message": "no image is called so", "data": {"name": "ImageUnknown"}}
    found = details(image(), config={"Labels": {"a": "b"}})
    members = ("name", "image", "digest", "error")
    answers = [(name, *((None, None, missing) if name == "nope" else (found, None, None))) for name in params["names"]]
    return {**STATE, "images": [dict(zip(members, one, strict=True)) for one in answers]}


ANSWERS: dict[str, Any] = {
    "images.list": _images,
    "images.get": _get,
    "images.why": lambda _: {**STATE, "id": APP, "dangling": False, "prunable": False, "reasons": [{"code": "named"}]},
    "server.info": lambda _: info(),
    "containers.list": lambda _: {**STATE, "containers": [{"id": "c1", "owner": "podman", "names": ["x"]}]},
    "layers.list": lambda _: {**STATE, "layers": [{"id": "l1", "size": 5, "parent": None}], "next_cursor": None},
    "manifests.list": lambda _: {**STATE, "manifests": [{"id": LIST, "names": ["localhost/list:1"]}]},
    "manifests.get": lambda _: {**STATE, "manifest": {"media_type": None}, "raw": RAW},
}


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answerer]:
    with Answerer(short_dir / "s", ANSWERS) as answerer:
        monkeypatch.setenv("STORAGED_SOCKET", str(answerer.path))
        yield answerer


@pytest.mark.parametrize(
    ("argv", "form", "text"),
    [
        (["images"], "{{.Repository}}:{{.Tag}} {{.ID}}", f"localhost/app:latest {APP[:12]}\n{CLEARED} {BASE[:12]}\n"),
        (["image", "ls", "-n"], "table {{.ID}} {{.Size}}", f"{APP[:12]}  1.24 MB\n{BASE[:12]}  1.24 MB\n"),
        (["inspect", "x"], "{{.Id}} {{.Config.Labels.a}}", f"{APP} b\n"),
        (["image", "inspect", "x", "y"], "{{.Os}}", "linux\nlinux\n"),
        (["info"], "{{.Store.GraphRoot}}", "/nowhere/storage\n"),
        (["containers"], "table {{.id}} {{.owner}}", "ID          OWNER\nc1          podman\n"),
        (["layers"], "{{.id}}={{.size}} {{.parent}}", "l1=5 <nil>\n"),
        (["manifest", "ls"], '{{join .names ","}}', "localhost/list:1\n"),
        (["manifest", "inspect", "x"], '{{index (index .manifests 0).annotations "org.x"}}', "ramalama\n"),
        (["why", "x"], "{{range .reasons}}{{.code}}{{end}}", "named\n"),
    ],
)
def test_a_command_prints_its_rows_by_a_template(
    argv: list[str], form: str, text: str, daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--format", form]) == exits.DONE
    assert capsys.readouterr().out == text


def test_ids_alone_come_before_a_template_as_podman_has_it(
    daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "-q", "--format", "{{.Tag}}"]) == exits.DONE
    assert capsys.readouterr().out.split() == [APP[:12], BASE[:12]]


def test_json_of_a_row_is_a_line_and_json_alone_is_the_array(
    daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "--format", "{{json .}}"]) == exits.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line[:32] for line in lines] == ['{"repository":"localhost/app","t', '{"repository":"localhost/clear",']
    assert main(["images", "--format", "{{ json }}"]) == exits.DONE
    assert capsys.readouterr().out.startswith("[\n    {")


@pytest.mark.parametrize("form", ["{{.ID", "{{.Foo}}", "{{index .Names 7}}"])
def test_a_wrong_template_prints_nothing_and_ends_with_podmans_status(
    form: str, daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "--format", form]) == exits.FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: template: images:1:")


def test_a_template_that_cannot_be_read_is_told_before_any_request(daemon: Answerer) -> None:
    assert main(["inspect", "x", "--format", "{{.ID"]) == exits.FAILED
    assert daemon.requests == []


def test_what_was_found_is_printed_beside_what_was_not(daemon: Answerer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "x", "nope", "--format", "{{.Id}}"]) == exits.FAILED
    printed = capsys.readouterr()
    assert printed.out == f"{APP}\n"
    assert printed.err == 'Error: no such object: "nope"\n'


def test_control_characters_reach_a_pipe_and_no_terminal(daemon: Answerer) -> None:
    command = "import sys; from storaged_client.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", command, "images", "--format", "{{.Repository}}:{{.Tag}}\\t|"]
    assert CLEARED.encode() in subprocess.run(argv, capture_output=True, check=True).stdout
    master, slave = pty.openpty()
    try:
        subprocess.run(argv, stdout=slave, check=True)
        shown = os.read(master, 4096)
    finally:
        os.close(slave)
        os.close(master)
    assert shown == b"localhost/app:latest\t|\r\nlocalhost/clear:\\x1b[2J\t|\r\n"


def test_a_command_without_rows_still_refuses_a_template() -> None:
    with pytest.raises(output.FormatError, match="no Go templates here"):
        output.json_wanted("{{.ID}}")
