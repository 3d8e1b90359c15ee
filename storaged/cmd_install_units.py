"""``storaged install-units``: puts the unit files in place and says what to run next. Starts nothing by itself.

::

                  system                                    --user
    the units     /etc/systemd/system                       ~/.config/systemd/user
    sysusers      /etc/sysusers.d          the group        -
    tmpfiles      /etc/tmpfiles.d          the folder       -
    preset        /etc/systemd/system-preset                -
    --store G     storaged@.socket, storaged@.service beside the units, and /etc/storaged/stores/DIGEST.conf
                  (a user: ~/.config/storaged/stores/DIGEST.conf): another store than the default one
    --prefix P    P/lib in the place of /etc, for packages  P/lib/systemd/user, and its preset

Nobody's changes are lost by it (``storaged.managed_file``).
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
"""What the units as they are shipped run."""
_HIDDEN = ("/tmp/", "/var/tmp/")
"""By PrivateTmp=."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f\"'\\$]")
_SAID = {
    "kept": "kept: it was changed here or is not ours; --force replaces it",
    "replaced": "replaced; the old one is beside it as {name}.old, or .old.1 and so on where there was one",
}


class InstallError(Exception):
    """The units cannot be put in place; the text says why and what to do."""


@frozen(kw_only=True)
class Plan:
    """What goes where: ``files`` maps a path to its text, without the mark."""

    user: bool
    root: str
    """What every path is below: ``/``, or an image that is being made."""
    files: Mapping[str, str]
    unit: str = "storaged"
    """The name, without suffix, of the units that are to be enabled."""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command; returns its exit status: 0 all in place, 1 something was kept or is wrong, 77 not permitted."""
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
        hint = "; run it as root, or with --user for this user alone" if isinstance(error, PermissionError) else ""
        sys.stderr.write(f"storaged: {error.filename}: {error.strerror}{hint}\n")
        return FORBIDDEN if isinstance(error, PermissionError) else 1
    said = []
    for path, outcome in outcomes.items():
        said.append(f"{path}: " + _SAID.get(outcome, outcome).format(name=os.path.basename(path)))
    if given.prefix is None:
        steps = next_steps(plan, outcomes)
        if "written" in outcomes.values() and _is_taken(plan):
            # systemd would take the path from it, and it would keep the store's guard from the unit's daemon.
            steps.insert(0, f"{command} stop    # a daemon runs that systemd did not start")
        said += ["", "Next, run:", *(f"  {step}" for step in steps)]
    sys.stdout.write("\n".join(said) + "\n")
    return 1 if "kept" in outcomes.values() else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="storaged install-units",
        description="Put the systemd units in place and say what to run next. Nothing is started or enabled.",
    )
    made.add_argument("--user", action="store_true", help="the units of a user's own store, for this user")
    made.add_argument("--root", metavar="DIR", default="/", help="the root of an image to install into (default: /)")
    made.add_argument(
        "--prefix", metavar="DIR", help="for packages: below DIR/lib, such as /usr/lib, and not where settings are"
    )
    made.add_argument(
        "--executable", metavar="PATH", help="what the units run (default: the storaged that is running now)"
    )
    made.add_argument("--store", metavar="DIR", help="for the store of this graphroot, instead of the default one")
    made.add_argument("--runroot", metavar="DIR", help="the runroot of that store (default: storage.conf's)")
    made.add_argument("--force", action="store_true", help="replace files that were changed here, keeping them as .old")
    return made


def executable(invoked: str) -> str:
    """The absolute path of the command ``storaged`` as it was invoked, or as it lies beside this Python.

    Raises:
        InstallError: there is none.
    """
    beside = os.path.join(os.path.dirname(sys.executable), "storaged")
    for path in (shutil.which(invoked), beside, shutil.which("storaged")):
        if path and os.path.basename(path) == "storaged" and os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.abspath(path)
    raise InstallError("the command storaged is not installed beside this Python: name it with --executable")


def _refuse_foreign(command: str) -> None:
    """Root's unit runs nothing that somebody else may put there.

    Raises:
        InstallError: the command, its interpreter, the code it imports, or a folder on the way to one of them, is not
            root's alone.
    """
    packages = [os.path.abspath(file) for file in (storaged.__file__, storaged_client.__file__) if file]
    for path in (command, sys.executable, os.__file__, *packages):
        if (found := foreign(path)) is not None:
            raise InstallError(
                f"the system's unit would run {command} as root, but of {found.path} {found.why}: "
                "install storaged where only root writes, or name it with --executable"
            )


def _warn_of_foreign(command: str) -> None:
    """Whoever names the command knows what it is; who may change it is said all the same."""
    try:
        found = foreign(command)
    except OSError:
        return
    if found is not None:
        sys.stderr.write(f"storaged: the unit runs {command} as root, but of {found.path} {found.why}\n")


def make_plan(
    *,
    command: str,
    environ: Mapping[str, str],
    user: bool = False,
    root: str = "/",
    prefix: str | None = None,
) -> Plan:
    """What is to be put where.

    Raises:
        InstallError: ``command`` cannot stand in a unit, or a user's folder cannot be found.
    """
    if prefix is not None:
        names, base = (_USER_PACKAGE if user else _SYSTEM), os.path.join(prefix, "lib")
    elif user:
        names, base = _USER, _configuration(environ)
    else:
        names, base = _SYSTEM, "/etc"
    line = _quoted(command)
    if not user and command.startswith(_HIDDEN):
        raise InstallError(
            f"{command} is hidden from the system's unit, which has a /tmp of its own: install it elsewhere"
        )
    shipped = importlib.resources.files("storaged") / "units"
    files = {}
    for name, place in names.items():
        path = os.path.join(os.path.abspath(root), os.path.join(base, place).lstrip("/"))
        files[path] = (shipped / name).read_text(encoding="utf-8").replace(_COMMAND, line)
    return Plan(user=user, root=os.path.abspath(root), files=files)


def with_store(plan: Plan, store: str, runroot: str | None, environ: Mapping[str, str]) -> Plan:
    """The same, and what serves another store: its units are the others' with an instance in their names.

    Raises:
        InstallError: a path cannot stand in a unit's environment.
    """
    paths = {"GRAPHROOT": os.path.abspath(store), **({"RUNROOT": os.path.abspath(runroot)} if runroot else {})}
    for path in paths.values():
        if _UNFIT.search(path):
            raise InstallError(f"{path!r} has characters that a unit's environment cannot have")
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
    """A unit of the default store as the template of those of other stores."""
    lines = []
    for line in text.split("\n"):
        if line.startswith("RequiresMountsFor="):
            continue  # where the store lies is not known here
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
    """The commands that make what was put in place work."""
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
    """Whether somebody listens already where the unit's socket will be."""
    if plan.root != "/" or plan.user is (os.geteuid() == 0):
        return False
    try:
        address.connect(address.default()).close()
    except ClientError:
        return False
    return True


def _configuration(environ: Mapping[str, str]) -> str:
    """A user's own folder of settings, absolute."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(environ.get("HOME", ""), ".config")
    if not os.path.isabs(folder):
        raise InstallError("HOME is not set: where this user's units belong is not known")
    return folder


def _quoted(command: str) -> str:
    """The command as the first word of ExecStart= (systemd.service(5), "Command lines")."""
    if not os.path.isabs(command):
        raise InstallError(f"{command} is no absolute path: systemd takes no other")
    if _UNFIT.search(command):
        raise InstallError(f"{command!r} has characters that a unit cannot have: install storaged elsewhere")
    escaped = command.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
