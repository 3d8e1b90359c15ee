"""Which commands take a Go template, over a real socket, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, output
from storaged_client.cli.main import main
from tests.support.server import Server
from tests.support.terminals import open_terminal

from .facts import APP, BASE, LIST, details, image, info

STATE = {"generation": "g", "stale": None}
CLEARED = "localhost/clear:\x1b[2J"
RAW = {"schemaVersion": 2, "manifests": [{"digest": "sha256:28", "annotations": {"org.x": "ramalama"}}]}


CREATED = "2026-11-24T08:02:28.078025249Z"
DAMAGE = {"name": "manifest_missing", "detail": "no file"}
CONTAINERS = [
    {
        "id": "c1",
        "names": ["x", "y"],
        "image": APP,
        "layer": None,
        "created": CREATED,
        "owner": "podman",
        "volatile": False,
    }
]
LAYERS = [
    {
        **{"id": "l1", "parent": None, "names": [], "created": CREATED, "diff_digest": None, "size": 5, "depth": 1},
        **{"images": [APP], "containers": [], "children": 0, "read_only": False, "damage": DAMAGE},
    }
]
LISTS = [
    {
        **{"id": LIST, "names": ["localhost/list:1"], "digest": "sha256:" + "d" * 64, "media_type": "m/t"},
        **{
            "created": CREATED,
            "read_only": False,
            "instance_count": 1,
            "annotations": {"org.x": "y"},
            "damage": DAMAGE,
        },
        "instances": [
            {"digest": "sha256:28", "platform": {"architecture": "arm64", "os": "linux", "variant": None}, "image": APP}
        ],
    }
]
TREE = {
    **{"id": APP, "names": ["localhost/app:1"], "size": 5, "size_pending": False, "top_layer": "l1", "damage": None},
    "layers": [
        {
            **{"id": "l1", "parent": None, "siblings": 0, "size": 5, "size_pending": False, "containers": []},
            "images": [{"id": APP, "names": ["localhost/app:1"]}],
        }
    ],
}
HISTORY = [
    {
        **{"id": APP, "created": CREATED, "created_by": "/bin/sh", "size": 5, "comment": "said", "tags": []},
        "empty_layer": False,
    }
]
USAGE: dict[str, Any] = {
    **{"images": [], "containers": [], "volumes": [], "images_size": 9, "images_reclaimable": 3},
    **{"containers_size": 0, "volumes_size": 0, "sizes_pending": 0},
}


def _images(params: Any) -> Any:
    rows = [image(names=["localhost/app:latest"], damage=DAMAGE, read_only=True), image(id=BASE, names=[CLEARED])]
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
    "images.history": lambda _: {**STATE, "history": HISTORY},
    "images.tree": lambda _: {**STATE, **TREE},
    "store.usage": lambda _: {**STATE, **USAGE},
    "containers.list": lambda _: {**STATE, "containers": CONTAINERS},
    "layers.list": lambda _: {**STATE, "layers": LAYERS, "next_cursor": None},
    "manifests.list": lambda _: {**STATE, "manifests": LISTS},
    "manifests.get": lambda _: {**STATE, "manifest": {"media_type": None}, "raw": RAW},
}


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(short_dir / "s", ANSWERS) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        yield server


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
        (["layers"], "{{.DiffDigest}} {{.ReadOnly}} {{.Damage}}", "<nil> false manifest_missing\n"),
        (["layers"], "{{json .images}}", f'["{APP}"]\n'),
        (["manifest", "ls"], '{{join .names ","}}', "localhost/list:1\n"),
        (["manifest", "inspect", "x"], '{{index (index .manifests 0).annotations "org.x"}}', "ramalama\n"),
        (["why", "x"], "{{range .reasons}}{{.code}}{{end}}", "named\n"),
        (["why", "x"], "{{.ID}} {{.Dangling}} {{range .Reasons}}{{.Code}}{{end}}", f"{APP[:12]} false named\n"),
        (["tree", "x"], "{{.ID}} {{.Size}} {{.Tags}}", f"{APP[:12]} 5B [localhost/app:1]\n"),
        (["tree", "x"], "{{range .Layers}}{{.ID}} {{range .Images}}{{.Names}}{{end}}{{end}}", "l1 [localhost/app:1]\n"),
        (["manifest", "ls"], "{{(index .instances 0).Platform.Os}}", "linux\n"),
        (["manifest", "ls"], '{{index .Annotations "org.x"}} {{.MediaType}}', "y m/t\n"),
        (["manifest", "inspect", "x"], "{{.SchemaVersion}} {{(index .Manifests 0).Digest}}", "2 sha256:28\n"),
    ],
)
def test_a_command_prints_its_rows_by_a_template(
    argv: list[str], form: str, text: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--format", form]) == exits.DONE
    assert capsys.readouterr().out == text


SPELLED = dict.fromkeys(("ID", "IMAGE ID", "CONTAINER ID", "LAYER ID", "LIST ID"), "ID") | {"R/O": "ReadOnly"}
"""Names of columns that are not their titles in Go's spelling."""


