"""The exit statuses of ``storagectl``, in one place.

::

      0    done; ``exists``: it does
      1    ``exists``: it does not; ``check``, ``info``: something is wrong; ``rmi``, ``manifest rm``: nothing bears
          that name; ``--log-level``: none of its words
      2    ``rmi``: an image is in use
     69    no daemon, and none could be started     (EX_UNAVAILABLE)
     75    the store or the daemon is busy, or the time was up     (EX_TEMPFAIL)
     77    not permitted     (EX_NOPERM)
    125    anything else podman calls 125: unknown names, bad flags, filters and references

Every exception of the client bears its own ``exit_status``; a signal ends the process as that signal.
"""

from __future__ import annotations

DONE = 0
ABSENT = 1
FOUND = 1
IN_USE = 2
UNAVAILABLE = 69
BUSY = 75
FORBIDDEN = 77
FAILED = 125


def expected() -> tuple[type[Exception], ...]:
    """The exceptions that end a command with a message and their own status, never with a traceback.

    A function and not a constant: an ``except`` clause evaluates it only when something was raised, so that
    a command which goes well never pays for the imports.
    """
    from storaged_client.contract.errors import StoragedError
    from storaged_client.errors import ClientError

    return (StoragedError, ClientError, OSError)


def status_of(error: BaseException) -> int:
    """The exit status of an exception; 125 where it names none."""
    status = getattr(error, "exit_status", FAILED)
    return status if isinstance(status, int) else FAILED
