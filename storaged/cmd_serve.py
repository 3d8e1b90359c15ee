"""``storaged serve`` from settings to exit status: what ends it, whom that is told, and how soon it may end."""

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
    """Be the daemon until told to stop; returns the exit status. ``reread``, blocking, makes the settings anew.

    0 ended as asked, 1 a mistake of ours, 75 another daemon is there, 77 not permitted, 78 misconfigured.
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
            # The root: an end that nobody foresaw is logged whole, and told to the service manager.
            _log.exception("daemon failed")
            notifier.tell(STATUS="failed by a mistake of its own: see the log")
            time.sleep(pause)
            return FAILED
    return 0


def refuse_settings(error: ConfigError, environ: MutableMapping[str, str]) -> int:
    """Tell whom it concerns that the settings are wrong; returns the exit status."""
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
    """Seconds to wait before a daemon that cannot serve ends: an activated one is started again for whoever waits at
    its socket, at once and without end; under a start limit (five in ten seconds) systemd would give the socket up."""
    return _PACE if "LISTEN_FDS" in environ else 0.0