def _named(title: str) -> str:
    return SPELLED.get(title) or "".join(word.capitalize() for word in title.split())


@pytest.mark.parametrize(
    "argv",
    [
        ["images"],
        ["images", "--digests"],
        ["images", "--no-trunc"],
        ["history", "x"],
        ["df"],
        ["containers"],
        ["containers", "--no-trunc"],
        ["layers"],
        ["layers", "--noheading"],
        ["manifest", "ls"],
        ["manifest", "ls", "--no-trunc"],
    ],
    ids=" ".join,
)
def test_a_template_of_the_columns_names_prints_the_very_table(
    argv: list[str], daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word for word in argv if word != "--noheading"]) == exits.DONE
    titles = re.split(r" {2,}", capsys.readouterr().out.splitlines()[0].rstrip())
    assert main(argv) == exits.DONE
    table = capsys.readouterr().out
    form = "table " + "\\t".join(f"{{{{.{_named(title)}}}}}" for title in titles)
    assert main([*argv, "--format", form]) == exits.DONE
    by_template = capsys.readouterr().out
    if argv[0] in ("images", "history", "df"):
        # podman's own structs: their titles are podman's, and a template passes control characters on to a pipe.
        assert list(map(str.split, by_template.replace("\x1b", "\\x1b").splitlines()[1:])) == list(
            map(str.split, table.splitlines()[1:])
        )
    else:
        assert by_template == table


@pytest.mark.parametrize(
    ("argv", "example"),
    [
        (["images"], "{{.ID}}"),
        (["history", "x"], "{{.ID}}"),
        (["inspect", "x"], "{{.ID}}"),
        (["tree", "x"], "{{.ID}}"),
        (["why", "x"], "{{.ID}}"),
        (["containers"], "{{.ID}}"),
        (["layers"], "{{.ID}}"),
        (["manifest", "ls"], "{{.ID}}"),
        (["df"], "{{.Type}}"),
        (["info"], "{{.Store.GraphRoot}}"),
        (["version"], "{{.Client.Version}}"),
    ],
    ids=str,
)
def test_a_word_that_is_no_format_tells_of_templates_with_one_that_works(
    argv: list[str], example: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--format", "yaml"]) == exits.FAILED
    assert capsys.readouterr() == (
        "",
        f"Error: unknown format 'yaml': use json, table or a Go template such as '{example}'\n",
    )
    assert daemon.requests == []
    assert main([*argv, "--format", example]) == exits.DONE
    assert capsys.readouterr().out.strip()


def test_the_json_of_a_row_has_the_names_of_the_wire_alone(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, row in ((["layers"], LAYERS[0]), (["manifest", "ls"], LISTS[0]), (["containers"], CONTAINERS[0])):
        assert main([*argv, "--format", "{{json .}}"]) == exits.DONE
        assert json.loads(capsys.readouterr().out) == row


def test_ids_alone_come_before_a_template_as_podman_has_it(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "-q", "--format", "{{.Tag}}"]) == exits.DONE
    assert capsys.readouterr().out.split() == [APP[:12], BASE[:12]]


def test_json_of_a_row_is_a_line_and_json_alone_is_the_array(
    daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "--format", "{{json .}}"]) == exits.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line[:32] for line in lines] == ['{"repository":"localhost/app","t', '{"repository":"localhost/clear",']
    assert main(["images", "--format", "{{ json }}"]) == exits.DONE
    assert capsys.readouterr().out.startswith("[\n    {")


@pytest.mark.parametrize("form", ["{{.ID", "{{.Foo}}", "{{index .Names 7}}"])
def test_a_wrong_template_prints_nothing_and_ends_with_podmans_status(
    form: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["images", "--format", form]) == exits.FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: template: images:1:")


def test_a_template_that_cannot_be_read_is_told_before_any_request(daemon: Server) -> None:
    assert main(["inspect", "x", "--format", "{{.ID"]) == exits.FAILED
    assert daemon.requests == []


def test_what_was_found_is_printed_beside_what_was_not(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "x", "nope", "--format", "{{.Id}}"]) == exits.FAILED
    printed = capsys.readouterr()
    assert printed.out == f"{APP}\n"
    assert printed.err == 'Error: no such object: "nope"\n'


def test_control_characters_reach_a_pipe_and_no_terminal(daemon: Server) -> None:
    command = "import sys; from storaged_client.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", command, "images", "--format", "{{.Repository}}:{{.Tag}}\\t|"]
    assert CLEARED.encode() in subprocess.run(argv, capture_output=True, check=True).stdout
    master, slave = open_terminal()
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
