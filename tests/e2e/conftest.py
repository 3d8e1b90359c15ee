"""What all tests of a whole daemon have in common."""

from __future__ import annotations

import pytest

HANG = 120
"""Seconds until a test of several processes counts as hung: on a busy machine each start takes seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANG))
