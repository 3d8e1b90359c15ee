"""What a stream of bytes and descriptors means, by docs/protocol.md and the two specifications: slowly, in one piece.

Shares no code with ``storaged_client``: the whole stream is there at once, texts are found by ``raw_decode``, and
descriptors are told apart by the offset they were sent at. Everything stays in flight until the end of the stream.

What it cannot say is where descriptors go that were sent with the end of one text and the beginning of another, for
that depends on how the kernel cuts: see ``Message``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Sequence
from typing import Any

from attrs import Factory, define, frozen

_BLANKS = " \t\n\r"
_DELIMITERS = _BLANKS + '"{}[],:'
_FIRST = '{["-0123456789tfn'

DEEPEST = 256
"""Levels of a text, by the protocol."""

PARSE_ERROR, INVALID, TOO_LONG, DESCRIPTORS = -32700, -32600, -32002, -32050


@frozen(kw_only=True)
class Message:
    """What one ``sendmsg`` takes: descriptors come with its first byte. Those of a text come with its first byte,
    too, or on blanks behind it."""

    data: bytes
    fds: tuple[int, ...] = ()


@frozen(kw_only=True)
class Bounds:
    """Bytes of a text, entries of a batch, descriptors of a message."""

    text: int
    batch: int = 100
    fds: int = 16


@define(kw_only=True)
class Meaning:
    """``events`` in their order, without what is only closed. ``answers``: what is written once each request was
    answered by its number, in the order of the requests' beginnings. ``fault``: the codes the stream may end with."""

    events: list[tuple[Any, ...]] = Factory(list)
    answers: list[Any] = Factory(list)
    fault: frozenset[int] = frozenset()
    repeated: bool = False
    """An id came again while it was in flight; where answers are quick it is not."""


@frozen(kw_only=True)
class _Text:
    start: int
    end: int
    value: Any


def meaning(messages: Sequence[Message], bounds: Bounds, asked: Container[Any] = ()) -> Meaning:
    """What the stream means to an end that has asked for ``asked`` (ids)."""
    data = b"".join(message.data for message in messages)
    texts, fault_at, fault = _split(data, bounds.text)
    sent = _offsets(messages)
    found = _Reader(bounds, asked)
    for number, text in enumerate(texts):
        follows = texts[number + 1].start if number + 1 < len(texts) else fault_at
        came = [fd for offset, fd in sent if text.start <= offset < follows]
        wanted = text.value.get("fds", 0) if isinstance(text.value, dict) else 0
        if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 <= wanted <= bounds.fds:
            return found.end(frozenset({DESCRIPTORS}))
        if len(came) < wanted:
            return found.end(frozenset({DESCRIPTORS}))
        found.take(text.value, tuple(came[:wanted]))
    return found.end(fault)


def _offsets(messages: Sequence[Message]) -> list[tuple[int, int]]:
    offset, found = 0, []
    for message in messages:
        found += [(offset, fd) for fd in message.fds]
        offset += len(message.data)
    return found


