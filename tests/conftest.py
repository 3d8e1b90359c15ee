"""Every async test runs on trio and on asyncio; a blocking call on the loop fails the test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests import tiers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tiers.assign(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and how to run it."""
    if config.option.markexpr == tiers.PLAIN and not hasattr(config, "workerinput"):
        terminalreporter.write_line(
            "not run: the system tier (.ci/run system, as root: boots systemd, loads the machine)"
        )
        terminalreporter.write_line(
            "not run: the interop tier (.ci/run interop, as root: real podman, buildah, skopeo)"
        )


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


_BY_DESIGN = {
    "storaged/store/stamp.py": {"take", "_identity", "_token"},
    "storaged/store/content.py": {"repaired"},
    "storaged/store/locks/probe.py": {"command_of"},
}
"""The few system calls of the freshness check: a stat and a read of what the kernel has in memory."""


@pytest.fixture(autouse=True)
def blocking_calls_fail() -> Iterator[BlockBuster]:
    """On asyncio; trio has no hook for it."""
    with blockbuster_ctx() as detector:
        for call in ("os.stat", "os.read"):
            for file, functions in _BY_DESIGN.items():
                detector.functions[call].can_block_in(file, functions)
        yield detector


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name: ``sun_path`` holds 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sd-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
