"""A real systemd as process 1 of namespaces of its own, over a copy of this machine's files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("unshare", "nsenter", "setpriv", "systemctl", "journalctl", "systemd-sysusers", "systemd-tmpfiles")
SYSTEMD = "/lib/systemd/systemd"
PATIENCE = 60.0

_COVERED = ("/run/", "/srv/", "/dev/", "/tmp/")
"""Where boot.sh mounts empty file systems."""
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
_PROBE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/cgroup"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount -t cgroup2 cgroup2 "$1/cgroup"
"""


class CannotBoot(Exception):
    """This machine does not allow it; the text says what was refused."""


class ProgramMissing(Exception):
    """A program is not installed; the text names it."""


class Machine:
    """What runs in there. ``init`` is its process 1, ``root`` its file system, seen from here."""

    def __init__(self, init: int) -> None:
        self.init = init
        self.root = Path(f"/proc/{init}/root")

    def run(self, *command: str, check: bool = True, environ: Mapping[str, str] | None = None) -> str:
        """What the command says on stdout; it runs in there, as root."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", *_NAMESPACES, "--root", "--wd=/", "--", *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={"PATH": os.environ.get("PATH", os.defpath), **(environ or {})},
        )
        assert done.returncode == 0 or not check, f"{command}: {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def show(self, unit: str, *properties: str) -> list[str]:
        shown = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        values = dict(line.split("=", 1) for line in shown.splitlines())
        return [values[name] for name in properties]

    def await_state(self, unit: str, state: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := self.show(unit, "ActiveState")) != [state]:
            assert time.monotonic() < deadline, f"{unit} is {found}, not {state}:\n{self.journal(unit)}"
            time.sleep(0.05)

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=short-precise", f"--unit={unit}", check=False)

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


@contextmanager
def booted() -> Iterator[Machine]:
    """A machine that runs, until the end of the context.

    Raises:
        ProgramMissing: something must be installed for it.
        CannotBoot: this machine does not allow it.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or not os.access(SYSTEMD, os.X_OK):
        raise ProgramMissing(f"a real systemd cannot be started without {', '.join(missing) or SYSTEMD}")
    if os.geteuid() != 0:
        raise CannotBoot("becoming process 1 of fresh namespaces needs root")
    with _group() as group, _folder() as folder:
        _try_it(group, folder)
        process = subprocess.Popen(
            _entering(
                group, ["--fork", "--kill-child", "bash", str(ROOT / "tests/e2e/boot.sh"), folder, *_elsewhere()]
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            machine = Machine(_child(process))
            _await_boot(machine, process)
            yield machine
        finally:
            _end(process)


def _try_it(group: Path, folder: str) -> None:
    done = subprocess.run(
        _entering(group, ["--fork", "bash", "-c", _PROBE, "bash", folder]), capture_output=True, text=True, timeout=60
    )
    if done.returncode != 0:
        raise CannotBoot(f"namespaces with an overlay of / and a cgroup2 of their own: {done.stderr.strip()}")


def _entering(group: Path, arguments: list[str]) -> list[str]:
    # The group first: what a cgroup namespace shows begins where its first process was. All of it dies with this
    # process, however that ends.
    script = 'echo $$ >"$0/cgroup.procs" && exec setpriv --pdeathsig=KILL unshare "$@"'
    return ["bash", "-c", script, str(group), *_NAMESPACES, *arguments]


def _child(process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline:
        with suppress(OSError):
            # bash, until it has become unshare, has no child that stays.
            if os.readlink(f"/proc/{process.pid}/exe").endswith("/unshare") and (found := children.read_text().split()):
                return int(found[0])
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"unshare made no process: {_said(process)}")


def _await_boot(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    state = ""
    while process.poll() is None and time.monotonic() < deadline:
        if (machine.root / "run/systemd/private").exists():
            state = machine.run("systemctl", "is-system-running", check=False).strip()
            if state in ("running", "degraded"):
                return
        time.sleep(0.05)
    raise AssertionError(f"systemd did not come up: {state or _said(process)}")


def _said(process: subprocess.Popen[bytes]) -> str:
    if process.poll() is None:
        return "it still runs"
    assert process.stderr is not None
    return process.stderr.read().decode()


def _end(process: subprocess.Popen[bytes]) -> None:
    # unshare dies, and by --kill-child process 1 with it, and with that all that ran in there.
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def _elsewhere() -> list[str]:
    """Where Python and storaged lie, as far as that is on another file system than /, or hidden by one in there."""
    here = os.stat("/").st_dev
    paths = dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT)))
    return [path for path in paths if os.stat(path).st_dev != here or path.startswith(_COVERED)]


@contextmanager
def _folder() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="storaged-boot-", dir="/var/tmp")
    try:
        yield path
    finally:
        os.rmdir(path)


@contextmanager
def _group() -> Iterator[Path]:
    """A control group for all that runs in there."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            break
    else:
        raise CannotBoot("no cgroup2 file system is mounted")
    path = Path(place) / f"storaged-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        raise CannotBoot(f"no control group can be made in {place}: {error.strerror}") from error
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            for folder, _, _ in os.walk(path, topdown=False):
                os.rmdir(folder)
        except OSError:
            # Processes that were killed are still going.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
