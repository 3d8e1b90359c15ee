"""Results of the methods that change the store, as plain dictionaries for the type checker; see ``wire``."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from .wire import Error, Reason


class Going(TypedDict):
    code: str
    detail: str
    image: str | None


class Removed(TypedDict):
    id: str
    names: list[str]
    freed: int | None
    reasons: list[Going]
    containers: list[str]


class Untagged(TypedDict):
    id: str
    name: str


class Kept(TypedDict):
    id: str
    names: list[str]
    reasons: list[Reason]


class Failed(TypedDict):
    id: str | None
    name: str | None
    error: Error


class Report(TypedDict):
    removed: list[Removed]
    untagged: list[Untagged]
    kept: list[Kept]
    failed: list[Failed]
    freed: int | None
    changed: list[Kept]
    plan: str | None
    unfinished: NotRequired[str | None]
