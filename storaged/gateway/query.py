"""The query of a request, and what the two trees accept as a boolean, a number or a map.

Keys are matched without regard to case (``fromImage`` is ``fromimage``). The last value of a repeated key counts, an
empty value counts as absent, and unknown keys are ignored.

Source: podman ``pkg/api/handlers/utils/apiutil`` and gorilla/schema; Docker ``httputils.BoolValue``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from storaged.gateway.errors import BadParameter
from storaged.store.layout.decoding import bounded

decode_json: Callable[[bytes], Any] = bounded(msgspec.json.decode)
"""For text from clients; raises ``msgspec.DecodeError``."""

_GO_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_GO_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_DOCKER_FALSE = frozenset({"", "0", "no", "false", "none"})


def decoded(text: str) -> str:
    """Percent-decode once; bytes that are not UTF-8 are then replaced. A plus stays a plus."""
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


class Query:
    """The decoded pairs of a query string, in their order."""

    def __init__(self, text: str, *, libpod: bool) -> None:
        self._libpod = libpod
        self._values: dict[str, list[str]] = {}
        # Go leaves out a pair with a semicolon and one with broken percent-encoding.
        for pair in text.split("&") if text else ():
            key, _, value = pair.partition("=")
            if key and ";" not in pair:
                name = decoded(key.replace("+", " ")).lower()
                self._values.setdefault(name, []).append(decoded(value.replace("+", " ")))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def all(self, name: str) -> list[str]:
        """The non-empty values of a key that may be repeated. Commas do not split."""
        return [value for value in self._values.get(name.lower(), ()) if value]

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name.lower())
        return (values[-1] if values else "") or default

    def raw(self, name: str) -> str | None:
        """The value, which may be empty; None if the key is absent."""
        values = self._values.get(name.lower())
        return values[-1] if values else None

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean, by the rule of the tree.

        Raises:
            BadParameter: in podman's tree, it is not one of Go's words.
        """
        value = self.raw(name)
        if value is None or value == "":
            return default
        if not self._libpod:
            return value.strip().lower() not in _DOCKER_FALSE
        if value in _GO_TRUE:
            return True
        if value in _GO_FALSE:
            return False
        cause = f'schema: error converting value for "{name.lower()}"'
        raise BadParameter(f"failed to parse parameters: {cause}", cause)

    def number(self, name: str, default: int = 0) -> int:
        """A whole number.

        Raises:
            BadParameter: it is not a number.
        """
        value = self.text(name)
        if not value:
            return default
        digits = value[1:] if value[0] in "+-" else value
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            cause = f'schema: error converting value for "{name.lower()}"'
            raise BadParameter(f"failed to parse parameters: {cause}", cause)
        return int(value)

    def filters(self, name: str = "filters") -> dict[str, list[str]]:
        """The ``filters``, in either of the two forms that clients send.

        Absent and empty filters are no filters (Podman Desktop sends empty ones, which podman rejects).

        Raises:
            BadParameter: it is not JSON, not an object, or mixes the two forms; status 500, as in podman.
        """
        text = self.text(name)
        if not text:
            return {}
        wrong = f"failed to parse parameters: {name}"
        try:
            value = decode_json(text.encode())
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise BadParameter(f"{wrong}: {error}", str(error), status=500) from None
        if value is None:
            return {}
        if isinstance(value, dict):
            if all(_is_list(values) for values in value.values()):
                return {key: list(values or ()) for key, values in value.items()}
            if all(_is_set(values) for values in value.values()):
                return {
                    key: [item for item, wanted in (values or {}).items() if wanted] for key, values in value.items()
                }
        cause = "json: filters are an object of lists, or an object of objects of truths"
        raise BadParameter(f"{wrong}: {cause}", cause, status=500)


def _is_list(values: object) -> bool:
    return values is None or (isinstance(values, list) and all(isinstance(value, str) for value in values))


def _is_set(values: object) -> bool:
    return values is None or (isinstance(values, dict) and all(isinstance(value, bool) for value in values.values()))
