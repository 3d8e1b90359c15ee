"""The programs there are, and a sample store with storaged and podman's service on it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from attrs import define, evolve, field, frozen

from storaged.sample import Sample, SampleSpec, write_store
from tests.support.client import Client
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, PeerMissing, Store, ToolError, podman_43, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report

from .figures import Figures
from .rest import Rest
from .timing import Effort

NOBODY = Peer(name="sample", version="")
"""The peer of stores that only storaged reads."""


@define(kw_only=True)
class Run:
    """What all cases of a run share."""

    report: Report
    figures: Figures
    scale: float
    seed: int
    podman: Peer | None
    missing: dict[str, str] = field(factory=dict)
    """Programs that are not on this machine, and how to get them."""
    versions: dict[str, str] = field(factory=dict)

    def size(self, images: int) -> int:
        """So many images at full size, fewer below."""
        return max(10, round(images * self.scale))

    @property
    def full(self) -> bool:
        """Whether times are worth anything: below, a few requests say whether it all works and the answers agree."""
        return self.scale >= 0.2

    @property
    def minds_lists(self) -> bool:
        """Whether podman's dangling images are those that no list names: 4.3 takes all without a name."""
        return self.podman is not None and not self.podman.version.startswith("4.")

    def sizes(self, images: Sequence[int]) -> list[int]:
        """Those of a series; below full size only the last one."""
        return [self.size(each) for each in (images if self.full else images[-1:])]

    def effort(self, seconds: float = 5.0, least: int = 5) -> Effort:
        return Effort(seconds=seconds, least=least) if self.full else Effort(seconds=0, least=1)


def find_podman(missing: dict[str, str]) -> Peer | None:
    """podman 5.8 where it is, else this machine's 4.3; what is missing is written down."""
    try:
        return podman_58()
    except PeerMissing as error:
        missing["podman 5.8"] = str(error)
    try:
        return podman_43()
    except PeerMissing as error:
        missing["podman 4.3"] = str(error)
    return None


@frozen(kw_only=True)
class Stage:
    """A store of ``spec`` with the daemon on it, and podman's service where there is podman."""

    store: Store
    spec: SampleSpec
    sample: Sample
    daemon: Daemon
    client: Client
    rest: Rest | None

    @property
    def place(self) -> tuple[str, int]:
        return self.spec.shape, self.spec.images


def single(sample: Sample) -> list[str]:
    """The tags that mean one image and no list: every question about an image has an answer for them."""
    lists = set(sample.lists)
    return [name for name, image in sample.names.items() if image not in lists and "@" not in name]


@contextmanager
def stage(run: Run, spec: SampleSpec, *, with_service: bool = True) -> Iterator[Stage]:
    """All of it while the block lasts.

    Raises:
        RuntimeError: the daemon did not become ready, or did not end well.
        ToolError: podman's service did not answer.
    """
    peer = run.podman or NOBODY
    if run.podman is not None and not run.minds_lists:
        spec = evolve(spec, for_podman_4=True)
    with ExitStack() as stack:
        store = stack.enter_context(workspace(peer, driver=spec.driver))
        sample = write_store(store.graphroot, store.runroot, spec)
        rest = None
        if with_service and run.podman is not None:
            stack.enter_context(service(store))
            rest = Rest(store.work / "service")
            stack.callback(rest.close)
        ours = stack.enter_context(daemon(store))
        client = stack.enter_context(ours.client())
        yield Stage(store=store, spec=spec, sample=sample, daemon=ours, client=client, rest=rest)


@contextmanager
def inside(store: Store) -> Iterator[Sequence[str]]:
    """What to put before a command of podman's so that it runs among its peer's files.

    A peer in a root of its own is entered once, by a process that holds the mounts; ``nsenter`` into them costs a
    millisecond or two, all mounts anew twenty.

    Raises:
        ToolError: the root could not be entered.
    """
    if store.peer.root is None:
        yield ()
        return
    process = store.start("sleep", "3600", log=store.work / "holder.log")
    try:
        _wait_for_exec(process)
        yield ("nsenter", f"--target={process.pid}", "--mount", "--root")
    finally:
        process.kill()
        process.wait()


def _wait_for_exec(process: subprocess.Popen[bytes]) -> None:
    """Until all mounts are made and the last of the programs that make them has become ``sleep``."""
    deadline = time.monotonic() + 10
    while True:
        with open(f"/proc/{process.pid}/comm") as file:
            if file.read().strip() == "sleep":
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise ToolError(f"the root of podman could not be entered: exit {process.poll()}")
        time.sleep(0.01)
