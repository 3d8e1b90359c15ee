"""Every async test runs on trio and on asyncio; a blocking call on the loop fails the test."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

from tests import tiers
from tests.support.trees import remove_tree

_slow = [HealthCheck.too_slow]  # says something of the machine and its load
settings.register_profile("unit", max_examples=40, deadline=None, suppress_health_check=_slow, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=_slow)
settings.load_profile("unit")


_MEMORY = "/dev/shm"
_ROOM = 512 << 20


def pytest_configure(config: pytest.Config) -> None:
    """A plain run has its stores in memory where it can: its many small files cost a disk more than all the rest."""
    if config.option.markexpr == tiers.PLAIN and "TMPDIR" not in os.environ and _can_hold_stores(_MEMORY):
        os.environ["TMPDIR"] = _MEMORY
        tempfile.tempdir = None


def _can_hold_stores(folder: str) -> bool:
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    programs = not state.f_flag & os.ST_NOEXEC
    return programs and os.access(folder, os.W_OK | os.X_OK) and state.f_bavail * state.f_frsize >= _ROOM


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A plain run does not import what only other tiers run."""
    if config.option.markexpr != tiers.PLAIN:
        return None
    return tiers.is_of_another(collection_path.relative_to(config.rootpath), config.args) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tiers.assign(items)


def pytest_collection_finish() -> None:
    """What is loaded now stays to the end: no collection of garbage need look at it."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and how to run it."""
    if config.option.markexpr == tiers.PLAIN and not hasattr(config, "workerinput"):
        terminalreporter.write_line(
            "not run: the system tier (.ci/run system, as root: boots systemd, loads the machine)"
        )
        terminalreporter.write_line(
            "not run: the interop tier (.ci/run interop, as root: real podman, buildah, skopeo)"
        )
        terminalreporter.write_line("not run: the lint tier (.ci/run lint, as root: types, and pages as built)")


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


_BY_DESIGN = {
    "storaged/store/stamp.py": {"take", "_identity", "_token"},
    "storaged/store/content.py": {"repaired"},
    "storaged/store/locks/probe.py": {"command_of"},
}
"""The few system calls of the freshness check: a stat and a read of what the kernel has in memory."""


@pytest.fixture(scope="session")
def blocking_call_detector() -> BlockBuster:
    detector = BlockBuster()
    for call in ("os.stat", "os.read"):
        for file, functions in _BY_DESIGN.items():
            detector.functions[call].can_block_in(file, functions)
    return detector


@pytest.fixture(autouse=True)
def blocking_calls_fail(request: pytest.FixtureRequest, blocking_call_detector: BlockBuster) -> Iterator[BlockBuster]:
    """On asyncio; trio has no hook for it."""
    on_trio = "anyio_backend" in request.fixturenames and request.getfixturevalue("anyio_backend_name") == "trio"
    if not on_trio:
        blocking_call_detector.activate()
    yield blocking_call_detector
    blocking_call_detector.deactivate()


@pytest.fixture(scope="session", autouse=True)
def runtime_dir() -> Iterator[None]:
    """A user's daemons leave their lock files here. Root's leave them in /run: they are removed at the end."""
    folder = tempfile.mkdtemp(prefix="sd-")
    os.environ["XDG_RUNTIME_DIR"] = folder
    yield
    remove_tree(folder)
    if os.geteuid() == 0:
        for lock in Path("/run/storaged").glob("guard-*.lock"):
            with suppress(FileNotFoundError):  # another worker was here
                _, _, socket = lock.read_text().partition("\n")
                if socket.startswith(f"{tempfile.gettempdir()}/sd-") and not os.path.exists(os.path.dirname(socket)):
                    lock.unlink()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name: ``sun_path`` holds 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sd-"))
    yield path
    remove_tree(path)
