"""The syntax tree of a template.

``source`` is a node's spelling in the template, for messages; ``start`` is its offset there.
"""

from __future__ import annotations

from typing import Any


class Node:
    """Anything with a position in the template."""

    __slots__ = ("source", "start")

    def __init__(self, source: str, start: int) -> None:
        self.source = source
        self.start = start


class Operand(Node):
    """A term and its fields: ``{{.a.b}}``, ``{{$x.a}}``, ``{{(index .a 0).b}}``.

    ``kind`` is ``dot``, ``variable``, ``function``, ``constant``, ``nil`` or ``pipeline``; ``value`` is the name, the
    constant or the ``Pipeline``.
    """

    __slots__ = ("fields", "kind", "value")

    def __init__(self, source: str, start: int, kind: str, value: Any, fields: tuple[tuple[str, int], ...]) -> None:
        super().__init__(source, start)
        self.kind = kind
        self.value = value
        self.fields = fields


class Command(Node):
    """An operand and its arguments."""

    __slots__ = ("operands",)

    def __init__(self, source: str, start: int, operands: tuple[Operand, ...]) -> None:
        super().__init__(source, start)
        self.operands = operands


class Pipeline(Node):
    """Commands, each piped into the next; ``names`` are the variables that receive the result."""

    __slots__ = ("assigns", "commands", "names")

    def __init__(
        self, source: str, start: int, names: tuple[str, ...], assigns: bool, commands: tuple[Command, ...]
    ) -> None:
        super().__init__(source, start)
        self.names = names
        self.assigns = assigns
        self.commands = commands


class Text(Node):
    """Text between actions."""

    __slots__ = ()


class Action(Node):
    """A pipeline whose result is printed, unless a variable receives it."""

    __slots__ = ("pipeline",)

    def __init__(self, source: str, start: int, pipeline: Pipeline) -> None:
        super().__init__(source, start)
        self.pipeline = pipeline


class Branch(Node):
    """``if``, ``with`` or ``range`` (the ``kind``) with its two bodies."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(
        self, source: str, start: int, kind: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]
    ) -> None:
        super().__init__(source, start)
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Leave(Node):
    """``break`` or ``continue``; ``source`` says which."""

    __slots__ = ()


class Call(Node):
    """``template``: applies another body to the value of ``pipeline``, or to nothing."""

    __slots__ = ("name", "pipeline")

    def __init__(self, source: str, start: int, name: str, pipeline: Pipeline | None) -> None:
        super().__init__(source, start)
        self.name = name
        self.pipeline = pipeline
