"""Compares the store that a client means with the store that is served, before anything is answered or changed."""

from __future__ import annotations

from .errors import WrongStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MEMBERS = ("graphroot", "runroot", "driver", "additional_stores")
"""The members of the common parameter ``store``, and of the answer of ``server.info``."""


def check_store(stated: Mapping[str, Any], served: Mapping[str, Any]) -> None:
    """Compare them; a member that is missing or None is left to the daemon. Paths are compared as they are.

    Raises:
        WrongStore: they differ; ``data`` has ``asked`` and ``serves``.
    """
    asked = {name: stated[name] for name in MEMBERS if stated.get(name) is not None}
    if all(_value(served.get(name)) == _value(value) for name, value in asked.items()):
        return
    serves = {name: served.get(name) for name in MEMBERS}
    raise WrongStore(
        f"this daemon serves another store: {_text(serves)}; asked for was {_text(asked)}; nothing was done: leave "
        "--socket and STORAGED_SOCKET out to reach the daemon of that store, or leave out what names the store "
        "(--root and the like, CONTAINERS_STORAGE_CONF) to ask this one",
        {"asked": asked, "serves": serves, "name": WrongStore.__name__},
    )


def _value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _text(store: Mapping[str, Any]) -> str:
    named = [("graphroot", "graphroot"), ("runroot", "runroot"), ("driver", "driver")]
    parts = [f"{word} {store[name]}" for name, word in named if store.get(name)]
    if store.get("additional_stores"):
        parts.append("additional stores " + ", ".join(store["additional_stores"]))
    return ", ".join(parts)
