"""What the benchmarks of load share: stores of a size, distributions, a child process that answers in JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from storaged.sample import FLEET_HOST, Sample, SampleSpec, write_store
from tests.support.report import percentile

DRIVER = "overlay"
BACKENDS = ("trio", "asyncio")


@frozen(kw_only=True)
class Ground:
    """A folder with a store, in which ``tests.support.daemon.serving`` serves."""

    folder: Path
    sample: Sample

    @property
    def images_json(self) -> Path:
        return self.folder / f"root/{DRIVER}-images/images.json"

    @property
    def layers_json(self) -> Path:
        return self.folder / f"root/{DRIVER}-layers/layers.json"

    @property
    def json_bytes(self) -> int:
        return self.images_json.stat().st_size + self.layers_json.stat().st_size


def fleet(scale: float, *, seed: int) -> SampleSpec:
    """The largest store found in the wild, or a part of it."""
    images = max(40, round(FLEET_HOST.images * scale))
    return evolve(FLEET_HOST, images=images, layers=max(2 * images, round(FLEET_HOST.layers * scale)), seed=seed)


@contextmanager
def ground(spec: SampleSpec) -> Iterator[Ground]:
    """The store of the recipe while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        yield Ground(folder=folder, sample=write_store(folder / "root", folder / "run", spec))


@contextmanager
def compiled() -> Iterator[None]:
    """Have processes that are started meanwhile find modules compiled, as an installed package has them.

    An editable tree may have none, where ``PYTHONDONTWRITEBYTECODE`` is set; the first process makes them.
    """
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-pyc-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)


@frozen(kw_only=True)
class Spread:
    """How long so many took, in milliseconds."""

    count: int
    p50: float
    p99: float
    p999: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Raises: ValueError, where there are none."""
        if not seconds:
            raise ValueError("nothing was measured")
        at = {share: percentile(seconds, share) * 1000 for share in (0.5, 0.99, 0.999)}
        return cls(count=len(seconds), p50=at[0.5], p99=at[0.99], p999=at[0.999], longest=max(seconds) * 1000)

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.3g} ms, p99 {self.p99:.3g} ms, p99.9 {self.p999:.3g} ms, "
            f"longest {self.longest:.3g} ms of {self.count}"
        )


def connect(path: str | Path) -> socket.socket:
    """A connected socket that does not block."""
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(str(path))
    channel.setblocking(False)
    return channel


def request(number: int, method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


class Child:
    """One of our own modules in a process of its own: its arguments are one JSON text, and so is what it prints."""

    def __init__(self, module: str, **arguments: object) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def result(self, patience: float) -> Any:
        """What it printed in the end.

        Raises:
            RuntimeError: it failed, or did not end in time; it is killed then.
        """
        try:
            text, _ = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.stop()
            raise RuntimeError(f"{self._module} did not end in {patience:.0f} s") from None
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._module} ended with {self._process.returncode}")
        return json.loads(text)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process took by now, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