def _refuse(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _split(data: bytes, limit: int) -> tuple[list[_Text], int, frozenset[int]]:
    """The texts, where the next thing begins after the last of them, and what is wrong with that."""
    # Bytes that are no UTF-8 become lone surrogates, which no UTF-8 has: each text answers for its own.
    text = data.decode("utf-8", "surrogateescape")
    found: list[_Text] = []
    at, offset = 0, 0
    while True:
        begin = at
        while begin < len(text) and text[begin] in _BLANKS:
            begin += 1
        offset += begin - at
        if begin == len(text):
            return found, len(data) + 1, frozenset()
        try:
            value, at = _one(text, begin)
            length = len(text[begin:at].encode("utf-8"))
        except (ValueError, RecursionError):
            long = len(data) - offset > limit and text[begin] in _FIRST
            return found, offset, frozenset({PARSE_ERROR, TOO_LONG} if long else {PARSE_ERROR})
        if length > limit:
            return found, offset, frozenset({TOO_LONG})
        found.append(_Text(start=offset, end=offset + length, value=value))
        offset += length


def _levels(value: Any) -> int:
    """How deeply it is nested, without recursion."""
    levels, here = 0, [value]
    while here := [one for one in here if isinstance(one, dict | list)]:
        levels += 1
        here = [inner for one in here for inner in (one.values() if isinstance(one, dict) else one)]
    return levels


def _one(text: str, begin: int) -> tuple[Any, int]:
    if text[begin] not in _FIRST:
        raise ValueError(text[begin])
    if text[begin] in '{["':
        value, end = _DECODER.raw_decode(text, begin)
        if _levels(value) > DEEPEST:
            raise ValueError("nested too deeply")
        return value, end
    end = begin
    while end < len(text) and text[end] not in _DELIMITERS:
        end += 1
    return _DECODER.decode(text[begin:end]), end


class _Reader:
    """Messages by JSON-RPC 2.0, sections 4 to 6."""

    def __init__(self, bounds: Bounds, asked: Container[Any]) -> None:
        self._bounds = bounds
        self._asked = asked
        self._answered: list[Any] = []
        self._in_flight: dict[Any, Any] = {}
        self._requests = 0
        self._found = Meaning()

    def end(self, fault: frozenset[int]) -> Meaning:
        self._found.fault = fault
        return self._found

    def take(self, value: Any, fds: tuple[int, ...]) -> None:
        if not isinstance(value, list):
            entry = self._entry(value, fds)
            if isinstance(entry, dict):
                self._found.events.append(("reply", _code_and_id(entry)))
            elif entry is not None:
                self._found.answers.append({"result": entry, "id": list(self._in_flight.values())[-1]})
            return
        if not 0 < len(value) <= self._bounds.batch:
            self._found.events.append(("reply", (INVALID, None)))
            return
        parts: list[Any] = []
        running = False
        for each in value:
            if isinstance(each, dict) and each.get("fds"):
                parts.append(_refusal(None))
                continue
            entry = self._entry(each, ())
            if isinstance(entry, dict):
                parts.append(entry)
            elif entry is not None:
                running = True
                parts.append({"result": entry, "id": list(self._in_flight.values())[-1]})
        if running:
            self._found.answers.append(parts)
        elif parts:
            self._found.events.append(("reply", [_code_and_id(part) for part in parts]))

    def _entry(self, value: Any, fds: tuple[int, ...]) -> int | dict[str, Any] | None:
        """The number of a request that begins, the error that refuses one, or None where nothing is answered."""
        events = self._found.events
        if not isinstance(value, dict):
            return _refusal(None)
        identity = value.get("id")
        known = identity if _is_id(identity) else None
        if "method" not in value and ("result" in value or "error" in value):
            self._answer(value, fds)
            return None
        well_made = value.get("jsonrpc") == "2.0" and isinstance(value.get("method"), str)
        if not (well_made and _is_id(identity)) or not isinstance(value.get("params", {}), dict | list):
            return _refusal(known)
        method, params = value["method"], value.get("params")
        if "id" not in value:
            if method == "$/cancelRequest":
                self._cancel(params)
            else:
                events.append(("notification", method, params, fds))
            return None
        if identity in self._in_flight:
            self._found.repeated = True
            return _refusal(None)
        self._in_flight[identity] = identity
        self._requests += 1
        events.append(("request", identity, method, params, fds))
        return self._requests

    def _cancel(self, params: Any) -> None:
        wanted = params.get("id", ...) if isinstance(params, dict) else ...
        if isinstance(params, list) and len(params) == 1:
            wanted = params[0]
        if isinstance(wanted, str | int | float | None) and not isinstance(wanted, bool) and wanted in self._in_flight:
            self._found.events.append(("cancel", self._in_flight[wanted]))

    def _answer(self, value: dict[str, Any], fds: tuple[int, ...]) -> None:
        events, identity = self._found.events, value.get("id")
        known = identity if _is_id(identity) else None
        error = value.get("error")
        right = value.get("jsonrpc") == "2.0" and "id" in value and _is_id(identity)
        if "error" in value:
            right = right and "result" not in value and _is_error(error)
        if not right:
            events.append(("stray", known))
        elif "error" in value and identity is None:
            events.append(("error", None, error))
        elif identity not in self._asked or identity in self._answered:
            events.append(("stray", identity))
        else:
            self._answered.append(identity)
            events.append(
                ("error", identity, error) if "error" in value else ("response", identity, value["result"], fds)
            )


def _is_id(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _is_error(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("message"), str):
        return False
    return isinstance(value.get("code"), int) and not isinstance(value["code"], bool)


def _refusal(identity: Any) -> dict[str, Any]:
    return {"error": INVALID, "id": identity}


def _code_and_id(refusal: dict[str, Any]) -> tuple[int, Any]:
    return refusal["error"], refusal["id"]
