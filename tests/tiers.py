"""Which test belongs to which tier: the one place that says so. CONTRIBUTING has the command of each.

::

    unit      what a plain ``pytest`` runs: the behaviour of the whole product, in a minute, in any folder
    system    boots systemd, starts and kills many daemons, loads the machine, or takes long
    interop   beside real podman, buildah, skopeo and containers-storage
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest

_SYSTEM: Final = (
    "tests/e2e/test_activation.py",
    "tests/e2e/test_artifacts.py",
    "tests/e2e/test_bounds.py",
    "tests/e2e/test_guide.py",
    "tests/e2e/test_interpreter.py",
    "tests/e2e/test_other_users.py",
    "tests/e2e/test_passed_descriptors.py",
    "tests/e2e/test_replaced.py",
    "tests/e2e/test_restarts.py",
    "tests/e2e/test_spawning.py",
    "tests/e2e/test_steady.py",
    "tests/e2e/test_stores.py",
    "tests/e2e/test_systemd.py",
    "tests/e2e/test_units.py",
    "tests/e2e/test_version_skew.py",
    "tests/faults/",
    "tests/properties/",
    "tests/selftest/",
    "tests/unit/cli/test_completion.py::test_a_completed_file_name_is_a_word_and_no_code",
    "tests/unit/client/test_typing.py",
    "tests/unit/engine/test_cache.py::test_a_writer_that_never_pauses",
    "tests/unit/service/test_audit.py::test_of_90_000_refusals",
    "tests/unit/store/checking/test_walk.py::test_the_check_of_records_costs",
    "tests/unit/store/drivers/test_removal.py::test_a_tree_of_ten_thousand_levels",
    "tests/unit/store/writing/test_names.py::test_no_change_of_a_rival",
)
"""The beginnings of their node ids."""

_INTEROP: Final = ("tests/interop/",)

PLAIN: Final = "not system and not interop"
"""The expression of markers that a plain ``pytest`` has, by ``addopts`` of pyproject.toml."""


def assign(items: Iterable[pytest.Item]) -> None:
    """Give each test the marker of its tier; that of the unit tier is none."""
    for item in items:
        if item.nodeid.startswith(_INTEROP):
            item.add_marker(pytest.mark.interop)
        elif item.nodeid.startswith(_SYSTEM):
            item.add_marker(pytest.mark.system)
