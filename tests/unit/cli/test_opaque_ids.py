"""Ids are texts to a client: what comes after 64 hexadecimal digits is shown and passed on as it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, output
from storaged_client.cli.main import main
from storaged_client.contract import types as t
from storaged_client.contract import wire
from tests.support.server import Server

from .facts import details, image

IDS = [f"sha512:{'ab' * 64}", "blake3-Zm9vYmFy_=.x", "7"]
STATE = {"generation": "g", "stale": None}


def _answers(id: str) -> dict[str, Any]:
    row = image(id=id, names=["localhost/app:latest"], parent=id, in_lists=[id])
    finding = {
        **{"name": "link_lost", "severity": "damage", "kind": "layer", "id": id, "store": 0, "file": None},
        **{"detail": "lost", "endangers": "it", "images": [id], "mend": None},
    }
    container = {
        **{"id": id, "names": ["c"], "image": id, "layer": id, "created": row["created"], "owner": "podman"},
        "volatile": False,
    }
    return {
        "images.list": lambda params: {
            **STATE,
            "images": [{name: row[name] for name in params["fields"]}],
            "next_cursor": None,
            "sizes_pending": 0,
        },
        "images.get": lambda params: {
            **STATE,
            "images": [
                {"name": name, "image": details(row), "digest": None, "error": None} for name in params["names"]
            ],
        },
        "images.exists": lambda params: {**STATE, "exists": params["name"] == id},
        "containers.list": lambda _: {**STATE, "containers": [container]},
        "store.check": lambda _: {
            **STATE,
            **{"findings": [finding], "unsettled": [], "done": 1, "total": 1, "resume": None},
        },
    }


@pytest.fixture(params=IDS)
def id(request: pytest.FixtureRequest, short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with Server(short_dir / "s", _answers(request.param)) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        yield request.param


@pytest.mark.parametrize("argv", [["images"], ["containers"], ["check"]])
def test_a_table_shows_an_id_of_any_form(id: str, argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) in (exits.DONE, exits.FOUND)
    assert id[:12] in capsys.readouterr().out


@pytest.mark.parametrize(("argv", "path"), [(["images"], "Id"), (["inspect", "x"], "Id"), (["containers"], "id")])
def test_json_has_it_whole(id: str, argv: list[str], path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--format", "json"]) == exits.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert row[path] == id


def test_it_is_asked_for_as_it_was_given(id: str) -> None:
    assert main(["image", "exists", id]) == exits.DONE


def test_one_with_an_algorithm_of_its_own_gets_no_other_before_it() -> None:
    assert output.identifier("sha512:" + "ab" * 64, True) == "sha512:" + "ab" * 64
    assert output.identifier("sha512:" + "ab" * 64, False) == "sha512:" + "ab" * 6
    assert output.identifier("ab" * 32, True) == "sha256:" + "ab" * 32


@pytest.mark.parametrize("text", IDS)
def test_typed_results_take_it(text: str) -> None:
    answer = {**STATE, "images": [image(id=text)], "next_cursor": None, "sizes_pending": 0}
    found = wire.structure_result(t.ImageList, answer)
    assert [row.id for row in found] == [text]
