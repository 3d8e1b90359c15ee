"""The exit statuses of ``storagectl``, in one place.

::

      0    success; ``exists``: it exists
      1    ``exists``: it does not exist; ``check``, ``info``: something is wrong; ``rmi``, ``manifest rm``: no such
          image or list; ``--log-level``: unknown level
      2    ``rmi``: an image is in use
     69    no daemon, and none could be started     (EX_UNAVAILABLE)
     75    the store or the daemon is busy, or the time expired     (EX_TEMPFAIL)
     77    permission denied     (EX_NOPERM)
    125    anything else with podman's 125: unknown names, bad flags, filters and references

Every exception of the client has its own ``exit_status``; a signal ends the process with that signal's status.
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

    A function and not a constant: an ``except`` clause evaluates it only after an exception, so a successful command
    never pays for the imports.
    """
    from storaged_client.contract.errors import StoragedError
    from storaged_client.errors import ClientError

    return (StoragedError, ClientError, OSError)


def status_of(error: BaseException) -> int:
    """The exit status of an exception; 125 if it has none."""
    status = getattr(error, "exit_status", FAILED)
    return status if isinstance(status, int) else FAILED
