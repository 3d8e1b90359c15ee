"""Which test belongs to which tier: the one place that says so. CONTRIBUTING has the command of each.

::

    unit      what a plain ``pytest`` runs: the behaviour of the whole product, in a minute, in any folder
    system    boots systemd, starts and kills many daemons, loads the machine, or takes long
    interop   beside real podman, buildah, skopeo and containers-storage
    lint      needs mypy, Sphinx or groff
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
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
    "tests/e2e/test_serve.py::test_stop_waits_as_long_as_the_daemon_may_drain",
    "tests/e2e/test_sharing.py",
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
    "tests/unit/cli/test_completion.py::test_a_tab_typed_into",
    "tests/unit/cli/test_completion.py::test_fish_completes",
    "tests/unit/engine/test_cache.py::test_a_writer_that_never_pauses",
    "tests/unit/service/test_audit.py::test_of_90_000_refusals",
    "tests/unit/store/checking/test_walk.py::test_the_check_of_records_costs",
    "tests/unit/store/drivers/test_removal.py::test_a_tree_of_ten_thousand_levels",
    "tests/unit/store/writing/test_names.py::test_no_change_of_a_rival",
)
"""The beginnings of their node ids."""

_INTEROP: Final = ("tests/interop/",)

_LINT: Final = (
    "tests/architecture/test_manuals.py::test_a_man_page_is_set",
    "tests/architecture/test_manuals.py::test_every_page_is_built",
    "tests/architecture/test_manuals.py::test_the_man_pages_that_a_wheel_carries",
    "tests/architecture/test_manuals.py::test_the_pictures_of_the_readme",
    "tests/architecture/test_manuals.py::test_what_comes_from_the_code_is_on_the_html_page",
    "tests/unit/client/test_typing.py",
)

PLAIN: Final = "not system and not interop and not lint"
"""The expression of markers that a plain ``pytest`` has, by ``addopts`` of pyproject.toml."""


def assign(items: Iterable[pytest.Item]) -> None:
    """Give each test the marker of its tier; that of the unit tier is none."""
    for item in items:
        if item.nodeid.startswith(_INTEROP):
            item.add_marker(pytest.mark.interop)
        elif item.nodeid.startswith(_LINT):
            item.add_marker(pytest.mark.lint)
        elif item.nodeid.startswith(_SYSTEM) or _starts_a_daemon_on_asyncio(item):
            item.add_marker(pytest.mark.system)


def _starts_a_daemon_on_asyncio(item: pytest.Item) -> bool:
    """The unit tier tests the daemon's parts on both back ends, and the whole daemon on the one it has by default."""
    callspec = getattr(item, "callspec", None)
    return item.nodeid.startswith("tests/e2e/") and callspec is not None and "asyncio" in callspec.params.values()


def is_of_another(path: Path, asked: Sequence[str]) -> bool:
    """Whether another tier has every test in a file or folder, which was not asked for by name."""
    node = f"{path.as_posix()}/" if path.suffix != ".py" else path.as_posix()
    return node in (*_SYSTEM, *_INTEROP, *_LINT) and not any(node.rstrip("/") in each for each in asked)
