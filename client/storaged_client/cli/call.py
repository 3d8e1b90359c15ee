"""``storagectl call METHOD [JSON]``: prints the raw result on standard output, or the raw error on standard error."""

from __future__ import annotations

import json
from typing import Any

from storaged_client.json_limits import MESSAGE_DEPTH, check_nesting

from . import exits, output
from .flags import Flag, UsageError
from .invocation import Invocation

ARGUMENTS = "METHOD [JSON]"
FLAGS: tuple[Flag, ...] = ()


def run(invocation: Invocation) -> int:
    """Print one line of JSON either way; the exit status is that of the error."""
    if not 1 <= len(invocation.arguments) <= 2:
        raise UsageError(f"accepts 1 to 2 arg(s), received {len(invocation.arguments)}")
    method, *given = invocation.arguments
    params = parameters(given[0]) if given else None
    from storaged_client.contract.errors import StoragedError

    try:
        result = invocation.call(method, params)
    except StoragedError as error:
        output.complain(output.compact(error_object(error)).rstrip("\n"))
        return exits.status_of(error)
    output.emit(output.compact(result))
    return exits.DONE


def parameters(text: str) -> Any:
    """The parameters: a JSON object, or an array for positional parameters.

    Raises:
        UsageError: it is neither.
    """
    try:
        check_nesting(text.encode("utf-8", "surrogateescape"), MESSAGE_DEPTH - 1)
        value = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise UsageError(f"the parameters are not JSON: {error}") from error
    if not isinstance(value, dict | list):
        raise UsageError("the parameters must be a JSON object or array")
    return value


def _refuse(word: str) -> Any:
    # Python reads NaN and Infinity, which JSON does not have.
    raise ValueError(f"{word} is not a JSON value")


def error_object(error: Any) -> dict[str, Any]:
    """The ``error`` object as it was received."""
    return {"code": error.code, "message": error.message, "data": {"name": error.name, **error.data}}
