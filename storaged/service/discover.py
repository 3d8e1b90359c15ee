"""``rpc.discover``: the method table as an OpenRPC 1.3 document."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, get_type_hints

import attrs
import msgspec

from storaged_client.contract import params as p
from storaged_client.contract.errors import BY_NAME
from storaged_client.contract.methods import COMMON_ERRORS, METHODS, Method
from storaged_client.contract.value import Timestamp
from storaged_client.contract.version import PROTOCOL

_REF = "#/components/schemas/{name}"


def _as_sent(kind: type) -> dict[str, Any]:
    """The schema of a type that msgspec does not know."""
    if kind is not Timestamp:
        raise NotImplementedError(kind)
    return {"type": "string"}


_schemas = partial(msgspec.json.schema_components, schema_hook=_as_sent, ref_template=_REF)


@cache
def document() -> dict[str, Any]:
    """The whole protocol: methods, parameters, results, errors."""
    results = {method.result for method in METHODS.values()}
    kinds = {get_type_hints(cls)[field.name] for cls in _parameter_classes() for field in attrs.fields(cls)}
    shown = sorted(results, key=lambda cls: cls.__name__) + sorted(kinds, key=str)
    _, schemas = _schemas(shown)
    names = {name for method in METHODS.values() for name in method.errors} | set(COMMON_ERRORS)
    errors = {name: {"code": BY_NAME[name].code, "message": name, "data": {"name": name}} for name in sorted(names)}
    return {
        "openrpc": "1.3.2",
        "info": {"title": "storaged", "version": PROTOCOL, "license": {"name": "Apache-2.0"}},
        "methods": [_method(method) for method in METHODS.values()] + [_discover()],
        "components": {"schemas": schemas, "errors": errors},
    }


def _parameter_classes() -> set[type[Any]]:
    return {method.params for method in METHODS.values()} | {p.Common}


def _method(method: Method) -> dict[str, Any]:
    own = [_parameter(method.params, field, common=False) for field in attrs.fields(method.params)]
    common = [_parameter(p.Common, field, common=True) for field in attrs.fields(p.Common)]
    return {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "either",
        "params": own + common,
        "result": {"name": method.result.__name__, "schema": {"$ref": _REF.format(name=method.result.__name__)}},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in (*method.errors, *COMMON_ERRORS)],
        "x-mutates": method.mutates,
        "x-descriptors": method.descriptors,
    }


def _parameter(cls: type, field: attrs.Attribute[Any], *, common: bool) -> dict[str, Any]:
    required = field.default is attrs.NOTHING
    kind = get_type_hints(cls)[field.name]
    (schema,), _ = _schemas([kind])
    if not required:
        schema = {**schema, "default": msgspec.to_builtins(field.default)}
    parameter: dict[str, Any] = {"name": field.name, "required": required, "schema": schema}
    if common:
        parameter["x-common"] = True
    return parameter


def _discover() -> dict[str, Any]:
    return {
        "name": "rpc.discover",
        "summary": "This document.",
        "params": [],
        "result": {"name": "OpenRPC", "schema": {"type": "object"}},
        "x-mutates": False,
        "x-descriptors": False,
    }
