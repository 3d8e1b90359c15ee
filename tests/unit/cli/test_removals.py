"""``rmi`` and ``manifest rm``: the request, podman's lines, podman's exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits
from storaged_client.cli.main import main
from tests.support.server import Server

from .facts import APP, BASE, LIST, report, unremoved

NOTHING = "when using the --all switch, you may not pass any images names or IDs"
CONTAINER = "image used by c0ffee: image is in use by a container: remove it by podman rm c0ffee"


def run(path: Path, answer: Any, *argv: str, method: str = "images.remove") -> tuple[int, Any]:
    """The exit status and the parameters that were sent."""
    with Server(path / "s", {method: lambda _: answer}) as server:
        status = main([*argv, "--socket", str(path / "s")])
    [(_, params)] = server.requests
    return status, params


@pytest.mark.parametrize(
    ("flags", "params"),
    [
        (["a", "b"], {"names": ["a", "b"]}),
        (["-i", "a"], {"ignore": True, "names": ["a"]}),
        (["-f", "a"], {"force": True, "ignore": True, "names": ["a"]}),
        (["-a"], {"all": True}),
        (["-af", "--no-prune"], {"all": True, "force": True, "ignore": True, "no_prune": True}),
        (["--dry-run", "a"], {"dry_run": True, "names": ["a"]}),
    ],
)
@pytest.mark.parametrize("path", [["rmi"], ["image", "rm"]])
def test_flags_become_parameters_and_force_minds_no_unknown_name(
    short_dir: Path, path: list[str], flags: list[str], params: Any
) -> None:
    assert run(short_dir, report(), *path, *flags) == (exits.DONE, params)


def test_all_names_come_before_all_images(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [{"id": APP, "name": "localhost/a:1"}, {"id": BASE, "name": "localhost/b:1"}]
    answer = report(removed=[gone(APP), gone(BASE)], untagged=names)
    assert run(short_dir, answer, "rmi", "a:1", "b:1")[0] == exits.DONE
    assert capsys.readouterr() == (
        f"Untagged: localhost/a:1\nUntagged: localhost/b:1\nDeleted: {APP}\nDeleted: {BASE}\n",
        "",
    )


@pytest.mark.parametrize(("path", "method"), [("rmi", "images.remove"), ("manifest rm", "manifests.remove")])
def test_files_that_are_left_are_told_on_standard_error_and_are_no_failure(
    short_dir: Path, capsys: pytest.CaptureFixture[str], path: str, method: str
) -> None:
    answer = report(removed=[gone(APP)], unfinished="/g/overlay/x: Device or resource busy")
    assert run(short_dir, answer, *path.split(), "a", method=method)[0] == exits.DONE
    assert capsys.readouterr() == (
        f"Deleted: {APP}\n",
        "storagectl: files are left, the next start of the daemon removes them: "
        "/g/overlay/x: Device or resource busy\n",
    )


def gone(id_: str, **members: Any) -> Any:
    return {"id": id_, "names": [], "freed": 5, "reasons": [], "containers": [], **members}


@pytest.mark.parametrize(
    ("failed", "status"),
    [
        ([unremoved("ImageUnknown", 1001, "nope: image not known")], 1),
        ([unremoved("ManifestListUnknown", 1003, "nope: image not known")], 1),
        ([unremoved("ImageUnknown", 1001, "x"), unremoved("ImageInUse", 2001, CONTAINER)], 2),
        ([unremoved("MultipleNames", 2003, "x"), unremoved("ImageInUse", 2001, CONTAINER)], 2),
        ([unremoved("MultipleNames", 2003, "x")], 125),
        ([unremoved("ImageUnknown", 1001, "x"), unremoved("Leased", 2005, "y")], 125),
        ([unremoved("StoreBusy", 3001, "x"), unremoved("StoreBusy", 3001, "y")], exits.BUSY),
        ([unremoved("StoreBusy", 3001, "x"), unremoved("NoSpace", 3005, "y")], 125),
        ([unremoved("OfTomorrow", 2999, "x")], 125),
    ],
)
def test_the_exit_status_is_podmans(short_dir: Path, failed: list[Any], status: int) -> None:
    assert run(short_dir, report(failed=failed), "rmi", "x")[0] == status


def test_one_failure_is_one_line_and_hides_nothing_done(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = report(removed=[gone(APP)], failed=[unremoved("ImageUnknown", 1001, "nope: image not known")])
    assert run(short_dir, answer, "rmi", "nope", "a")[0] == 1
    assert capsys.readouterr() == (f"Deleted: {APP}\n", "Error: nope: image not known\n")


def test_several_failures_are_podmans_list_those_of_the_look_up_first(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = [unremoved("ImageInUse", 2001, CONTAINER), unremoved("ImageUnknown", 1001, "nope: image not known")]
    run(short_dir, report(failed=failed), "rmi", "a", "nope")
    assert capsys.readouterr().err == f"Error: 2 errors occurred:\n\t* nope: image not known\n\t* {CONTAINER}\n"


def test_text_of_an_error_does_not_reach_the_terminal_raw(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(short_dir, report(failed=[unremoved("ImageUnknown", 1001, "\x1b[2J\tx")]), "rmi", "x")
    assert capsys.readouterr().err == "Error: \\x1b[2J\\tx\n"


def test_json_is_the_report(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = report(removed=[gone(APP)], failed=[unremoved("ImageUnknown", 1001, "nope: image not known")])
    assert run(short_dir, answer, "rmi", "--format", "json", "x")[0] == 1
    assert json.loads(capsys.readouterr().out) == answer


def test_quiet_prints_the_ids_only(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = report(removed=[gone(APP)], untagged=[{"id": APP, "name": "localhost/a:1"}])
    run(short_dir, answer, "-q", "rmi", "a:1")
    assert capsys.readouterr().out == f"{APP}\n"


def test_a_dry_run_tells_what_would_go_and_what_only_loses_a_name(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    going = gone(APP, names=["localhost/a:1"], reasons=[{"code": "requested", "detail": "asked for", "image": None}])
    names = [{"id": APP, "name": "localhost/a:1"}, {"id": BASE, "name": "localhost/b:1"}]
    run(short_dir, report(removed=[going], untagged=names, freed=5), "rmi", "--dry-run", "a:1", "b:1")
    assert capsys.readouterr().out == (
        f"""\
