"""A process of another uid at a real socket: it may read, and change nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, write_store
from storaged_client.contract.methods import METHODS
from tests.e2e.daemons import PATIENCE, serving

NOBODY = 65534

_ASK = """
import json, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
file = peer.makefile("rwb")
for method in sys.argv[2:]:
    file.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\\n")
    file.flush()
    print(file.readline().decode(), end="")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another uid needs root")
@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs a python that every user may run")
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_another_uid_may_call_every_method_that_reads_and_none_that_mutates(short_dir: Path, backend: str) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1))
    with serving(short_dir, "--backend", backend) as daemon:
        # The socket's mode is the door: opened here, so that what is behind it is tested.
        short_dir.chmod(0o755)
        Path(daemon.path).chmod(0o666)
        asked = subprocess.run(
            ["/usr/bin/python3", "-c", _ASK, daemon.path, *METHODS],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        answers = dict(zip(METHODS, map(json.loads, asked.stdout.splitlines()), strict=True))
        for name, answer in answers.items():
            refused = answer.get("error", {}).get("data", {}).get("name")
            assert (refused == "NotPermitted") is METHODS[name].mutates, answer
            assert refused in (None, "NotPermitted", "InvalidParams"), answer
        with daemon.client() as client:
            assert "result" in client.call("server.ping")
        daemon.signal(signal.SIGTERM)
        daemon.await_exit()
    assert f"audit method=server.shutdown uid={NOBODY} " in "".join(daemon.log)
