"""No import leads back to its own module, however it is hidden; and why an import of the daemon is not at the top."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("storaged", "client/storaged_client")

START_UP = "what the command does not need costs its start nothing"
OPTIONAL = "works without it"

HIDDEN = {
    "storaged.cli": START_UP,
    "storaged.daemon": "a daemon without a gateway needs no h11",
    "storaged.engine.loop_turn": "a daemon on asyncio needs no trio",
    "storaged.settings.schema": START_UP,
    "storaged.store.layout.digest_forms": "a type that the standard library does not name",
    "storaged.store.same_mount": OPTIONAL,
}
"""Modules of the daemon with imports in a function or for type checkers only. The client's may have them: its commands
start anew each time."""


def name_of(path: Path, folder: Path) -> str:
    return ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")


def modules() -> dict[str, Path]:
    folders = [ROOT / package for package in PACKAGES]
    return {name_of(path, folder): path for folder in folders for path in sorted(folder.rglob("*.py"))}


def imported(module: str, tree: ast.AST, known: Mapping[str, object], *, package: bool) -> Iterator[str]:
    """Modules of ours that are named in any import of a module, wherever it stands."""
    home = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                if name in known or base in known:
                    yield name if name in known else base


def hidden(tree: ast.AST, inside: bool = False) -> Iterator[str]:
    """Imports in a function, or under a condition that no run meets."""
    for child in ast.iter_child_nodes(tree):
        if inside and isinstance(child, ast.Import | ast.ImportFrom):
            yield ast.unparse(child)
        starts = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield from hidden(child, inside or starts)


def cycle_of(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_leads_back_even_those_for_type_checkers_or_in_functions() -> None:
    known = modules()
    graph = {
        module: set(imported(module, ast.parse(path.read_text()), known, package=path.name == "__init__.py")) - {module}
        for module, path in known.items()
    }
    assert sum(map(len, graph.values())) > len(graph)
    assert cycle_of(graph) == []


def test_every_hidden_import_of_the_daemon_has_its_reason() -> None:
    found = {
        module
        for module, path in modules().items()
        if module.startswith("storaged.") and any(hidden(ast.parse(path.read_text())))
    }
    assert found == HIDDEN.keys()


@pytest.mark.parametrize(
    ("line", "package", "expected"),
    [
        ("import a.b.c", False, ["a.b.c"]),
        ("from a.b import c, d", False, ["a.b.c", "a.b"]),
        ("from . import c", False, ["a.b.c"]),
        ("from .c import x", False, ["a.b.c"]),
        ("from .. import b", False, ["a.b"]),
        ("from . import c", True, ["a.b.m.c"]),
        ("if TYPE_CHECKING:\n    from .c import x", False, ["a.b.c"]),
        ("def late():\n    import a.b.c", False, ["a.b.c"]),
        ("import os", False, []),
    ],
)
def test_an_import_is_found_in_whatever_way_it_is_written(line: str, package: bool, expected: list[str]) -> None:
    known = dict.fromkeys(("a", "a.b", "a.b.c", "a.b.m", "a.b.m.c"))
    assert list(imported("a.b.m", ast.parse(line), known, package=package)) == expected


def test_a_cycle_is_found() -> None:
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
