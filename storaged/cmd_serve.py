"""``storaged serve``: runs the daemon, and reports why it ends by exit status, log and service status."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import closing

from storaged import daemon, process
from storaged.errors import ConfigError, GuardTaken
from storaged.server import memory, systemd
from storaged.server.errors import ServerError, SocketTaken
from storaged.server.fd_closer import allow_interrupts
from storaged.settings import Settings
from storaged_client.contract.errors import StoragedError
from storaged_client.errors import ClientError

BUSY = 75
FORBIDDEN = 77
MISCONFIGURED = 78
FAILED = 1

_PACE = 3.0
"""Seconds."""

_log = logging.getLogger(__name__)


def run(settings: Settings, environ: MutableMapping[str, str], *, reread: Callable[[], Settings]) -> int:
    """Run the daemon until told to stop; returns the exit status. ``reread``, blocking, reads the settings again.

    0 a clean end, 1 an internal error, 75 another daemon is there, 77 not permitted, 78 misconfigured.
    """
    process.open_standard_streams()
    process.start_logging(settings.log_level, environ)
    pause = _pause(environ)
    os.umask(0o077)
    memory.keep_together()
    process.take_turns()
    allow_interrupts()
    with closing(systemd.Notifier.from_environment(environ)) as notifier:
        try:
            daemon.serve(settings, environ, notifier, reread)
        except (GuardTaken, SocketTaken) as error:
            return _fail(error, BUSY, notifier, 0.0)
        except PermissionError as error:
            return _fail(error, FORBIDDEN, notifier, pause)
        except (StoragedError, ServerError, ClientError, FileNotFoundError, NotADirectoryError) as error:
            return _fail(error, MISCONFIGURED, notifier, pause)
        except OSError as error:
            return _fail(error, FAILED, notifier, pause)
        except Exception:
            # The last resort: log an unexpected error completely, and report it to the service manager.
            _log.exception("daemon failed")
            notifier.tell(STATUS="failed because of an internal error: see the log")
            time.sleep(pause)
            return FAILED
    return 0


def refuse_settings(error: ConfigError, environ: MutableMapping[str, str]) -> int:
    """Report wrong settings; returns the exit status."""
    process.open_standard_streams()
    if process.goes_to_journal(environ):
        process.start_logging("info", environ)
        for mistake in error.data.get("mistakes") or [error.message]:
            _log.error("settings are wrong file=%s mistake=%s", error.data.get("file"), mistake)
    else:
        sys.stderr.write(f"storaged: {error.message}\n")
    with closing(systemd.Notifier.from_environment(environ)) as notifier:
        notifier.tell(STATUS=f"cannot serve: {error.message}")
    time.sleep(_pause(environ))
    return MISCONFIGURED


def _fail(error: Exception, status: int, notifier: systemd.Notifier, pause: float) -> int:
    _log.error("cannot serve error=%s", error)
    notifier.tell(STATUS=f"cannot serve: {error}")  # systemctl status shows it
    time.sleep(pause)
    return status


def _pause(environ: MutableMapping[str, str]) -> float:
    """Seconds to wait before a daemon that cannot serve exits. systemd starts an activated daemon again for the client
    that waits at its socket, at once and without end; with a start limit (five in ten seconds) it would give up the
    socket."""
    return _PACE if "LISTEN_FDS" in environ else 0.0