IMAGE ID      FREED       GOES BECAUSE  NAMES
{APP[:12]}  5 B         asked for     localhost/a:1

loses the name localhost/b:1

would remove 1 of 1 image and free 5 B
"""
    )


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["rmi"], "Error: image name or ID must be specified\n"),
        (["image", "rm"], "Error: image name or ID must be specified\n"),
        (["rmi", "-a", "x"], f"Error: {NOTHING}\n"),
        (["rmi", "--foo"], "Error: unknown flag: --foo\nSee 'storagectl rmi --help'\n"),
        (["manifest", "rm"], "Error: requires at least 1 arg(s), only received 0\n"),
        (
            ["rmi", "--format", "{{.ID}}", "x"],
            "Error: no Go templates here, use --format json or --format table: {{.ID}}\n",
        ),
    ],
)
def test_a_wrong_command_line_removes_nothing(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--socket", "/nonexistent/s"]) == exits.FAILED
    assert capsys.readouterr() == ("", text)


def test_lists_are_removed_as_images_are(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = report(removed=[gone(LIST)], untagged=[{"id": LIST, "name": "localhost/l:1"}])
    status, params = run(short_dir, answer, "manifest", "rm", "-i", "l:1", method="manifests.remove")
    assert (status, params) == (exits.DONE, {"names": ["l:1"], "ignore": True})
    assert capsys.readouterr().out == f"Untagged: localhost/l:1\nDeleted: {LIST}\n"
