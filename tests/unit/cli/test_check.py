"""``storagectl check``: slices put together, grouped for people, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import check, exits
from storaged_client.cli.main import main
from tests.support.server import Server

from .facts import APP, BASE


def finding(**members: Any) -> Any:
    return {
        "name": "link_lost",
        "severity": "damage",
        "kind": "layer",
        "id": BASE,
        "store": 0,
        "file": "/store/overlay/l/ABC",
        "detail": "l/ABC is missing",
        "endangers": "the images on this layer",
        "images": [APP],
        "mend": "ln -s ../x/diff /store/overlay/l/ABC",
        **members,
    }


def report(**members: Any) -> Any:
    empty = {"generation": "g", "stale": None, "findings": [], "unsettled": [], "done": 3, "total": 3, "resume": None}
    return {**empty, **members}


def run(path: Path, replies: list[Any], *argv: str) -> tuple[int, list[Any]]:
    left = list(replies)
    with Server(path / "s", {"store.check": lambda _: left.pop(0)}) as server:
        status = main(["check", "--socket", str(path / "s"), *argv])
    assert left == []
    return status, [params for _, params in server.requests]


def test_a_clean_store_ends_with_zero(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, asked = run(short_dir, [report()], "--scope", "contents")
    assert status == exits.DONE
    assert asked == [{"scope": "contents", "slice": check._SLICE}]
    assert capsys.readouterr().out == "Nothing is wrong in 3 units (scope contents).\n"


def test_a_scope_that_was_not_looked_at_is_named(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = run(short_dir, [report(unsettled=["layer x: a writer"])])
    assert status == exits.DONE
    shown = capsys.readouterr().out
    assert "Nothing is wrong in 2 units of 3 (scope files).\n" in shown
    assert shown.endswith(
        "Not looked at: every byte of images' data and layers' files: storagectl check --scope contents\n"
    )
    run(short_dir, [report()], "--scope", "records", "--format", "json")
    assert json.loads(capsys.readouterr().out)["not_looked_at"] == ["files", "contents"]


def test_slices_are_asked_for_until_the_last(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = finding(), finding(name="link_orphan", severity="debris", kind="file", id="/store/l/Z", images=[])
    replies = [report(findings=[first], resume="token"), report(findings=[last], unsettled=["layer x: a writer"])]
    status, asked = run(short_dir, replies, "--format", "json")
    assert status == exits.FOUND == 1
    assert [params.get("resume") for params in asked] == [None, "token"]
    shown = json.loads(capsys.readouterr().out)
    assert shown["findings"] == [first, last]
    assert shown["unsettled"] == ["layer x: a writer"]


def test_findings_are_grouped_by_what_they_endanger_the_worst_first() -> None:
    findings = [
        finding(
            name="temporary_left", severity="debris", kind="file", id="/t", endangers="space", images=[], mend=None
        ),
        finding(),
        finding(
            name="table_unreadable", severity="fatal", kind="table", id="/j", file="/j", endangers="all", images=[]
        ),
        finding(name="link_wrong", store=1, file=None, images=["1" * 64] * 6),
    ]
    text = check.render({"findings": findings, "unsettled": ["x: a writer"], "total": 1, "scope": "files"})
    assert text == (
        f"""\
fatal: endangers all
  table_unreadable: /j: l/ABC is missing
    to repair it: ln -s ../x/diff /store/overlay/l/ABC

damage: endangers the images on this layer
  link_lost: layer {BASE[:12]}: l/ABC is missing
    file: /store/overlay/l/ABC
    images: {APP[:12]}
    to repair it: ln -s ../x/diff /store/overlay/l/ABC
  link_wrong: layer {BASE[:12]} (additional store 1): l/ABC is missing
    images: 111111111111 111111111111 111111111111 111111111111 and 2 more
    to repair it: ln -s ../x/diff /store/overlay/l/ABC

debris: endangers space
  temporary_left: /t: l/ABC is missing
    file: /store/overlay/l/ABC

not judged; check again later
  x: a writer

4 findings in 1 unit (scope files)
Not looked at: every byte of images' data and layers' files: storagectl check --scope contents
"""
    )


def test_text_of_the_store_does_not_reach_the_terminal_raw() -> None:
    found = finding(detail="\x1b[2J", file="/a\nb")
    text = check.render({"findings": [found], "unsettled": [], "total": 2, "scope": "files"})
    assert "\x1b" not in text
    assert "/a\\nb" in text


def test_quiet_prints_the_subjects_only(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = run(short_dir, [report(findings=[finding()])], "-q")
    assert (status, capsys.readouterr().out) == (exits.FOUND, f"{BASE}\n")


def test_a_result_of_an_earlier_check_is_told_with_its_age() -> None:
    known = {"findings": [], "unsettled": [], "total": 2, "scope": "contents"}
    assert "This was found 240 s ago" in check.render({**known, "age": 240.2, "begun": 300.0})
    assert "it had begun 60 s before" in check.render({**known, "age": 0.0, "begun": 60.0})
    assert check.render({**known, "age": 0.0, "begun": 0.1}) == "Nothing is wrong in 2 units (scope contents).\n"
