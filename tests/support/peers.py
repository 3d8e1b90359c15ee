"""The real tools: podman 4.3 and buildah of this machine, podman 5.8 and buildah of a Debian sid root.

Every store lies in a workspace with its own ``storage.conf``, ``containers.conf`` and runtime folders, so
that nothing touches the stores of the machine. A store belongs to one peer: 5.x leaves files behind with
which 4.3 does not start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

_HERE = Path(__file__).parent
_TIMEOUT = 120.0
"""Seconds a command of a peer may take."""


class ToolError(Exception):
    """A peer's command failed."""


class PeerMissing(Exception):
    """The peer is not on this machine; the text says how to get it."""


@frozen(kw_only=True)
class Peer:
    """One generation of the tools. ``root`` is the folder they live in, None for this machine."""

    name: str
    version: str
    root: Path | None = None

    def argv(self, work: Path, command: Sequence[str]) -> list[str]:
        """What to execute so that ``command`` runs among this peer's files, with ``work`` at its own path."""
        if self.root is None:
            return list(command)
        return ["unshare", "-m", str(_HERE / "enter_sid.sh"), str(self.root), str(work), *command]


@frozen(kw_only=True)
class Store:
    """A store, the peer that writes it and the workspace around it."""

    peer: Peer
    work: Path
    driver: str = "vfs"
    additional: tuple[Path, ...] = field(default=())

    @property
    def graphroot(self) -> Path:
        return self.work / "root"

    @property
    def runroot(self) -> Path:
        return self.work / "runroot"

    @property
    def storage_conf(self) -> Path:
        return self.work / "storage.conf"

    def prepare(self) -> None:
        """Write the configuration files. The store itself is made by whoever comes first."""
        for folder in ("tmp", "libpod", "context"):
            (self.work / folder).mkdir(exist_ok=True)
        stores = ", ".join(f'"{path}"' for path in self.additional)
        self.storage_conf.write_text(
            f'[storage]\ndriver = "{self.driver}"\ngraphroot = "{self.graphroot}"\nrunroot = "{self.runroot}"\n'
            f"[storage.options]\nadditionalimagestores = [{stores}]\n"
        )
        (self.work / "containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'tmp_dir = "{self.work}/libpod"\nno_pivot_root = true\n[containers]\nnetns = "none"\n'
        )
        (self.work / "registries.conf").write_text("unqualified-search-registries = []\n")

    def environment(self) -> dict[str, str]:
        """The environment in which a tool sees this store and none other."""
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": str(self.work),
            "TMPDIR": str(self.work / "tmp"),
            "CONTAINERS_STORAGE_CONF": str(self.storage_conf),
            "CONTAINERS_CONF": str(self.work / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.work / "registries.conf"),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str, accept: Sequence[int] = (0,)) -> str:
        """Run a tool on this store and return what it prints.

        Raises:
            ToolError: another exit status than those accepted, or no end in time.
        """
        try:
            done = subprocess.run(
                self.peer.argv(self.work, command),
                env=self.environment(),
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"{self.peer.name}: {' '.join(command)}: no end in {_TIMEOUT} s") from error
        if done.returncode not in accept:
            raise ToolError(f"{self.peer.name}: {' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, *command: str, log: Path, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a tool that goes on, by the command ``within``; both its streams end in ``log``."""
        with log.open("wb") as stream:
            return subprocess.Popen(
                [*within, *self.peer.argv(self.work, command)],
                env=self.environment(),
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    def podman(self, *arguments: str, accept: Sequence[int] = (0,)) -> str:
        return self.run("podman", *arguments, accept=accept)

    def buildah(self, *arguments: str, accept: Sequence[int] = (0,)) -> str:
        return self.run("buildah", *arguments, accept=accept)

    def build(self, content: str, *, tag: str | None = None, label: str | None = None, base: str = "scratch") -> str:
        """Build an image of one file with podman, without any network; returns its id."""
        context = Path(tempfile.mkdtemp(dir=self.work / "context"))
        (context / "file").write_text(content)
        (context / "Containerfile").write_text(f"FROM {base}\nCOPY file /file-{abs(hash(content)) % 10**9}\n")
        arguments = ["build", "-q", "--pull=never", "--isolation=chroot"]
        if tag is not None:
            arguments += ["-t", tag]
        if label is not None:
            arguments += ["--label", label]
        printed = self.podman(*arguments, str(context)).split()
        shutil.rmtree(context)
        return printed[-1].removeprefix("sha256:")

    def buildah_image(self, content: str, *, tag: str | None = None) -> str:
        """Make an image of one file with buildah: from, copy, commit, rm; returns its id."""
        source = Path(tempfile.mkdtemp(dir=self.work / "context")) / "file"
        source.write_text(content)
        container = self.buildah("from", "--isolation=chroot", "scratch").strip()
        self.buildah("copy", container, str(source), "/file")
        id_file = source.with_name("id")
        self.buildah("commit", "-q", f"--iidfile={id_file}", container, *([tag] if tag is not None else []))
        self.buildah("rm", container)
        return id_file.read_text().strip().removeprefix("sha256:")

    def dangling(self) -> set[str]:
        """What podman says is dangling."""
        printed = self.podman("images", "-q", "--no-trunc", "--filter", "dangling=true")
        return {line.removeprefix("sha256:") for line in printed.split()}


def podman_43() -> Peer:
    """The podman of this machine, which must be of version 4.

    Raises:
        PeerMissing: there is none.
    """
    if shutil.which("podman") is None or shutil.which("buildah") is None:
        raise PeerMissing("no podman and buildah on this machine: apt-get install podman buildah")
    version = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    if not version.startswith("4."):
        raise PeerMissing(f"podman {version} on this machine, wanted is 4.3 as of Debian bookworm")
    return Peer(name="podman-4.3", version=version)


def podman_58() -> Peer:
    """The podman of the sid root named by ``$STORAGED_SID_ROOT``.

    Raises:
        PeerMissing: no such root, or no podman 5 in it, or no right to enter it.
    """
    named = os.environ.get("STORAGED_SID_ROOT")
    if not named:
        raise PeerMissing("STORAGED_SID_ROOT names no root with podman 5.8: make one by tests/support/make_sid.sh DIR")
    root = Path(named)
    if not (root / "usr/bin/podman").exists():
        raise PeerMissing(f"{root} holds no podman: make it by tests/support/make_sid.sh {root}")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise PeerMissing("entering the sid root needs uid 0 and unshare")
    peer = Peer(name="podman-5.8", version="", root=root)
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        store = Store(peer=peer, work=Path(folder))
        store.prepare()
        version = store.podman("--version").split()[-1]
    if int(version.partition(".")[0]) < 5:
        raise PeerMissing(f"podman {version} in {root}, wanted is 5.8 or later")
    return Peer(name="podman-5.8", version=version, root=root)


@contextmanager
def workspace(peer: Peer, *, driver: str = "vfs", additional: bool = False) -> Iterator[Store]:
    """A prepared store in a folder of its own, gone afterwards."""
    work = Path(tempfile.mkdtemp(prefix="rival-"))
    try:
        store = Store(peer=peer, work=work, driver=driver, additional=(work / "additional",) if additional else ())
        store.prepare()
        yield store
    finally:
        _remove(work)


def unmount(below: Path) -> None:
    """Undo the bind mount of the driver's folder on itself, which podman leaves where it fails."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{below}/")]):
        subprocess.run(["umount", "-l", mount], check=False)


def _remove(work: Path) -> None:
    unmount(work)
    shutil.rmtree(work, ignore_errors=True)
