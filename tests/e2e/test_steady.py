"""A steady read, seen from the kernel: strace counts what the daemon itself cannot miscount."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from storaged.sample import SampleSpec, write_store
from tests.support.client import Client
from tests.support.daemon import PATIENCE, serving

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and os.environ.get("STORAGED_REQUIRE_PEERS") != "1",
    reason="strace is missing: apt-get install strace",
)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_steady_reads_take_no_lock_and_open_no_file(short_dir: Path, backend: str) -> None:
    sample = write_store(short_dir / "root", short_dir / "run", SampleSpec(images=60, seed=1))
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as client:
        reads = [
            ("images.list", {"filters": ["dangling=true"]}),
            ("images.list", {"all": True}),
            ("images.why", {"name": sample.images[0]}),
            ("images.exists", {"name": sample.images[1]}),
            ("manifests.referenced", {}),
            ("layers.list", {}),
        ]
        client.settle()
        for method, params in reads:
            client.request(method, params)
        calls = traced(daemon.process.pid, short_dir / "trace", client, reads * 5)
    assert calls, "strace saw nothing"
    opened = [call for call in calls if re.search(r"\b(open|openat|openat2|creat)\(", call)]
    locked = [call for call in calls if re.search(r"F_(OFD_)?SETLKW?|\bflock\(", call)]
    assert (opened, locked) == ([], [])
    assert any("pread64(" in call for call in calls), "the tokens were not looked at"


def traced(pid: int, log: Path, client: Client, reads: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """The system calls on files and locks that a process and its threads make while it answers."""
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=open,openat,openat2,creat,flock,fcntl,pread64"]
    with subprocess.Popen([*command, "-p", str(pid)]) as tracer:
        try:
            deadline = time.monotonic() + PATIENCE
            # A read that shows in the trace means that strace is attached.
            while not (log.exists() and log.read_text()):
                assert time.monotonic() < deadline, "strace did not attach"
                client.request("images.exists", {"name": "nothing"})
            for method, params in reads:
                assert "result" in client.request(method, params)
        finally:
            tracer.terminate()
            tracer.wait(PATIENCE)
    return log.read_text().splitlines()
