"""Converts JSON values to messages, by sections 4 and 5 of the JSON-RPC 2.0 specification, and messages to bytes."""

from __future__ import annotations

import json
import math
from typing import Any

from storaged_client.json_limits import MESSAGE_DEPTH, check_nesting

ID = str | int | float | None
"""What the specification allows as an id."""


class Fault:
    """An error that an end answers by itself: its code, and its name in ``data``."""

    def __init__(self, code: int, name: str) -> None:
        self.code = code
        self.name = name


PARSE_ERROR = Fault(-32700, "ParseError")
INVALID_REQUEST = Fault(-32600, "InvalidRequest")
DESCRIPTOR_MISMATCH = Fault(-32050, "DescriptorMismatch")
MESSAGE_TOO_LARGE = Fault(-32002, "MessageTooLarge")
TOO_LARGE = Fault(3009, "TooLarge")

CANCEL = "$/cancelRequest"

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class LocalProtocolError(Exception):
    """A mistake on this side: an answer without a request, an id used twice, a value that is not JSON."""


class Called:
    """A valid request or, with ``answered`` false, a notification."""

    __slots__ = ("answered", "id", "method", "params")

    def __init__(self, id: ID, method: str, params: Any, answered: bool) -> None:
        self.id = id
        self.method = method
        self.params = params
        self.answered = answered


class Answered:
    """A valid response: ``result``, or ``error`` if that is not None."""

    __slots__ = ("error", "id", "result")

    def __init__(self, id: ID, result: Any, error: dict[str, Any] | None) -> None:
        self.id = id
        self.result = result
        self.error = error


class Invalid:
    """An invalid message. ``id`` is the id to answer with; ``reply`` is false if it looks like an answer: two ends that
    answer each other's answers would never stop."""

    __slots__ = ("id", "reason", "reply")

    def __init__(self, id: ID, reason: str, reply: bool) -> None:
        self.id = id
        self.reason = reason
        self.reply = reply


def _is_id(value: Any) -> bool:
    if value is None or type(value) is str or type(value) is int:
        return True
    return type(value) is float and math.isfinite(value)  # 1e999 decodes to infinity, which cannot be echoed


def read_message(value: Any) -> Called | Answered | Invalid:
    """Classify one JSON value, or one member of a batch."""
    if type(value) is not dict:
        return Invalid(None, "a message is an object", True)
    sent_id = value.get("id")
    valid_id = _is_id(sent_id)
    known = sent_id if valid_id else None
    if "method" not in value and ("result" in value or "error" in value):
        return _read_answer(value, known, valid_id)
    if value.get("jsonrpc") != "2.0":
        return Invalid(known, 'the member "jsonrpc" must be "2.0"', True)
    method = value.get("method")
    if type(method) is not str:
        return Invalid(known, 'the member "method" must be a string', True)
    if not valid_id:
        return Invalid(None, 'the member "id" must be a string, a number or null', True)
    params = value.get("params")
    if params is None and "params" not in value:
        return Called(known, method, None, "id" in value)
    if type(params) is not dict and type(params) is not list:
        return Invalid(known, 'the member "params" must be an object or an array', True)
    return Called(known, method, params, "id" in value)


def _read_answer(value: dict[str, Any], known: ID, valid_id: bool) -> Answered | Invalid:
    if value.get("jsonrpc") != "2.0" or not valid_id or "id" not in value:
        return Invalid(known, "a response needs jsonrpc and id", False)
    if "result" in value:
        if "error" in value:
            return Invalid(known, "a response has a result or an error", False)
        return Answered(known, value["result"], None)
    error = value["error"]
    if type(error) is not dict or type(error.get("code")) is not int or type(error.get("message")) is not str:
        return Invalid(known, "an error has a code and a message", False)
    return Answered(known, None, error)


def encode(value: Any) -> bytes:
    """JSON without blanks, in ASCII.

    Raises: LocalProtocolError, if the value is not JSON, or has more levels than a message may have.
    """
    try:
        text = _encode(value).encode("ascii")
        check_nesting(text, MESSAGE_DEPTH)
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(f"cannot be sent as JSON: {error}") from error


def encode_call(id: ID, method: str, params: Any, *, answered: bool = True, fds: int = 0) -> bytes:
    """A request or a notification, without the LF.

    Raises: LocalProtocolError.
    """
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if answered:
        message["id"] = id
    if params is not None:
        message["params"] = params
    if fds:
        message["fds"] = fds
    return encode(message)


def around_result(id: ID) -> tuple[bytes, bytes]:
    """The bytes before and after the result of a response; the result is JSON already and is inserted as it is."""
    return b"".join((b'{"jsonrpc":"2.0","id":', encode(id), b',"result":')), b"}"


def encode_fault(id: ID, fault: Fault, message: str, data: dict[str, Any] | None = None) -> bytes:
    """An error response of this end's own.

    Raises: LocalProtocolError.
    """
    return encode_error(id, fault.code, message, {**(data or {}), "name": fault.name})


def encode_error(id: ID, code: int, message: str, data: dict[str, Any] | None) -> bytes:
    """An error response.

    Raises: LocalProtocolError.
    """
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return b"".join((b'{"jsonrpc":"2.0","id":', encode(id), b',"error":', encode(error), b"}"))
