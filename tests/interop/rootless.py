"""A user of its own with subordinate ids, whose store podman fills and storaged changes as that user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from attrs import frozen

from tests.support.peers import PeerMissing, ToolError

_NAME = "storaged-rival"
_PACKAGES = ("storaged", "storaged_client", "attr", "attrs", "msgspec", "filelock", "docker_image", "regex")


@frozen(kw_only=True)
class User:
    """The user, its home and a readable copy of storaged that its interpreter runs."""

    name: str
    home: Path
    runtime: Path
    python: str
    packages: Path

    @property
    def graphroot(self) -> Path:
        return self.home / ".local/share/containers/storage"

    @property
    def runroot(self) -> Path:
        return self.runtime / "containers"

    def run(self, *command: str, path: str | None = None) -> str:
        """Run a command as the user.

        Raises:
            ToolError: it failed.
        """
        environment = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PATH": path or os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(self.packages),
            "BUILDAH_ISOLATION": "chroot",
        }
        done = subprocess.run(
            # By its path: the environment's may be one that the test chose.
            [shutil.which("runuser") or "runuser", "-u", self.name, "--", *command],
            env=environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise ToolError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def storaged(self, program: str, *arguments: str, path: str | None = None) -> str:
        """Run a program of ours as the user."""
        return self.run(self.python, "-c", program, *arguments, path=path)

    def files(self) -> list[tuple[str, int]]:
        """Every path of the store but storaged's own, and the id of its owner."""
        root = self.graphroot
        found = [(path.relative_to(root), path.lstat().st_uid) for path in root.rglob("*")]
        return sorted((str(path), owner) for path, owner in found if path.parts[0] != "storaged")


@contextmanager
def user() -> Iterator[User]:
    """Make the user; it and all it has are gone afterwards.

    Raises:
        PeerMissing: none can be made here.
    """
    needed = ("useradd", "userdel", "runuser", "newuidmap", "podman")
    missing = [tool for tool in needed if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        raise PeerMissing(f"a user cannot be made: needs root and {', '.join(missing or needed)}")
    runtime = Path(tempfile.mkdtemp(prefix="rootless-"))
    packages = Path(tempfile.mkdtemp(prefix="packages-"))
    subprocess.run(["useradd", "--create-home", _NAME], check=True, capture_output=True)
    try:
        entry = pwd.getpwnam(_NAME)
        os.chown(runtime, entry.pw_uid, entry.pw_gid)
        _copy_packages(packages)
        found = User(
            name=_NAME, home=Path(entry.pw_dir), runtime=runtime, python=_interpreter(_NAME), packages=packages
        )
        yield found
    finally:
        _end(_NAME)
        for folder in (runtime, packages):
            shutil.rmtree(folder, ignore_errors=True)


def _copy_packages(target: Path) -> None:
    for name in _PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise PeerMissing(f"{name} is not installed")
        shutil.copytree(Path(spec.origin).parent, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    typing = find_spec("typing_extensions")
    if typing is not None and typing.origin is not None:
        shutil.copy(typing.origin, target)
    _open(target)


def _open(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _interpreter(name: str) -> str:
    """An interpreter of this version that the user may execute: ours may lie in a closed home."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    for path in (os.path.realpath(sys.executable), f"/usr/bin/python{wanted}"):
        asked = ["runuser", "-u", name, "--", path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd="/")
        if done.stdout.strip() == wanted:
            return path
    raise PeerMissing(f"no Python {wanted} that another user may execute")


def _end(name: str) -> None:
    """Podman leaves a process that keeps the user's namespace: it ends first."""
    uid = pwd.getpwnam(name).pw_uid
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if folder.stat().st_uid == uid:
                    os.kill(int(folder.name), 9)
            except (FileNotFoundError, ProcessLookupError):
                continue
    subprocess.run(["userdel", "--remove", "--force", name], check=False, capture_output=True)
