"""The process as it was started: its standard streams, its log, how many descriptors it may have."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Mapping

from storaged import logs
from storaged.server.limits import Limits

_SPARE_DESCRIPTORS = 512

_SWITCH_SECONDS = 0.0005

_log = logging.getLogger(__name__)


def open_standard_streams() -> None:
    """Give 0, 1 and 2 something to be, where whoever started the daemon closed them.

    Otherwise the socket or a lock file becomes descriptor 2, and all that is said on stderr goes there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for the life of the process


def take_turns() -> None:
    """Let a thread that works give way ten times as often as Python's 5 ms have it.

    The event loop takes the interpreter's lock anew after each system call, four of them for the smallest answer, and
    beside a reload it waited for that long each time.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def allow_descriptors(limits: Limits) -> None:
    """What all clients together can make this process hold must leave enough to read the store with.

    A connection is its socket, its hang-up watch, and the descriptors of a message that is not complete
    and of one that waits for its turn.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections * (2 + 2 * limits.descriptors) + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        _log.warning("clients can use up all descriptors: raise LimitNOFILE= limit=%d wanted=%d", hard, wanted)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def goes_to_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that JOURNAL_STREAM names: the variable is inherited by what writes elsewhere.

    Source: systemd.exec(5).
    """
    seen = os.fstat(2)
    return environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


def start_logging(level: str, environ: Mapping[str, str]) -> None:
    """Log to stderr, with priorities where that is the journal."""
    logs.start(level, journal=goes_to_journal(environ))
