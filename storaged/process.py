"""Sets up the process: standard streams, logging, the limit of descriptors, thread switching."""

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
    """Open 0, 1 and 2 if the process that started the daemon had closed them.

    Otherwise the socket or a lock file becomes descriptor 2, and everything written to stderr goes there.
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
    """Make working threads yield ten times as often as Python's default of 5 ms.

    The event loop takes the interpreter lock again after each system call, four times for the smallest answer. During a
    reload it would wait that long each time.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def allow_descriptors(limits: Limits) -> None:
    """Check that all clients together leave enough descriptors to read the store.

    A connection needs its socket, its hang-up watch, and the descriptors of an incomplete message and of a waiting one.
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
    """Whether stderr is the stream that JOURNAL_STREAM names; processes that write elsewhere inherit the variable, too.

    Source: systemd.exec(5).
    """
    seen = os.fstat(2)
    return environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"


def start_logging(level: str, environ: Mapping[str, str]) -> None:
    """Log to stderr, with priorities if that is the journal."""
    logs.start(level, journal=goes_to_journal(environ))
