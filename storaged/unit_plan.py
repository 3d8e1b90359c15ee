"""Plans the installation of units: which files, their contents, and the commands that put them into effect."""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Mapping

from attrs import evolve, frozen

from storaged import podman_front
from storaged.managed_file import Outcome
from storaged.settings.file import default_path
from storaged_client.stores import digest

_SYSTEM = {
    "storaged.service": "systemd/system/storaged.service",
    "storaged.socket": "systemd/system/storaged.socket",
    "storaged-api.socket": "systemd/system/storaged-api.socket",
    "sysusers.d/storaged.conf": "sysusers.d/storaged.conf",
    "tmpfiles.d/storaged.conf": "tmpfiles.d/storaged.conf",
    "preset/80-storaged.preset": "systemd/system-preset/80-storaged.preset",
}
_USER = {
    "user/storaged.service": "systemd/user/storaged.service",
    "user/storaged.socket": "systemd/user/storaged.socket",
    "user/storaged-api.socket": "systemd/user/storaged-api.socket",
}
_USER_PACKAGE = {**_USER, "preset/80-storaged.preset": "systemd/user-preset/80-storaged.preset"}

_COMMAND = "/usr/bin/storaged"
"""The command in the shipped units."""
_HIDDEN = ("/tmp/", "/var/tmp/")
"""Folders that PrivateTmp= hides."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f\"'\\$]")


class InstallError(Exception):
    """The units cannot be installed; the text says why and what to do."""


@frozen(kw_only=True)
class Front:
    """What is needed besides units to put storaged in front of podman."""

    folder: str
    """The folder of the units."""
    settings: str
    """The settings file that gets podman's new path."""
    podman_socket: str


@frozen(kw_only=True)
class Plan:
    """The files to write: ``files`` maps each path to its text, without the mark."""

    user: bool
    root: str
    """The root of all paths: ``/``, or that of an image under construction."""
    files: Mapping[str, str]
    unit: str = "storaged"
    """The name, without suffix, of the units to enable."""
    front: Front | None = None
    """Set if storaged is put in front of podman."""


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
        if line.startswith(("Sockets=", "# Whichever")):
            continue  # the gateway serves the default store
        if line.startswith("ExecStart="):
            lines.append("EnvironmentFile=%E/storaged/stores/%i.conf")
            line += " --root=${GRAPHROOT} --runroot=${RUNROOT}"
        elif line.startswith("Description="):
            line += " of store %i"
        elif line.startswith(("Requires=", "After=", "Also=")):
            line = line.replace(" storaged-api.socket", "").replace("storaged.socket", "storaged@%i.socket")
        elif line.startswith("ListenStream="):
            line = line.replace("storaged.sock", "store-%i.sock")
        lines.append(line)
    return "\n".join(lines)


def in_front_of_podman(plan: Plan, environ: Mapping[str, str]) -> Plan:
    """The plan plus the REST API at podman's own path. Blocking: reads podman's unit.

    Raises:
        InstallError: podman's unit cannot be found or listens on no path, or the plan is an image's and a user's.
    """
    if plan.user and plan.root != "/":
        raise InstallError("where a user's podman listens is not known in an image: run it there as that user")
    configuration = _configuration(environ) if plan.user else ""
    try:
        podman = podman_front.read_podman_socket(plan.root, user=plan.user, configuration=configuration)
    except podman_front.FrontError as error:
        raise InstallError(str(error)) from None
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}" if plan.user else "/run"
    folder = os.path.join(configuration, "systemd/user") if plan.user else f"{plan.root.rstrip('/')}/etc/systemd/system"
    settings = default_path(environ, os.geteuid() if plan.user else 0)
    if settings is None:
        raise InstallError("HOME is not set: where this user's settings belong is not known")
    return evolve(
        plan,
        files={**plan.files, **podman_front.files(podman, folder)},
        front=Front(
            folder=folder,
            settings=os.path.join(plan.root, settings.lstrip("/")),
            podman_socket=podman_front.resolved(podman.behind, runtime),
        ),
    )


def next_steps(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The commands that put the written files into effect."""
    units = [f"{plan.unit}.socket", *(["storaged-api.socket"] if plan.unit == "storaged" else [])]
    if plan.front is not None:
        units.append(podman_front.UNIT)
    if plan.root != "/":
        return [f"systemctl --root={plan.root} {'--global ' if plan.user else ''}enable {' '.join(units)}"]
    placed = [path for path, outcome in outcomes.items() if outcome != "kept"]
    ours = {os.path.basename(path): outcomes[path] for path in placed}
    manager = "systemctl --user" if plan.user else "systemctl"
    steps = []
    if any("/sysusers.d/" in path for path in placed):
        steps.append("systemd-sysusers storaged.conf             # the group storaged: its members may read")
    if any("/tmpfiles.d/" in path for path in placed):
        steps.append("systemd-tmpfiles --create storaged.conf    # the folder of the socket")
    steps.append(f"{manager} daemon-reload")
    changed = any(outcome in ("updated", "replaced") for outcome in ours.values())
    joins = plan.unit == "storaged" and "written" in (ours.get("storaged-api.socket"), ours.get(podman_front.UNIT))
    if joins and ours.get("storaged.socket") != "written":
        steps.append(f"{manager} stop storaged.service    # a socket joins it only while it is stopped")
    if plan.front is not None:
        steps.append(f"{manager} try-restart podman.socket    # to its new path")
    steps.append(f"{manager} enable --now {' '.join(units)}")
    if changed:
        steps.append(f"{manager} try-restart {plan.unit}.service")
    if plan.user:
        steps.append("loginctl enable-linger                     # only if it should run while you are logged out")
    return steps


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
