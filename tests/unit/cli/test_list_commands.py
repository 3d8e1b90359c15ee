"""``tag``, ``untag`` and ``manifest create|add|annotate|remove``: what is sent, what is printed."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import artifacts, exits
from storaged_client.cli.main import main
from storaged_client.media_types import guess
from tests.support.server import Refusal, Server

from .facts import APP, LIST

DIGEST = "sha256:" + "d" * 64


def _tagged(params: Any) -> Any:
    if params["name"] == "nope":
        raise Refusal(1001, "ImageUnknown", "nope: image not known")
    return {"generation": "g", "stale": None, "id": APP, "names": [], "changed": True, "moved_from": []}


def _got(params: Any) -> Any:
    summary = {"id": LIST, "names": [], "media_type": "m/t"}
    return {"generation": "g", "stale": None, "manifest": summary, "raw": {"manifests": []}}


def _edited(params: Any) -> Any:
    edited = {"id": LIST, "names": [], "digest": DIGEST, "instances": [], "changed": True}
    return {"generation": "g", "stale": None, **edited}


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    edits = ("create", "add", "annotate", "remove_instance")
    answers: dict[str, Any] = {"images.tag": _tagged, "images.untag": _tagged, "manifests.get": _got}
    answers.update({f"manifests.{verb}": _edited for verb in edits})
    with Server(short_dir / "s", answers) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        yield server


@pytest.mark.parametrize("group", [[], ["image"]])
def test_tagging_prints_nothing(group: list[str], daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*group, "tag", "a", "b", "c:1"]) == exits.DONE
    assert main([*group, "untag", "a"]) == exits.DONE
    assert main([*group, "untag", "a", "b"]) == exits.DONE
    assert daemon.requests == [
        ("images.tag", {"name": "a", "tags": ["b", "c:1"]}),
        ("images.untag", {"name": "a"}),
        ("images.untag", {"name": "a", "tags": ["b"]}),
    ]
    assert capsys.readouterr() == ("", "")


def test_an_unknown_image_is_told_as_podman_tells_it(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tag", "nope", "b"]) == exits.FAILED
    assert capsys.readouterr() == ("", "Error: nope: image not known\n")


@pytest.mark.parametrize(
    ("argv", "method", "params"),
    [
        (["create", "l"], "create", {"name": "l", "images": []}),
        (
            ["create", "-a", "--all", "--annotation", "x=y,z=w", "--annotation", "e=", "l", "a", "b"],
            "create",
            {"name": "l", "images": ["a", "b"], "all": True, "amend": True, "annotations": {"x": "y,z=w", "e": ""}},
        ),
        (["add", "l", "a"], "add", {"name": "l", "image": "a"}),
        (
            ["add", "--all", "--arch", "arm64", "--variant=v8", "--os", "linux", "--os-version", "1",
             "--features", "f,g", "--features", "h", "--annotation", "a=b=c", "l", "a"],
            "add",
            {
                "name": "l",
                "image": "a",
                "all": True,
                "platform": {
                    "architecture": "arm64",
                    "os": "linux",
                    "os_version": "1",
                    "variant": "v8",
                    "features": ["f", "g", "h"],
                },
                "annotations": {"a": "b=c"},
            },
        ),
        (["annotate", "l", DIGEST, "--os-features", "x,y"], "annotate",
         {"name": "l", "digest": DIGEST, "platform": {"os_features": ["x", "y"]}}),
        (["annotate", "--index", "--annotation", "a=b", "--subject", "s", "l"], "annotate",
         {"name": "l", "index": True, "annotations": {"a": "b"}, "subject": "s"}),
        (["remove", "l", DIGEST], "remove_instance", {"name": "l", "digest": DIGEST}),
    ],
)  # fmt: skip
def test_an_edit_prints_the_id_of_the_list(
    argv: list[str], method: str, params: Any, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["manifest", *argv]) == exits.DONE
    assert daemon.requests == [(f"manifests.{method}", params)]
    assert capsys.readouterr() == (f"{LIST}\n", "")


def test_verbose_is_taken_and_changes_nothing_as_podman_has_it(
    daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for flags in ([], ["-v"], ["--verbose"]):
        assert main(["manifest", "inspect", *flags, "l"]) == exits.DONE
        printed.append(capsys.readouterr())
    assert printed == [printed[0]] * 3
    assert '"mediaType": "m/t"' in printed[0].out
    assert daemon.requests == [("manifests.get", {"name": "l"})] * 3


def test_several_images_are_added_one_after_the_other(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", "add", "l", "a", "b"]) == exits.DONE
    assert [params["image"] for _, params in daemon.requests] == ["a", "b"]
    assert capsys.readouterr().out == f"{LIST}\n"


def test_the_files_of_an_artifact_are_sent_and_not_their_paths(daemon: Server, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("hello")
    (tmp_path / "g").write_bytes(b"\0\1")
    (tmp_path / "c").write_text("{}")
    files = [str(tmp_path / "f.txt"), str(tmp_path / "g")]
    flags = ["--artifact-type", "t/x", "--artifact-config", str(tmp_path / "c"), "--artifact-config-type", "c/y"]
    assert main(["manifest", "add", "--artifact", *flags, "--artifact-subject", "s", "l", *files]) == exits.DONE
    assert main(
        ["manifest", "add", "--artifact", "--artifact-exclude-titles", "--artifact-layer-type", "l/z", "l", files[1]]
    ) == exits.DONE  # fmt: skip
    assert main(["manifest", "add", "--artifact", "--artifact-exclude-titles", "l", files[0]]) == exits.DONE
    text, octets = (base64.b64encode(content).decode() for content in (b"hello", b"\0\1"))
    assert [params["artifact"] for _, params in daemon.requests] == [
        {
            "layers": [
                {"data": text, "media_type": "text/plain", "title": "f.txt"},
                {"data": octets, "media_type": "application/octet-stream", "title": "g"},
            ],
            "config": "{}",
            "config_type": "c/y",
            "subject": "s",
            "type": "t/x",
        },
        {"layers": [{"data": octets, "media_type": "l/z"}]},
        {"layers": [{"data": text, "media_type": "text/plain"}]},
    ]
    assert str(tmp_path) not in str(daemon.requests)


def test_a_configuration_that_is_no_text_is_refused(
    daemon: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c").write_bytes(b"\xff")
    argv = ["manifest", "add", "--artifact", "--artifact-config", str(tmp_path / "c"), "l", str(tmp_path / "c")]
    assert main(argv) == exits.FAILED
    assert "is text in UTF-8" in capsys.readouterr().err
    assert daemon.requests == []


def test_an_empty_configuration_is_none_as_podman_has_it(daemon: Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    argv = ["manifest", "add", "--artifact", "--artifact-config=", "--artifact-layer-type=", "l", str(tmp_path / "f")]
    assert main(argv) == exits.DONE
    [(_, params)] = daemon.requests
    assert params["artifact"] == {"layers": [{"data": "eA==", "media_type": "text/plain", "title": "f"}]}


def opened(folder: Path) -> list[str]:
    """Files of this folder that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            path = os.readlink(f"/proc/self/fd/{number}")
            found += [path] if path.startswith(str(folder)) else []
    return found


