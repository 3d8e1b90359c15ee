"""``df``, against what podman 5.8.6 printed of the store described here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, system_df
from storaged_client.cli.main import main
from tests.support.server import Server

from .facts import APP, BASE, LIST, NOW


def image(id_: str, *names: str, shared: int | None = 0, unique: int | None = 0, **members: Any) -> Any:
    size = shared + unique if shared is not None and unique is not None else None
    return {
        "id": id_,
        "names": list(names),
        "created": "2026-11-24T08:02:28Z",
        "read_only": False,
        "size": size,
        "shared": shared,
        "unique": unique,
        "freed": unique,
        "containers": 0,
        **members,
    }


def usage(**members: Any) -> Any:
    return {
        "images_size": 47782,
        "images_reclaimable": 46127,
        "images": [
            image(APP, "quay.io/org/unit:latest", "localhost/base0:1", shared=2048, unique=1655, containers=2),
            image(BASE, "localhost/x@sha256:" + "a" * 64, shared=6144, unique=3132),
            image(LIST, unique=585),
        ],
        "containers_size": 2703,
        "containers": [
            {
                "id": "d" * 64,
                "names": ["one"],
                "image": APP,
                "created": "2026-11-24T08:02:28Z",
                "owner": "podman",
                "size": 2703,
                "size_pending": False,
                "size_reason": None,
            }
        ],
        "volumes_size": 4321,
        "volumes": [{"name": "vol1", "size": 4321}],
        "sizes_pending": 0,
        "generation": "g",
        "stale": None,
        **members,
    }


EMPTY = usage(
    images_size=0, images_reclaimable=0, images=[], containers_size=0, containers=[], volumes_size=0, volumes=[]
)


def test_the_table_is_podmans_and_what_only_podman_knows_is_a_dash() -> None:
    assert system_df.render(system_df.summaries(usage())) == (
        "TYPE           TOTAL       ACTIVE      SIZE        RECLAIMABLE\n"
        "Images         4           1           47.78kB     46.13kB (97%)\n"
        "Containers     1           -           2.703kB     -\n"
        "Local Volumes  1           -           4.321kB     -\n"
    )


def test_of_nothing_all_is_known() -> None:
    assert system_df.render(system_df.summaries(EMPTY), heading=False) == (
        "Images         0           0           0B          0B (0%)\n"
        "Containers     0           0           0B          0B (0%)\n"
        "Local Volumes  0           0           0B          0B (0%)\n"
    )


def test_the_tables_of_verbose_are_podmans() -> None:
    assert system_df.render_verbose(usage(), NOW) == (
        "Images space usage:\n\n"
        "REPOSITORY        TAG         IMAGE ID      CREATED     SIZE        SHARED SIZE  UNIQUE SIZE  CONTAINERS\n"
        "quay.io/org/unit  latest      f9d7ceee89b7  12 minutes  3.703kB     2.048kB      1.655kB      2\n"
        "localhost/base0   1           f9d7ceee89b7  12 minutes  3.703kB     2.048kB      1.655kB      2\n"
        "localhost/x       <none>      2be687b74c07  12 minutes  9.276kB     6.144kB      3.132kB      0\n"
        "<none>            <none>      b61e32bdc307  12 minutes  585B        0B           585B         0\n"
        "\nContainers space usage:\n\n"
        "CONTAINER ID  IMAGE         COMMAND     LOCAL VOLUMES  SIZE        CREATED     STATUS      NAMES\n"
        "dddddddddddd  f9d7ceee89b7  -           -              2.703kB     12 minutes  -           one\n"
        "\nLocal Volumes space usage:\n\n"
        "VOLUME NAME  LINKS       SIZE\n"
        "vol1         -           4.321kB\n"
    )


def run(tmp: Path, capsys: pytest.CaptureFixture[str], result: Any, *argv: str) -> tuple[int, str, str]:
    with Server(tmp / "s", {"store.usage": lambda _: result}):
        status = main(["--socket", str(tmp / "s"), "--no-spawn", *argv])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_number_that_nobody_knows_is_a_dash_in_a_template(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = "{{.Type}} {{.Active}} {{.RawReclaimable}} {{json .Active}}"
    _, out, _ = run(short_dir, capsys, usage(), "df", "--format", form)
    assert out == "Images 1 46127 1\nContainers - - null\nLocal Volumes - - null\n"


@pytest.mark.parametrize("path", [["df"], ["system", "df"]])
def test_json_is_podmans(short_dir: Path, capsys: pytest.CaptureFixture[str], path: list[str]) -> None:
    status, out, err = run(short_dir, capsys, usage(), *path, "--format", "json")
    assert (status, err) == (exits.DONE, "")
    assert out == (
        "[\n"
        '    {"Type":"Images","Total":4,"Active":1,"RawSize":47782,"RawReclaimable":46127,'
        '"TotalCount":4,"Size":"47.78kB","Reclaimable":"46.13kB (97%)"},\n'
        '    {"Type":"Containers","Total":1,"Active":null,"RawSize":2703,"RawReclaimable":null,'
        '"TotalCount":1,"Size":"2.703kB","Reclaimable":"-"},\n'
        '    {"Type":"Local Volumes","Total":1,"Active":null,"RawSize":4321,"RawReclaimable":null,'
        '"TotalCount":1,"Size":"4.321kB","Reclaimable":"-"}\n'
        "]\n"
    )


def test_a_template_sees_podmans_fields(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = "table {{.Type}}\t{{.Size}} {{.Reclaimable}} {{.RawSize}} {{.RawReclaimable}}"
    _, out, _ = run(short_dir, capsys, EMPTY, "df", "--format", form)
    assert out == (
        "TYPE           SIZE        RECLAIMABLE  RAW SIZE    RAW RECLAIMABLE\n"
        "Images         0B          0B (0%)      0           0\n"
        "Containers     0B          0B (0%)      0           0\n"
        "Local Volumes  0B          0B (0%)      0           0\n"
    )


def test_numbers_still_computed_are_dashes_and_told_on_stderr(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_ = usage(
        images_size=None,
        images_reclaimable=None,
        volumes_size=None,
        volumes=[{"name": "v", "size": None}],
        sizes_pending=2,
    )
    status, out, err = run(short_dir, capsys, open_, "df")
    assert status == exits.DONE
    assert out.splitlines()[1] == "Images         4           1           -           -"
    assert "sizes of 2 layers and 1 volume are not known yet" in err


def test_sizes_that_cannot_be_had_are_told_with_their_reason(
    short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (container,) = usage()["containers"]
    closed = {**container, "size": None, "size_reason": "var/lib: Permission denied"}
    _, out, err = run(short_dir, capsys, usage(containers_size=None, containers=[closed] * 5), "df")
    assert out.splitlines()[2] == "Containers     5           -           -           -"
    assert err.splitlines() == [
        *["storagectl: the size of container dddddddddddd is not known: var/lib: Permission denied"] * 3,
        "storagectl: and those of 2 more",
    ]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["df", "-v", "--format", "json"], "cannot combine --format and --verbose flags"),
        (["system", "df", "x"], "takes no arguments"),
        (["system", "prune"], "use: podman system prune"),
        (["system"], "missing command 'storagectl system COMMAND'"),
        (["df", "--format", "{{.Nothing}"], "template"),
    ],
)
def test_what_podman_refuses_is_refused(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exits.FAILED
    assert text in capsys.readouterr().err


def test_on_a_terminal_bars_and_the_largest_images_are_shown() -> None:
    text = system_df.paint(system_df.summaries(usage()), usage()["images"])
    for code in ("1", "32", "33", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    lines = text.splitlines()
    assert lines[0].startswith("Images")
    assert "█" * 24 in lines[0]
    assert lines[-2:] == ["    3.132kB  localhost/x@sha256:" + "a" * 64, "       585B  <none> b61e32bdc307"]
    assert all("\x1b[" not in line for line in system_df.render(system_df.summaries(usage())).splitlines())
