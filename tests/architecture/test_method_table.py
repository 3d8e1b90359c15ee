"""The method table, the clients, the commands and the documents say the same."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import storaged_client
from storaged_client import managers
from storaged_client.cli.commands import CALL_ONLY, COMMANDS
from storaged_client.contract import errors
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common
from storaged_client.jsonrpc import messages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_has_a_blocking_and_an_async_form_with_its_parameters(method: str) -> None:
    row = METHODS[method]
    wanted = [field.name for field in attrs.fields(row.params)]
    forms = [
        inspect.signature(getattr(getattr(owner, f"{prefix}{row.noun.capitalize()}"), row.verb))
        for owner, prefix in ((managers, ""), (managers, "Async"))
    ]
    for form in forms:
        names = [name for name in form.parameters if name != "self"]
        shared = {"progress", *(field.name for field in attrs.fields(Common))}
        own = [name for name in names if name not in shared]
        assert own == wanted
    assert list(forms[0].parameters) == list(forms[1].parameters)


def test_every_method_has_a_command_or_a_stated_reason_for_none() -> None:
    called = {method for command in COMMANDS for method in command.methods}
    assert (called | CALL_ONLY.keys()) - {"rpc.discover"} == METHODS.keys()
    assert all(reason for reason in CALL_ONLY.values())


def test_the_client_spells_a_method_in_its_row_and_in_its_command_only() -> None:
    """What is asked of every daemon, whatever the caller asked for, and the one method with a result of its own."""
    known = {
        "discovery.py": {"server.info"},
        "version_mismatch.py": {"server.info"},
        "spawn.py": {"server.shutdown"},
        "calls.py": {"images.get"},
    }
    client = Path(storaged_client.__file__).parent
    found = {
        str(path.relative_to(client)): spelled
        for path in client.rglob("*.py")
        if (spelled := set(re.findall(r'"(\w+\.\w+)"', path.read_text())) & METHODS.keys())
    }
    assert found.pop("contract/methods.py") == METHODS.keys()
    assert {name: spelled for name, spelled in found.items() if not name.startswith("cli/")} == known


def test_protocol_document_names_every_error_under_its_number() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    table = text[text.index("| codes | names |") :]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    assert named == set(errors.BY_NAME)


def test_the_peers_own_errors_are_those_of_the_contract() -> None:
    faults = [value for value in vars(messages).values() if isinstance(value, messages.Fault)]
    assert len(faults) == 5
    assert all(errors.BY_NAME[fault.name].code == fault.code for fault in faults)


def test_error_numbers_are_never_shared() -> None:
    assert len(errors.BY_CODE) == len(errors.BY_NAME)


def test_importing_the_client_loads_nothing_beyond_the_standard_library() -> None:
    code = """
import sys
before = set(sys.modules)
import storaged_client
print(*sorted({name.partition(".")[0] for name in sys.modules.keys() - before} - sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["storaged_client"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("**/*.md"), key=str), ids=lambda path: path.name)
def test_documents_link_only_to_what_is_there(path: Path) -> None:
    if ".venv" in path.parts or "build" in path.parts:
        pytest.skip("not a document of ours")
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_version_of_the_distribution_is_the_clients() -> None:
    import storaged

    assert storaged.__version__ == storaged_client.__version__
