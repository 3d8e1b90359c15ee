"""The attributes of both clients: a manager for each noun, and the verbs that ``store`` itself has.

``managers.pyi`` tells type checkers the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ON_THE_CLIENT = ("check", "usage", "refresh")


class Noun:
    """A manager of the client, created when first used, because its module imports attrs."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, client: Nouns | None, owner: type[Nouns]) -> Any:
        if client is None:
            return self
        from . import managers

        manager = getattr(managers, f"{owner.PREFIX}{self._name.capitalize()}")(client)
        vars(client)[self._name] = manager
        return manager


class Nouns:
    """The attributes of the blocking client."""

    PREFIX = ""
    """The prefix of its managers' names."""

    images = Noun()
    layers = Noun()
    manifests = Noun()
    containers = Noun()
    store = Noun()
    server = Noun()

    check = property(lambda self: self.store.check, doc="``store.check``.")
    usage = property(lambda self: self.store.usage, doc="``store.usage``.")
    refresh = property(lambda self: self.store.refresh, doc="``store.refresh``.")


class AsyncNouns(Nouns):
    """The attributes of the async client."""

    PREFIX = "Async"
