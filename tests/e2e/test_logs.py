"""The log of a real daemon, as the journal gets it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.daemon import STORAGED, Daemon, flags, serving, started

FORGED = 'x\n<6>storaged.audit: audit method=images.remove uid=4242 pid=1 target=all result=ok" uid=4243'


@contextmanager
def in_the_journal(short_dir: Path) -> Iterator[Daemon]:
    """A daemon whose standard error is the journal's, as the service manager says it: by its device and inode."""
    program = (
        "import os, sys; seen = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{seen.st_dev}:{seen.st_ino}'; "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    path = str(short_dir / "s")
    command = [sys.executable, "-c", program, *STORAGED, "serve", *flags(short_dir, "--socket", path)]
    with started(command, path) as daemon:
        daemon.await_line("ready: ")
        yield daemon


def test_a_hostile_name_leaves_one_line_of_audit_with_the_callers_own_fields(short_dir: Path) -> None:
    with in_the_journal(short_dir) as daemon:
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


def test_lines_for_the_journal_have_their_priority(short_dir: Path) -> None:
    with in_the_journal(short_dir) as daemon:
        daemon.signal(signal.SIGTERM)
        daemon.await_exit()
        lines = [line for line in daemon.log.splitlines() if not line.startswith("ready: ")]
        assert lines
        assert all(line.startswith("<6>storaged.") for line in lines)


def test_lines_for_a_person_have_no_priority_though_a_service_of_the_journal_began_it(short_dir: Path) -> None:
    with serving(short_dir, environ={"JOURNAL_STREAM": "8:1234"}) as daemon:
        daemon.signal(signal.SIGTERM)
        daemon.await_exit()
        assert not any(line.startswith("<") for line in daemon.log.splitlines())
