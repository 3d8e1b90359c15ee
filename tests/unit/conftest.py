"""Stores for the tests of engine and service, and a process in which nothing but the last reference frees."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ground import Ground, lay


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with lay(tmp_path) as ground:
        yield ground


@pytest.fixture
def big_ground(tmp_path: Path) -> Iterator[Ground]:
    with lay(tmp_path, images=800) as ground:
        yield ground


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()
