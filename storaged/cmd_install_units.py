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

Local changes are never lost (``storaged.managed_file``).
"""

from __future__ import annotations

import argparse
import importlib.resources
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

import storaged
import storaged_client
from storaged.executable_trust import foreign
from storaged.managed_file import Outcome, put
from storaged_client import address
from storaged_client.errors import ClientError
from storaged_client.stores import digest

FORBIDDEN = 77

_SYSTEM = {
    "storaged.service": "systemd/system/storaged.service",
    "storaged.socket": "systemd/system/storaged.socket",
    "sysusers.d/storaged.conf": "sysusers.d/storaged.conf",
    "tmpfiles.d/storaged.conf": "tmpfiles.d/storaged.conf",
    "preset/80-storaged.preset": "systemd/system-preset/80-storaged.preset",
}
_USER = {
    "user/storaged.service": "systemd/user/storaged.service",
    "user/storaged.socket": "systemd/user/storaged.socket",
}
_USER_PACKAGE = {**_USER, "preset/80-storaged.preset": "systemd/user-preset/80-storaged.preset"}

_COMMAND = "/usr/bin/storaged"
"""The command in the shipped units."""
_HIDDEN = ("/tmp/", "/var/tmp/")
"""Folders that PrivateTmp= hides."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f\"'\\$]")
_SAID = {
    "kept": "kept: it was changed locally or is not ours; --force replaces it",
    "replaced": "replaced; the old file is kept as {name}.old, or .old.1 and so on if that exists",
}


class InstallError(Exception):
    """The units cannot be installed; the text says why and what to do."""


@frozen(kw_only=True)
class Plan:
    """The files to write: ``files`` maps each path to its text, without the mark."""

    user: bool
    root: str
    """The root of all paths: ``/``, or that of an image under construction."""
    files: Mapping[str, str]
    unit: str = "storaged"
    """The name, without suffix, of the units to enable."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command; returns its exit status: 0 done, 1 a file was kept or something is wrong, 77 not permitted."""
    given = parser().parse_args(arguments)
    try:
        command = given.executable or executable(sys.argv[0])
        if not given.user and given.executable is None:
            _refuse_foreign(command)
        elif not given.user and given.root == "/":
            _warn_of_foreign(command)
        plan = make_plan(user=given.user, root=given.root, prefix=given.prefix, command=command, environ=environ)
        if given.store:
            plan = with_store(plan, given.store, given.runroot, environ)
        outcomes = {
            path: put(Path(path), text, force=given.force, root=Path(plan.root)) for path, text in plan.files.items()
        }
    except InstallError as error:
        sys.stderr.write(f"storaged: {error}\n")
        return 1
    except OSError as error:
        hint = "; run it as root, or with --user for this user only" if isinstance(error, PermissionError) else ""
        sys.stderr.write(f"storaged: {error.filename}: {error.strerror}{hint}\n")
        return FORBIDDEN if isinstance(error, PermissionError) else 1
    said = []
    for path, outcome in outcomes.items():
        said.append(f"{path}: " + _SAID.get(outcome, outcome).format(name=os.path.basename(path)))
    if given.prefix is None:
        steps = next_steps(plan, outcomes)
        if "written" in outcomes.values() and _is_taken(plan):
            # systemd would take over its path, but it would keep the store's lock from the unit's daemon.
            steps.insert(0, f"{command} stop    # systemd did not start the running daemon")
        said += ["", "Next, run:", *(f"  {step}" for step in steps)]
    sys.stdout.write("\n".join(said) + "\n")
    return 1 if "kept" in outcomes.values() else 0


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


def make_plan(
    *,
    command: str,
    environ: Mapping[str, str],
    user: bool = False,
    root: str = "/",
    prefix: str | None = None,
) -> Plan:
    """The files to write for the default store.

    Raises:
        InstallError: ``command`` cannot be used in a unit, or the user's folder cannot be found.
    """
    if prefix is not None:
        names, base = (_USER_PACKAGE if user else _SYSTEM), os.path.join(prefix, "lib")
    elif user:
        names, base = _USER, _configuration(environ)
    else:
        names, base = _SYSTEM, "/etc"
    line = _quoted(command)
    if not user and command.startswith(_HIDDEN):
        raise InstallError(f"{command} is hidden from the system unit, which has a private /tmp: install it elsewhere")
    shipped = importlib.resources.files("storaged") / "units"
    files = {}
    for name, place in names.items():
        path = os.path.join(os.path.abspath(root), os.path.join(base, place).lstrip("/"))
        files[path] = (shipped / name).read_text(encoding="utf-8").replace(_COMMAND, line)
    return Plan(user=user, root=os.path.abspath(root), files=files)


