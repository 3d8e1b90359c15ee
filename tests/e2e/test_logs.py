"""The log of a real daemon, as the journal gets it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support.daemon import STORAGED, flags, started

FORGED = 'x\n<6>storaged.audit: audit method=images.remove uid=4242 pid=1 target=all result=ok" uid=4243'


def test_a_hostile_name_leaves_one_line_of_audit_with_the_callers_own_fields(short_dir: Path) -> None:
    # As the service manager does: the variable names the very stream that is stderr.
    program = (
        "import os, sys; seen = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{seen.st_dev}:{seen.st_ino}'; "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    path = str(short_dir / "s")
    command = [sys.executable, "-c", program, *STORAGED, "serve", *flags(short_dir, "--socket", path)]
    with started(command, path) as daemon:
        daemon.await_line("ready: ")
        with daemon.client() as client:
            client.ask("images.tag", {"name": FORGED, "tags": [FORGED]}, id=FORGED)
            assert "error" in client.line()
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    lines = daemon.log.splitlines()
    audited = [line for line in lines if line.startswith("<6>storaged.audit: ")]
    assert len(audited) == 1
    assert audited[0].isprintable()
    assert audited[0].startswith(f"<6>storaged.audit: audit method=images.tag uid={os.geteuid()} pid=")
    assert not any(line.startswith("<6>storaged.audit: audit method=images.remove") for line in lines)
    unquoted = "".join(audited[0].replace('\\"', "").split('"')[::2])
    assert (unquoted.count(" uid="), unquoted.count(" result="), unquoted.count(" connection=1")) == (1, 1, 1)
