"""What an operator sees of a real daemon: its settings, its mistakes, its numbers, what is wrong with it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from storaged.sample import SampleSpec, write_store
from storaged.store.layout import paths
from storaged.store.layout.paths import own_dir
from tests.support.daemon import STORAGED, flags, serving, started
from tests.support.trees import remove_tree

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
STORAGECTL = (sys.executable, "-c", "import sys; from storaged_client.cli.main import main; sys.exit(main())")


TEXTFILE = re.compile(r"```sh\n(dir=.*?)```", re.DOTALL)


def storagectl(socket: str, *arguments: str) -> str:
    command = [*STORAGECTL, "--no-spawn", "--socket", socket, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    # 1: `info` names something wrong.
    assert done.returncode in ((0, 1) if "info" in arguments else (0,)), done.stderr
    return done.stdout


@pytest.mark.parametrize("table", [b"", b"[]"], ids=["no bytes", "no records"])
def test_info_and_check_tell_a_lost_table_and_lost_files_by_their_status(short_dir: Path, table: bytes) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1, contents="files"))
    images = Path(paths.images_json(str(short_dir / "root"), "overlay"))

    def asked(*arguments: str) -> tuple[int, str]:
        command = [*STORAGECTL, "--no-spawn", "--socket", daemon.path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout

    with serving(short_dir) as daemon:
        assert asked("info")[0] == 0
        assert asked("check")[0] == 0
        before = images.read_bytes()
        folders = sum(entry.is_dir() for entry in images.parent.iterdir())
        images.write_bytes(table)
        status, shown = asked("info")
        assert status == 1
        assert f"table_lost: it lists nothing, but {folders} intact folders of images exist" in shown
        told = json.loads(asked("info", "--format", "json")[1])
        assert [problem["text"].split(":")[0] for problem in told["problems"]] == ["table_lost"]
        assert asked("check", "--scope", "records")[0] == 1
        images.write_bytes(before)
        assert asked("info")[0] == 0
        layers = sorted((short_dir / "root" / "overlay").glob("*/diff"))[:4]
        for diff in layers:
            remove_tree(diff)
            diff.mkdir()
        status, shown = asked("check")
        assert (status, shown.count("layer_content_lost: ")) == (1, 4)
        for diff in layers:
            remove_tree(diff.parent)
        status, shown = asked("info")
        assert status == 1
        assert "layer_directory_missing: 4 of " in shown


@BACKENDS
def test_info_tells_by_which_settings_the_daemon_lives(short_dir: Path, backend: str) -> None:
    config = short_dir / "storaged.toml"
    config.write_text('compat = "podman"\nread_only = true\n[limits]\nbatch = 7\n')
    with serving(short_dir, "--backend", backend, "--config", str(config)) as daemon:
        told = json.loads(storagectl(daemon.path, "info", "--format", "json"))
        shown = storagectl(daemon.path, "info")
    info = told["storaged"]
    assert (info["settings_file"], info["compat"], info["read_only"]) == (str(config), "podman", True)
    assert (info["started_by"], info["limits"]["batch"]) == ("other", 7)
    assert (info["writable"], told["problems"]) == (False, [])
    assert f"settings       {config}, compat = podman\n" in shown
    assert "changes        refused: " in shown
    assert shown.endswith("Nothing is wrong.\n")


def test_every_mistake_of_the_settings_is_told_at_the_start(short_dir: Path) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("idle_exit = 0\n[limits]\nin_fligth = 3\nbatch = 0\n")
    command = [*STORAGED, "serve", *flags(short_dir, "--config", str(config))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 78
    found = re.findall(rf"{re.escape(str(config))}:(\d+): (\S+): ", done.stderr)
    assert found == [("1", "idle_exit"), ("3", "limits.in_fligth"), ("4", "limits.batch")]
    assert "did you mean in_flight?" in done.stderr


@BACKENDS
def test_stats_of_a_daemon_at_work_are_openmetrics(short_dir: Path, backend: str) -> None:
    with serving(short_dir, "--backend", backend) as daemon:
        storagectl(daemon.path, "images")
        storagectl(daemon.path, "images")
        shown = storagectl(daemon.path, "stats")
        text = storagectl(daemon.path, "stats", "--format", "prometheus")
    samples = {
        (sample.name, sample.labels.get("method", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
    assert samples["storaged_request_duration_seconds_count", "images.list"] == 2
    assert samples["storaged_request_errors_total", "images.list"] == 0
    assert samples["storaged_reload_duration_seconds_count", ""] >= 1
    assert samples["storaged_resident_memory_bytes", ""] > 1 << 20
    assert samples["storaged_uptime_seconds", ""] > 0
    assert re.search(r"^images\.list +2 +0 ", shown, re.MULTILINE)


@pytest.mark.parametrize("more", [(), ("--read-only",)], ids=["writing", "read-only"])
def test_what_an_earlier_daemon_left_is_told_with_what_to_do(short_dir: Path, more: tuple[str, ...]) -> None:
    entry = Path(own_dir(str(short_dir / "root")), f"journal-{'a' * 32}.json")
    entry.parent.mkdir(parents=True)
    entry.write_text("of a later version")
    with serving(short_dir, *more) as daemon:
        if not more:
            with daemon.client() as client:
                client.settle()
        shown = storagectl(daemon.path, "info")
    assert "  Unfinished: " in shown
    assert f"    to repair it: storaged stop --socket {shlex.quote(daemon.path)}\n" in shown


def test_the_line_for_the_textfile_collector_leaves_a_whole_file_or_the_last_one(short_dir: Path) -> None:
    (script,) = TEXTFILE.findall((Path(__file__).parents[2] / "docs" / "metrics.md").read_text())
    script = re.sub(r"^dir=.*", lambda _: f"dir={shlex.quote(str(short_dir / 'metrics'))}", script)
    (short_dir / "metrics").mkdir()
    tools = short_dir / "bin"
    tools.mkdir()
    (tools / "storagectl").write_text(f'#!/bin/sh\nexec {shlex.join(STORAGECTL)} "$@"\n')
    (tools / "storagectl").chmod(0o755)
    with serving(short_dir) as daemon:
        environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "STORAGED_SOCKET": daemon.path}
        for _ in range(2):
            subprocess.run(["sh", "-c", script], env=environ, check=True)
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    good = (short_dir / "metrics" / "storaged.prom").read_text()
    assert len(list(text_string_to_metric_families(good))) > 20
    failed = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True)
    assert "no daemon" in failed.stderr
    assert [path.name for path in (short_dir / "metrics").iterdir()] == ["storaged.prom"]
    assert (short_dir / "metrics" / "storaged.prom").read_text() == good


def test_a_daemon_knows_that_a_client_started_it(short_dir: Path) -> None:
    conf = short_dir / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{short_dir}/root"\nrunroot = "{short_dir}/run"\n')
    environ = {**os.environ, "CONTAINERS_STORAGE_CONF": str(conf), "XDG_STATE_HOME": str(short_dir / "state")}
    environ.pop("STORAGED_NO_SPAWN", None)
    socket = str(short_dir / "s")
    command = [*STORAGECTL, "--socket", socket, "info", "--format", "json"]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 1, "there is no store yet"
        assert json.loads(done.stdout)["storaged"]["started_by"] == "client"
    finally:
        subprocess.run([*STORAGED, "stop", "--socket", socket], check=True)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate")
def test_a_daemon_knows_that_systemd_started_it(short_dir: Path) -> None:
    path = str(short_dir / "s")
    command = [
        "systemd-socket-activate",
        "--fdname=storaged",
        f"--listen={path}",
        *STORAGED,
        "serve",
        *flags(short_dir),
    ]
    with started(command, path) as daemon:
        daemon.await_line("Listening on ")
        assert json.loads(storagectl(path, "info", "--format", "json"))["storaged"]["started_by"] == "systemd"