def with_store(plan: Plan, store: str, runroot: str | None, environ: Mapping[str, str]) -> Plan:
    """The plan plus template units for another store.

    Raises:
        InstallError: a path cannot be used in a unit's environment.
    """
    paths = {"GRAPHROOT": os.path.abspath(store), **({"RUNROOT": os.path.abspath(runroot)} if runroot else {})}
    for path in paths.values():
        if _UNFIT.search(path):
            raise InstallError(f"{path!r} has characters that are not allowed in a unit's environment")
    files = dict(plan.files)
    for path, text in plan.files.items():
        folder, name = os.path.split(path)
        if name in ("storaged.service", "storaged.socket"):
            files[os.path.join(folder, name.replace(".", "@.", 1))] = _of_instance(text)
    instance = digest(store)
    base = _configuration(environ) if plan.user else "/etc"
    settings = os.path.join(plan.root, base.lstrip("/"), "storaged", "stores", f"{instance}.conf")
    files[settings] = "".join(f'{name}="{path}"\n' for name, path in paths.items())
    return evolve(plan, files=files, unit=f"storaged@{instance}")


def _of_instance(text: str) -> str:
    """Make a template for other stores from a unit of the default store."""
    lines = []
    for line in text.split("\n"):
        if line.startswith("RequiresMountsFor="):
            continue  # the location of the store is not known here
        if line.startswith("ExecStart="):
            lines.append("EnvironmentFile=%E/storaged/stores/%i.conf")
            line += " --root=${GRAPHROOT} --runroot=${RUNROOT}"
        elif line.startswith("Description="):
            line += " of store %i"
        elif line.startswith(("Requires=", "After=", "Also=")):
            line = line.replace("storaged.socket", "storaged@%i.socket")
        elif line.startswith("ListenStream="):
            line = line.replace("storaged.sock", "store-%i.sock")
        lines.append(line)
    return "\n".join(lines)


def next_steps(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The commands that put the written files into effect."""
    if plan.root != "/":
        return [f"systemctl --root={plan.root} {'--global ' if plan.user else ''}enable {plan.unit}.socket"]
    ours = [path for path, outcome in outcomes.items() if outcome != "kept"]
    manager = "systemctl --user" if plan.user else "systemctl"
    steps = []
    if any("/sysusers.d/" in path for path in ours):
        steps.append("systemd-sysusers storaged.conf             # the group storaged: its members may read")
    if any("/tmpfiles.d/" in path for path in ours):
        steps.append("systemd-tmpfiles --create storaged.conf    # the folder of the socket")
    steps += [f"{manager} daemon-reload", f"{manager} enable --now {plan.unit}.socket"]
    if any(outcome in ("updated", "replaced") for outcome in outcomes.values()):
        steps.append(f"{manager} try-restart {plan.unit}.service")
    if plan.user:
        steps.append("loginctl enable-linger                     # only if it should run while you are logged out")
    return steps


def _is_taken(plan: Plan) -> bool:
    """Whether a process already listens at the path of the unit's socket."""
    if plan.root != "/" or plan.user is (os.geteuid() == 0):
        return False
    try:
        address.connect(address.default()).close()
    except ClientError:
        return False
    return True


def _configuration(environ: Mapping[str, str]) -> str:
    """The absolute path of the user's settings folder."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(environ.get("HOME", ""), ".config")
    if not os.path.isabs(folder):
        raise InstallError("HOME is not set, so the folder for this user's units is unknown")
    return folder


def _quoted(command: str) -> str:
    """The command as the first word of ExecStart= (systemd.service(5), "Command lines")."""
    if not os.path.isabs(command):
        raise InstallError(f"{command} is not an absolute path, which systemd requires")
    if _UNFIT.search(command):
        raise InstallError(f"{command!r} has characters that are not allowed in a unit: install storaged elsewhere")
    escaped = command.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
