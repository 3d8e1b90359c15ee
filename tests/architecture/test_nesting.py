"""No JSON from outside is decoded whose levels are not bounded: the interpreter's own bound is no bound."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECODERS = frozenset({"json.loads", "json.load", "json.JSONDecoder", "msgspec.json.decode", "msgspec.json.Decoder"})

BOUNDED_OTHERWISE = {
    "client/storaged_client/jsonrpc/framing.py": "the framer measures each text",
    "client/storaged_client/cli/call.py": "measured before",
    "client/storaged_client/cli/complete.py": "measured before",
    "client/storaged_client/spawn_record.py": "measured before",
    "storaged/gateway/store_access.py": "answers of the daemon's own service",
    "storaged/store/layout/table.py": "a table is split only; each record is decoded by a bounded decoder",
    "storaged/store/layout/edit.py": "the same bytes passed a bounded decoder",
    "storaged/operations/new_config.py": "the same bytes passed a bounded decoder",
    "storaged/operations/list_adding.py": "a member of what is bounded",
    "storaged/operations/list_forms.py": "members of what is bounded",
    "storaged/operations/list_sources.py": "members of what is bounded",
    "storaged/store/drivers/userns.py": "a pipe between two processes of the daemon",
    "storaged/store/drivers/userns_child.py": "a pipe between two processes of the daemon",
}


def unbounded(tree: ast.AST) -> Iterator[str]:
    """Decoders that are not an argument of ``bounded``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Call) and ast.unparse(child.func) == "bounded":
            continue
        if isinstance(child, ast.Attribute) and ast.unparse(child) in DECODERS:
            yield ast.unparse(child)
        yield from unbounded(child)


def modules() -> dict[str, list[str]]:
    found = {}
    for folder in ("storaged", "client/storaged_client"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            decoders = list(unbounded(ast.parse(path.read_text())))
            if decoders:
                found[str(path.relative_to(ROOT))] = decoders
    return found


def test_every_decoder_of_json_is_bounded_or_said_why_not() -> None:
    assert modules().keys() == BOUNDED_OTHERWISE.keys()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("x = json.loads(text)", ["json.loads"]),
        ("decode = msgspec.json.Decoder(dict).decode", ["msgspec.json.Decoder"]),
        ("decode = bounded(msgspec.json.Decoder(dict).decode)", []),
        ("hook(json.loads)", ["json.loads"]),
        ("x: msgspec.json.Encoder", []),
    ],
)
def test_a_decoder_is_found_wherever_it_stands(code: str, found: list[str]) -> None:
    assert list(unbounded(ast.parse(code))) == found
