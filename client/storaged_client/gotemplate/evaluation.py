"""Application of a parsed template to a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import functions, values
from .errors import Refusal, TemplateError, place
from .nodes import Action, Branch, Call, Command, Leave, Node, Operand, Pipeline, Text
from .times import Duration, Time
from .values import NO_VALUE, Header, NoValue, Struct, type_name

_DEEPEST = 100
"""Nested ``template`` calls."""


class _Leaving(Exception):
    """``break`` or ``continue`` on its way to the loop."""

    def __init__(self, what: str) -> None:
        self.what = what


class _Nothing:
    """Marks that no value is piped in."""


_NOTHING = _Nothing()


class Evaluation:
    """One run of a template: its output and the variables in scope."""

    def __init__(self, text: str, name: str, defined: dict[str, list[Node]], titles: bool) -> None:
        """``titles``: the value is the header of a table; every field evaluates to its column's title."""
        self.text = text
        self.name = name
        self.defined = defined
        self.titles = titles
        self.output: list[str] = []
        self.variables: list[tuple[str, Any]] = []
        self.depth = 0

    def error(self, node: Node, message: str, start: int | None = None) -> TemplateError:
        """Build the error of a node, worded as in Go."""
        line, column = place(self.text, node.start if start is None else start)
        where = f'{self.name}:{line}:{column}: executing "{self.name}" at <{node.source}>'
        return TemplateError(f"template: {where}: {message}", line, column)

    def run(self, body: list[Node], dot: Any) -> bool:
        """Apply the body to a value; return False if it ended with ``break``."""
        self.variables = [("$", dot)]
        try:
            self.body(body, dot)
        except _Leaving as leaving:
            return leaving.what == "continue"
        except RecursionError:
            raise TemplateError("nested too deeply") from None
        return True

    def body(self, body: list[Node], dot: Any) -> None:
        visible = len(self.variables)
        try:
            for node in body:
                self.node(node, dot)
        finally:
            del self.variables[visible:]

    def node(self, node: Node, dot: Any) -> None:
        if isinstance(node, Text):
            self.output.append(node.source)
        elif isinstance(node, Action):
            value = self.pipeline(node.pipeline, dot)
            if not node.pipeline.names:
                self.output.append(values.shown(value))
        elif isinstance(node, Branch):
            visible = len(self.variables)
            try:
                self.branch(node, dot)
            finally:
                del self.variables[visible:]
        elif isinstance(node, Leave):
            raise _Leaving(node.source)
        elif isinstance(node, Call):
            self.call(node, dot)

    def branch(self, node: Branch, dot: Any) -> None:
        if node.kind == "range":
            self.loop(node, dot)
            return
        value = self.pipeline(node.pipeline, dot)
        if values.truth(value):
            self.body(node.body, value if node.kind == "with" else dot)
        else:
            self.body(node.otherwise, dot)

    def loop(self, node: Branch, dot: Any) -> None:
        pipeline = node.pipeline
        visible = len(self.variables)
        value = self.pipeline(pipeline, dot)
        del self.variables[visible:]
        pairs = self.pairs(pipeline, value)
        empty = True
        for key, item in pairs:
            empty = False
            given = (item,) if len(pipeline.names) == 1 else (key, item)
            if pipeline.assigns:
                for name, part in zip(pipeline.names, given, strict=False):
                    self.assign(pipeline, name, part)
            else:
                self.variables += zip(pipeline.names, given, strict=False)
            try:
                self.body(node.body, item)
            except _Leaving as leaving:
                if leaving.what == "break":
                    break
            finally:
                del self.variables[visible:]
        if empty:
            self.body(node.otherwise, dot)

    def pairs(self, node: Node, value: Any) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, list | tuple):
            return enumerate(value)
        if isinstance(value, Mapping) and not isinstance(value, Struct):
            return values.ordered(value)
        if values.is_number(value):
            return ((number, number) for number in range(value))
        if isinstance(value, Header):
            return [(0, value)]
        if isinstance(value, NoValue):
            return ()
        raise self.error(node, f"range can't iterate over {values.shown(value)}")

    def call(self, node: Call, dot: Any) -> None:
        body = self.defined.get(node.name)
        if body is None:
            raise self.error(node, f'template "{node.name}" not defined')
        if self.depth >= _DEEPEST:
            raise self.error(node, "exceeded maximum template depth")
        value = self.pipeline(node.pipeline, dot) if node.pipeline is not None else NO_VALUE
        outside, self.variables = self.variables, [("$", value)]
        self.depth += 1
        try:
            self.body(body, value)
        finally:
            self.variables = outside
            self.depth -= 1

    def pipeline(self, node: Pipeline, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in node.commands:
            value = self.command(command, dot, value)
        if len(node.names) == 1 and node.assigns:
            self.assign(node, node.names[0], value)
        elif len(node.names) == 1:
            self.variables.append((node.names[0], value))
        return value

    def assign(self, node: Node, name: str, value: Any) -> None:
        for index in reversed(range(len(self.variables))):
            if self.variables[index][0] == name:
                self.variables[index] = (name, value)
                return
        raise self.error(node, f'undefined variable: "{name}"')

    def command(self, node: Command, dot: Any, piped: Any) -> Any:
        first, *rest = node.operands
        if first.kind == "function" and not first.fields:
            return self.function(node, first, rest, dot, piped)
        if first.kind == "nil":
            raise self.error(first, "nil is not a command")
        if not rest and piped is _NOTHING:
            return self.operand(first, dot)
        if first.fields:
            arguments = [self.operand(operand, dot) for operand in rest]
            return self.operand(first, dot, [*arguments, *([] if piped is _NOTHING else [piped])])
        raise self.error(first, f"can't give argument to non-function {first.source}")

    def function(self, node: Command, first: Operand, rest: list[Operand], dot: Any, piped: Any) -> Any:
        name = str(first.value)
        if name in functions.LAZY:
            return self.lazy(first, rest, dot, piped)
        arguments = [self.operand(operand, dot) for operand in rest]
        if piped is not _NOTHING:
            arguments.append(piped)
        try:
            return functions.call(name, arguments)
        except Refusal as refusal:
            for argument in arguments:
                # A title is neither list nor map: `table {{join .Names ","}}` is titled NAMES.
                if isinstance(argument, Header):
                    return argument
            raise self.error(node, f"error calling {name}: {refusal}" if refusal.calling else str(refusal)) from None

    def lazy(self, first: Operand, rest: list[Operand], dot: Any, piped: Any) -> Any:
        if not rest and piped is _NOTHING:
            raise self.error(first, f"wrong number of args for {first.value}: want at least 1 got 0")
        value: Any = piped
        for operand in rest:
            value = self.operand(operand, dot)
            if values.truth(value) == (first.value == "or"):
                return value
        return value if piped is _NOTHING else piped

    def operand(self, node: Operand, dot: Any, arguments: list[Any] | None = None) -> Any:
        """Evaluate a term and its fields. ``arguments`` go to the last field, which then is a method."""
        value = self.term(node, dot)
        last = len(node.fields) - 1
        for index, (name, start) in enumerate(node.fields):
            value = self.field(node, value, name, start, (arguments or []) if index == last else [])
        return value

    def term(self, node: Operand, dot: Any) -> Any:
        if node.kind == "dot":
            return dot
        if node.kind == "variable":
            for name, value in reversed(self.variables):
                if name == node.value:
                    return value
            raise self.error(node, f'undefined variable: "{node.value}"')
        if node.kind == "function":
            return self.function(Command(node.source, node.start, (node,)), node, [], dot, _NOTHING)
        if node.kind == "pipeline":
            return self.pipeline(node.value, dot)
        return node.value

    def field(self, node: Operand, value: Any, name: str, start: int, arguments: list[Any]) -> Any:
        if isinstance(value, Time | Duration):
            method = value.method(name)
            if method is not None:
                return self.method(node, method, name, [value, *arguments])
        if arguments:
            raise self.error(node, f"{name} has arguments but cannot be invoked as function", start)
        if isinstance(value, NoValue):
            return NO_VALUE
        if isinstance(value, Header):
            return values.title_of(name)
        if isinstance(value, Mapping):
            if name in value:
                found = value[name]
                # A nil interface in a map prints differently from a nil pointer in a struct.
                return NO_VALUE if found is None and not isinstance(value, Struct) else found
            if self.titles:
                return values.title_of(name)
            if not isinstance(value, Struct):
                return NO_VALUE
        if value is None:
            raise self.error(node, f"nil pointer evaluating {name}", start)
        raise self.error(node, f"can't evaluate field {name} in type {type_name(value)}", start)

    def method(self, node: Operand, method: Any, name: str, arguments: list[Any]) -> Any:
        wanted = 1 if name == "Format" else 0
        if len(arguments) - 1 != wanted:
            raise self.error(node, f"wrong number of args for {name}: want {wanted} got {len(arguments) - 1}")
        if wanted and not isinstance(arguments[1], str):
            raise self.error(node, f"wrong type for value; expected string; got {type_name(arguments[1])}")
        try:
            return method(*arguments)
        except (ValueError, OverflowError) as error:
            raise self.error(node, f"error calling {name}: {error}") from None