def test_what_one_request_does_not_hold_is_passed_open_and_closed_again(daemon: Server, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first", "a.tar.gz", "b")]
    files[0].write_bytes(b"x" * (artifacts._MOST - 5))
    files[1].write_bytes(b"\x1f\x8b\x08\0\0\0")
    files[2].write_bytes(b"\1\2\3\4\5")
    assert main(["manifest", "add", "--artifact", "l", *map(str, files)]) == exits.DONE
    assert opened(tmp_path) == []
    [(_, params)] = daemon.requests
    first, second, third = params["artifact"]["layers"]
    assert first["title"] == "first"
    assert second == {"fd": 0, "media_type": guess("a.tar.gz", b""), "title": "a.tar.gz"}
    assert third == {"data": "AQIDBAU=", "media_type": "application/octet-stream", "title": "b"}


def test_more_files_than_a_message_takes_are_podmans_task(
    daemon: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (artifacts._MOST + 1))
    assert main(["manifest", "add", "--artifact", "l", *[str(large)] * 17]) == exits.FAILED
    assert "more than 16 files that are too large for one request" in capsys.readouterr().err
    assert opened(tmp_path) == []
    assert daemon.requests == []


def test_what_is_no_regular_file_is_refused_and_nobody_waits_for_it(
    daemon: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        for argv in (["l", str(path)], ["--artifact-config", str(path), "l", "/dev/null"]):
            assert main(["manifest", "add", "--artifact", *argv]) == exits.FAILED
            assert f"{path}: not a regular file" in capsys.readouterr().err
    assert daemon.requests == []


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["tag"], "requires at least 2 arg(s), only received 0"),
        (["tag", "a"], "requires at least 2 arg(s), only received 1"),
        (["untag"], "requires at least 1 arg(s), only received 0"),
        (["manifest", "create"], "requires at least 1 arg(s), only received 0"),
        (["manifest", "create", "--annotation", "q", "l"], 'expected --annotation "q" to be in key=value format'),
        (
            ["manifest", "create", "--tls-verify=false", "l"],
            "--tls-verify is not a flag of storagectl; use: podman manifest create --tls-verify=false l",
        ),
        (
            ["manifest", "create", "--insecure", "l"],
            "--insecure is not a flag of storagectl; use: podman manifest create --insecure l",
        ),
        *[
            (
                ["manifest", "inspect", *flag, "l"],
                f"{flag[0].partition('=')[0]} is not a flag of storagectl; "
                f"use: podman manifest inspect {' '.join(flag)} l",
            )
            for flag in (["--authfile", "f"], ["--insecure"], ["--tls-verify=false"])
        ],
        (
            ["manifest", "add", "--insecure", "l", "x"],
            "--insecure is not a flag of storagectl; use: podman manifest add --insecure l x",
        ),
        (["manifest", "add", "l"], "requires at least 2 arg(s), only received 1"),
        (["manifest", "add", "--artifact-type", "x", "l", "a"], "--artifact-type requires --artifact"),
        (
            ["manifest", "add", "l", "docker://r/x"],
            "docker://r/x: only images of the local store; use: podman manifest add l docker://r/x",
        ),
        (
            ["manifest", "add", "--creds", "a:b", "l", "x"],
            "--creds is not a flag of storagectl; use: podman manifest add --creds a:b l x",
        ),
        (["manifest", "add", "--artifact", "l", "/nonexistent"], "/nonexistent: No such file or directory"),
        (["manifest", "annotate"], "accepts between 1 and 2 arg(s), received 0"),
        (["manifest", "annotate", "a", "b", "c"], "accepts between 1 and 2 arg(s), received 3"),
        (["manifest", "annotate", "l"], "expected an instance digest, image name, or artifact name"),
        (["manifest", "annotate", "", "x"], 'invalid image name ""'),
        (["manifest", "annotate", "l", ""], 'invalid instance digest, image name, or artifact name ""'),
        (
            ["manifest", "annotate", "--index", "--arch", "x", "l"],
            "setting architecture on an item in a manifest list requires an instance digest",
        ),
        (
            ["manifest", "annotate", "--subject", "s", "l", "x"],
            "setting subject for a manifest list requires no instance digest",
        ),
        (
            ["manifest", "annotate", "--index", "l", "x"],
            'did not expect image or artifact name "x" when modifying the entire index',
        ),
        (["manifest", "remove", "l"], "accepts 2 arg(s), received 1"),
        (["manifest", "remove", "l", "b", "c"], "accepts 2 arg(s), received 3"),
    ],
)
def test_a_wrong_command_line_changes_nothing(
    argv: list[str], text: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == exits.FAILED
    assert capsys.readouterr() == ("", f"Error: {text}\n")
    assert daemon.requests == []
