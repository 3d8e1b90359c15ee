"""``storaged install-units``: writes the systemd units and prints the next commands. It starts nothing by itself.

::

                  system                                    --user
    the units     /etc/systemd/system                       ~/.config/systemd/user
    sysusers      /etc/sysusers.d          the group        -
    tmpfiles      /etc/tmpfiles.d          the folder       -
    preset        /etc/systemd/system-preset                -
    --store G     storaged@.socket, storaged@.service beside the units, and /etc/storaged/stores/DIGEST.conf
                  (a user: ~/.config/storaged/stores/DIGEST.conf): a store other than the default one
    --prefix P    P/lib instead of /etc, for packages       P/lib/systemd/user, and its preset
    --in-front-of-podman    storaged-podman.socket and two drop-ins beside the units, a key of storaged.toml
                  (``storaged.podman_front``); --undo takes these away again

Local changes are never lost (``storaged.managed_file``).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

import storaged
import storaged_client
from storaged import podman_front
from storaged.executable_trust import foreign
from storaged.managed_file import Outcome, edit, put, remove
from storaged.settings.edit import with_key, without_key
from storaged.unit_plan import Front, InstallError, Plan, in_front_of_podman, make_plan, next_steps, with_store
from storaged_client import address
from storaged_client.errors import ClientError

FORBIDDEN = 77

_SAID = {
    "kept": "kept: it was changed locally or is not ours; --force replaces it",
    "replaced": "replaced; the old file is kept as {name}.old, or .old.1 and so on if that exists",
}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command; returns its exit status: 0 done, 1 a file was kept or something is wrong, 77 not permitted."""
    given = parser().parse_args(arguments)
    try:
        said = _undo(given, environ) if given.undo else _install(given, environ)
    except InstallError as error:
        sys.stderr.write(f"storaged: {error}\n")
        return 1
    except OSError as error:
        hint = "; run it as root, or with --user for this user only" if isinstance(error, PermissionError) else ""
        sys.stderr.write(f"storaged: {error.filename}: {error.strerror}{hint}\n")
        return FORBIDDEN if isinstance(error, PermissionError) else 1
    sys.stdout.write("\n".join(said.lines) + "\n")
    return 1 if said.kept else 0


@frozen
class _Said:
    lines: list[str]
    kept: bool


def _install(given: argparse.Namespace, environ: Mapping[str, str]) -> _Said:
    command = given.executable or executable(sys.argv[0])
    if not given.user and given.executable is None:
        _refuse_foreign(command)
    elif not given.user and given.root == "/":
        _warn_of_foreign(command)
    plan = make_plan(user=given.user, root=given.root, prefix=given.prefix, command=command, environ=environ)
    if given.in_front_of_podman:
        if given.store or given.prefix:
            raise InstallError("--in-front-of-podman is for this host's default store: leave out --store and --prefix")
        plan = in_front_of_podman(plan, environ)
    elif given.store:
        plan = with_store(plan, given.store, given.runroot, environ)
    root = Path(plan.root)
    outcomes = {} if plan.front is None else {plan.front.settings: _edit(plan, plan.front, with_key)}
    outcomes |= {path: put(Path(path), text, force=given.force, root=root) for path, text in plan.files.items()}
    lines = _told(outcomes)
    if given.prefix is None:
        steps = next_steps(plan, outcomes)
        if "written" in outcomes.values() and _is_taken(plan):
            # systemd would take over its path, but it would keep the store's lock from the unit's daemon.
            steps.insert(0, f"{command} stop    # systemd did not start the running daemon")
        lines += ["", "Next, run:", *(f"  {step}" for step in steps)]
    return _Said(lines, "kept" in outcomes.values())


