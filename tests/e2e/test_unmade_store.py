"""A store that is not there yet: an empty one to every question, and made by the first change that needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import serving

STORAGECTL = (sys.executable, "-c", "import sys; from storaged_client.cli.main import main; sys.exit(main())")


def run(socket: str, *arguments: str) -> tuple[int, str, str]:
    command = [*STORAGECTL, "--no-spawn", "--socket", socket, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_store_that_is_not_there_is_empty_and_the_first_list_makes_it(short_dir: Path, backend: str) -> None:
    root = short_dir / "not" / "yet"
    with serving(short_dir, "--root", str(root), "--backend", backend) as daemon:
        unknown = "Error: bogus: image not known\n"
        assert run(daemon.path, "rmi", "bogus") == (1, "", unknown)
        assert run(daemon.path, "tag", "bogus", "x") == (125, "", unknown)
        assert run(daemon.path, "untag", "bogus") == (125, "", unknown)
        assert run(daemon.path, "manifest", "rm", "bogus") == (1, "", unknown)
        for command in (["rmi", "-a"], ["rmi", "-f", "bogus"], ["image", "prune", "-f"], ["image", "prune", "-af"]):
            assert run(daemon.path, *command) == (0, "", "")
        assert not root.exists()
        status, printed, _ = run(daemon.path, "manifest", "create", "x")
        assert (status, len(printed.strip())) == (0, 64)
        assert run(daemon.path, "images", "-q", "--no-trunc") == (0, f"sha256:{printed}", "")
        assert {"overlay-containers", "overlay-images", "overlay-layers"} <= {path.name for path in root.iterdir()}


def test_a_daemon_that_must_not_write_makes_no_store(short_dir: Path) -> None:
    root = short_dir / "not-yet"
    with serving(short_dir, "--root", str(root), "--read-only") as daemon:
        assert run(daemon.path, "manifest", "create", "x")[0] != 0
        assert not root.exists()
