"""Rows of storagectl's own commands for templates.

A row has the columns of its table by name (``{{.Created}}`` prints the column CREATED), every member of the wire by its
own name (``{{.created}}``), and by Go's unless a column has that name (``{{.ReadOnly}}``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..gotemplate.values import Struct

_OBJECTS = ("damage", "platform", "subject")
"""Members that are objects with fixed members, not maps."""


def struct(members: Mapping[str, Any], columns: Mapping[str, Any] | None = None) -> Struct:
    """One row. ``json`` and ``{{.}}`` show it as on the wire."""
    fields: dict[str, Any] = {}
    for name, value in members.items():
        inside = _inside(name, value)
        fields[name] = inside
        if name.isidentifier():
            fields.setdefault("".join(part[:1].upper() + part[1:] for part in name.split("_")), inside)
    if "id" in members:
        fields.setdefault("ID", members["id"])
    return Struct("object", {**fields, **(columns or {})}, printed=tuple(members), encoded=members)


def _inside(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return struct(value) if name in _OBJECTS else value
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        return [struct(each) for each in value]
    return value
