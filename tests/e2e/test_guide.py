"""The administrator's guide, followed on a real systemd: its commands are run as they are printed.

Each block of ``docs/admin.md`` below a mark ``<!-- tried: WHAT -->`` is run by the test that asks for WHAT.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, write_store

from .booted import CannotBoot, Machine, ProgramMissing, booted
from .test_systemd import HOME, install

pytestmark = pytest.mark.timeout(180)

GUIDE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text()
BLOCKS = dict(re.findall(r"^<!-- tried: ([^\n]+) -->\n```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
GRAPHROOT = "/srv/storage"
PATH = f"{HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_STORAGE_CONF = f'[storage]\ndriver = "overlay"\ngraphroot = "{GRAPHROOT}"\nrunroot = "/run/containers/storage"\n'
_COMMAND = """#!/bin/sh
PYTHONPATH={home}/source:{home}/source/client exec {python} -c '
import sys
from {module} import main
sys.argv[0] = "{home}/bin/{name}"
sys.exit(main())' "$@"
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Booted, with a store of twenty images, and the two commands, but nothing put in place yet."""
    try:
        with booted() as machine:
            machine.write("/etc/containers/storage.conf", _STORAGE_CONF)
            # The kernel makes no overlay on an overlay, which the machine's own root is.
            machine.run("mkdir", "-p", "/srv")
            machine.run("mount", "-t", "tmpfs", "tmpfs", "/srv")
            write_store(
                machine.root / GRAPHROOT.lstrip("/"),
                machine.root / "run/containers/storage",
                SampleSpec(images=20, seed=1, contents="files"),
            )
            install(machine)
            python = f"{HOME}/env/bin/{os.path.basename(sys.executable)}"
            for name, module in (("storaged", "storaged.cli"), ("storagectl", "storaged_client.cli.main")):
                # As pip writes it: the command knows its own path.
                machine.write(f"{HOME}/bin/{name}", _COMMAND.format(home=HOME, python=python, name=name, module=module))
            yield machine
    except ProgramMissing as missing:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    except CannotBoot as refused:
        pytest.skip(f"this machine boots no systemd in namespaces: {refused}")


def _follow(machine: Machine, what: str, *, check: bool = True) -> str:
    """Run a block of the guide."""
    return _run(machine, BLOCKS[what], check=check)


def _run(machine: Machine, script: str, *, check: bool = True) -> str:
    begin = "set -euo pipefail\n" if check else ""
    return machine.run("bash", "-c", begin + script, check=check, environ={"PATH": PATH, "HOME": "/root"})


def _names(machine: Machine) -> set[str]:
    rows = json.loads(_run(machine, "storagectl images --format json"))
    return {name for row in rows for name in row.get("Names") or ()}


def test_every_block_that_is_marked_is_followed_by_a_test() -> None:
    used = set(re.findall(r'_follow\(machine, "(.+?)"', Path(__file__).read_text()))
    assert used == BLOCKS.keys()
    assert GUIDE.count("<!-- tried: ") == len(BLOCKS)


def test_the_guide_leads_from_the_units_to_a_daemon_and_away_again(machine: Machine) -> None:
    said = _follow(machine, "install the units")
    printed = [" ".join(line.split()) for line in said.partition("Next, run:\n")[2].splitlines()]
    assert printed == [" ".join(line.split()) for line in BLOCKS["what it says to run next"].splitlines()]
    _follow(machine, "what it says to run next")
    assert "Nothing is wrong." in _run(machine, "storagectl info")
    assert machine.show("storaged.service", "ActiveState") == ["active"]

    machine.run("useradd", "alice")
    _follow(machine, "let alice read")
    connect = 'import socket; socket.socket(socket.AF_UNIX).connect("/run/storaged/storaged.sock")'
    asked = f"setpriv --reuid=alice --regid=alice --init-groups /usr/bin/python3 -c '{connect}'"
    _run(machine, asked)

    assert _follow(machine, "write the metrics").endswith("# EOF\n")

    _run(machine, "storagectl tag $(storagectl images -q | head -n 1) localhost/marked:1")
    assert "audit method=images.tag uid=0" in _follow(machine, "read the log", check=False)
    assert '"generation"' in _follow(machine, "look why it does not answer")

    _follow(machine, "restore a backup")
    assert machine.show("storaged.socket", "ActiveState") == ["active"]
    _follow(machine, "have the socket back")

    _follow(machine, "take the units away", check=False)
    for unit in ("storaged.socket", "storaged.service"):
        assert machine.show(unit, "LoadState", "ActiveState") == ["not-found", "inactive"]
    assert _run(machine, "find /etc /run -name '*storaged*'") == ""


def test_the_guide_brings_a_lost_table_back(machine: Machine) -> None:
    _follow(machine, "install the units")
    _follow(machine, "what it says to run next")
    before = _names(machine)
    gone = sorted(before)[0]
    _run(machine, f"storagectl untag {gone} {gone}")
    (machine.root / "srv/storage/overlay-images/images.json").write_text("[]")
    assert _names(machine) == set()
    # What is found is damage where an image went since: the block's last commands say so by their status.
    _follow(machine, "restore a table", check=False)
    assert _names(machine) == before
