"""Decides which rules for storage.conf apply on this machine: those of containers/storage up to 1.62, or from 1.63 on.

The first source that knows decides::

    storage_rules of storaged.toml        "1.62" or "1.63"
    the package of podman                 dpkg's record of it, if podman is the package's
    podman's own --version                cached by the identity of its file; a daemon asks at its start, a client
                                          never does
    nothing                               1.62, which podman up to 5 contains

podman 6.0 is the first release with containers/storage 1.63. The daemon runs ``podman --version`` and not ``podman
info``, which opens the store and creates one if there is none.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OLD = "1.62"
NEW = "1.63"
RULES = (OLD, NEW)

_FIRST_NEW = 6
"""The major version of podman."""
_DPKG = "var/lib/dpkg/status"
_PATIENCE = 5.0
"""Seconds for ``podman --version``."""
_MOST = 4096


class Release:
    """The rules that apply; ``reason`` says where they come from; ``set_by_user``: from the settings file."""

    __slots__ = ("reason", "rules", "set_by_user", "settings_file")

    def __init__(self, rules: str, reason: str, settings_file: str, *, set_by_user: bool = False) -> None:
        self.rules = rules
        self.reason = reason
        self.settings_file = settings_file
        self.set_by_user = set_by_user


def release(
    env: Mapping[str, str], uid: int, *, system_root: str = "/", setting: str | None = None, ask: bool = False
) -> Release:
    """The rules that apply. ``setting`` is that of the settings, if they have been read; ``ask``: podman may be run.

    Blocking. Never fails: a source that does not know is skipped.
    """
    file = settings_path(env, uid)
    setting = setting or _setting(file)
    if setting in RULES:
        return Release(setting, f"storage_rules of {file}", file, set_by_user=True)
    podman = _program(env)
    if podman is None:
        return Release(OLD, "no podman is installed", file)
    version = _packaged(podman, system_root)
    if version is not None:
        return Release(_rules(version), f"podman is the package of version {version}", file)
    version = _remembered(podman, env) or (_asked(podman, env) if ask else None)
    if version is not None:
        return Release(_rules(version), f"{podman} is version {version}", file)
    return Release(OLD, f"the version of {podman} is not known", file)


def settings_path(env: Mapping[str, str], uid: int) -> str:
    """The storaged.toml of root, or of a user."""
    if uid == 0:
        return "/etc/storaged/storaged.toml"
    config = env.get("XDG_CONFIG_HOME", "")
    folder = config if os.path.isabs(config) else os.path.join(env.get("HOME", "/"), ".config")
    return os.path.join(folder, "storaged", "storaged.toml")


def _setting(path: str) -> str | None:
    from . import toml

    try:
        with open(path, encoding="utf-8") as file:
            found = toml.loads(file.read(1 << 20)).get("storage_rules")
    except (OSError, ValueError, RecursionError):
        return None  # the daemon that uses this file reports what is wrong with it
    return found if isinstance(found, str) else None


def _rules(version: str) -> str:
    major = version.rpartition(":")[2].partition(".")[0]  # 5:4.3.1+ds1-8 has an epoch
    return NEW if major.isdigit() and int(major) >= _FIRST_NEW else OLD


def _program(env: Mapping[str, str]) -> str | None:
    for folder in (env.get("PATH") or os.defpath).split(os.pathsep):
        path = os.path.join(folder, "podman")
        # storagectl may be installed under this name, too.
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return os.path.realpath(path)
    return None


def _packaged(podman: str, system_root: str) -> str | None:
    """The version of dpkg's package podman, if the program comes from it."""
    if podman != "/usr/bin/podman":
        return None
    try:
        with open(os.path.join(system_root, _DPKG), "rb") as file:
            text = file.read()
    except OSError:
        return None
    start = text.find(b"\nPackage: podman\n")
    if start < 0:
        return None
    record = text[start + 1 : text.find(b"\n\n", start + 1)]
    fields = dict(line.partition(b": ")[::2] for line in record.split(b"\n"))
    if not fields.get(b"Status", b"").endswith(b" installed"):
        return None
    return fields.get(b"Version", b"").decode("ascii", "replace") or None


# ---------------------------------------------------------------- what podman says of itself


def _kept(env: Mapping[str, str]) -> str:
    """The path of the cache: three lines with the program, its identity, its version."""
    state = env.get("XDG_STATE_HOME") or os.path.join(env.get("HOME", "/"), ".local", "state")
    return os.path.join(state, "storaged", "podman-version")


def _identity(path: str) -> str:
    try:
        facts = os.stat(path)
    except OSError:
        return "-"
    return f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"


def _remembered(podman: str, env: Mapping[str, str]) -> str | None:
    try:
        with open(os.open(_kept(env), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
                return None
            lines = file.read(_MOST).split("\n")
    except (OSError, ValueError):
        return None
    return lines[2] if lines[:2] == [podman, _identity(podman)] and len(lines) == 4 else None


def _asked(podman: str, env: Mapping[str, str]) -> str | None:
    import subprocess

    identity = _identity(podman)
    try:
        done = subprocess.run(
            [podman, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            env=dict(env),
            cwd="/",
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = done.stdout.decode("utf-8", "replace").split()
    if words[:2] != ["podman", "version"] or len(words) < 3:
        return None
    _remember(_kept(env), f"{podman}\n{identity}\n{words[2]}\n")
    return words[2]


def _remember(path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}"
    with suppress(OSError):  # podman will be asked again
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