def _undo(given: argparse.Namespace, environ: Mapping[str, str]) -> _Said:
    """Take away what ``--in-front-of-podman`` put in place, and nothing else."""
    if not given.in_front_of_podman:
        raise InstallError("--undo is for --in-front-of-podman: name both")
    plan = in_front_of_podman(Plan(user=given.user, root=os.path.abspath(given.root), files={}), environ)
    assert plan.front is not None
    root = Path(plan.root)
    outcomes = {path: remove(Path(path), force=given.force, root=root) for path in plan.files}
    if "kept" not in outcomes.values():
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(plan.front.folder, "sockets.target.wants", podman_front.UNIT))
        outcomes[plan.front.settings] = _edit(plan, plan.front, without_key)
    lines = _told(outcomes)
    if plan.root == "/":
        manager = "systemctl --user" if given.user else "systemctl"
        steps = [
            f"{manager} stop {podman_front.UNIT} storaged.service    # the service's other sockets start it again",
            f"{manager} daemon-reload",
            f"{manager} try-restart podman.socket    # back to its own path",
        ]
        lines += ["", "Next, run:", *(f"  {step}" for step in steps)]
    return _Said(lines, "kept" in outcomes.values())


def _edit(plan: Plan, front: Front, change: Callable[[str, str, str, str], str]) -> Outcome:
    """The setting that says where podman is."""
    try:
        return edit(
            Path(front.settings),
            lambda text: change(text, "gateway", "podman_socket", front.podman_socket),
            root=Path(plan.root),
        )
    except ValueError as error:
        raise InstallError(f"{front.settings}: {error}") from error


def _told(outcomes: Mapping[str, Outcome]) -> list[str]:
    return [
        f"{path}: " + _SAID.get(outcome, outcome).format(name=os.path.basename(path))
        for path, outcome in outcomes.items()
    ]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="storaged install-units",
        description="Write the systemd units and print the next commands. Nothing is started or enabled.",
    )
    made.add_argument("--user", action="store_true", help="install user units, for this user's own store")
    made.add_argument("--root", metavar="DIR", default="/", help="the root of an image to install into (default: /)")
    made.add_argument(
        "--prefix", metavar="DIR", help="for packages: install below DIR/lib, such as /usr/lib, instead of /etc"
    )
    made.add_argument(
        "--executable", metavar="PATH", help="the command that the units run (default: the running storaged)"
    )
    made.add_argument(
        "--store", metavar="DIR", help="units for the store with this graphroot, instead of the default store"
    )
    made.add_argument("--runroot", metavar="DIR", help="the runroot of that store (default: storage.conf's)")
    made.add_argument(
        "--in-front-of-podman",
        action="store_true",
        help="also answer at podman's own socket, and move podman's behind it",
    )
    made.add_argument("--undo", action="store_true", help="with --in-front-of-podman: give podman its socket back")
    made.add_argument("--force", action="store_true", help="replace locally changed files, keeping them as .old")
    return made


def executable(invoked: str) -> str:
    """The absolute path of the command ``storaged``, as it was invoked or beside this Python.

    Raises:
        InstallError: there is no such command.
    """
    beside = os.path.join(os.path.dirname(sys.executable), "storaged")
    for path in (shutil.which(invoked), beside, shutil.which("storaged")):
        if path and os.path.basename(path) == "storaged" and os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.abspath(path)
    raise InstallError("the command storaged is not installed beside this Python: give its path with --executable")


def _refuse_foreign(command: str) -> None:
    """Refuse a command that users other than root could change, because root's unit would run it.

    Raises:
        InstallError: others may write the command, its interpreter, the code it imports, or a folder on the way there.
    """
    packages = [os.path.abspath(file) for file in (storaged.__file__, storaged_client.__file__) if file]
    for path in (command, sys.executable, os.__file__, *packages):
        if (found := foreign(path)) is not None:
            raise InstallError(
                f"the system unit would run {command} as root, but others may change {found.path} ({found.why}): "
                "install storaged where only root can write, or name the command with --executable"
            )


def _warn_of_foreign(command: str) -> None:
    """Warn about a command named by --executable that users other than root could change."""
    try:
        found = foreign(command)
    except OSError:
        return
    if found is not None:
        sys.stderr.write(f"storaged: root's unit runs {command}, but others may change {found.path} ({found.why})\n")


def _is_taken(plan: Plan) -> bool:
    """Whether a process already listens at the path of the unit's socket."""
    if plan.root != "/" or plan.user is (os.geteuid() == 0):
        return False
    try:
        address.connect(address.default()).close()
    except ClientError:
        return False
    return True
