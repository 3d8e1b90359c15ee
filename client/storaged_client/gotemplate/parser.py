"""Parser for the grammar of Go's ``text/template``."""

from __future__ import annotations

from . import functions, literals
from .errors import TemplateError, place
from .lexer import Token, tokens
from .nodes import Action, Branch, Call, Command, Leave, Node, Operand, Pipeline, Text

_KEYWORDS = frozenset(("if", "else", "end", "range", "with", "define", "block", "template", "break", "continue"))
_STARTS = frozenset(("field", "dot", "variable", "word", "string", "raw", "char", "number", "left"))


def parse(text: str, in_range: bool) -> tuple[list[Node], dict[str, list[Node]]]:
    """Return the body and the templates it defines. ``in_range``: the body is in a loop that ``break`` may leave.

    Raises:
        TemplateError: the text is not a template.
    """
    parser = _Parser(text, in_range)
    try:
        body, _ = parser.body(())
    except RecursionError:
        raise TemplateError("nested too deeply") from None
    return body, parser.defined


class _Parser:
    def __init__(self, text: str, in_range: bool) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0
        self.defined: dict[str, list[Node]] = {}
        self.variables = ["$"]
        self.loops = 1 if in_range else 0

    def error(self, token: Token, message: str) -> TemplateError:
        return TemplateError(message, *place(self.text, token.start))

    def unexpected(self, token: Token, where: str) -> TemplateError:
        return self.error(token, "unexpected EOF" if token.kind == "end" else f'unexpected "{token.text}" in {where}')

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def skip_space(self) -> Token:
        while self.token.kind == "space":
            self.position += 1
        return self.token

    def close(self, where: str) -> None:
        """Consume the end of an action."""
        token = self.skip_space()
        if token.kind != "close":
            raise self.unexpected(token, where)
        self.position += 1

    def body(self, closing: tuple[str, ...]) -> tuple[list[Node], str]:
        """Parse up to one of the closing words and return it with the nodes; its action is left open."""
        nodes: list[Node] = []
        while True:
            token = self.take()
            if token.kind == "text":
                nodes.append(Text(token.text, token.start))
                continue
            if token.kind == "end":
                if closing:
                    raise self.error(token, "unexpected EOF")
                return nodes, "end of text"
            first = self.skip_space()
            keyword = first.text if first.kind == "word" and first.text in _KEYWORDS else ""
            if keyword in ("end", "else"):
                if keyword not in closing:
                    raise self.error(first, f"unexpected {{{{{keyword}}}}}")
                self.position += 1
                return nodes, keyword
            node = self.action(keyword, token)
            if node is not None:
                nodes.append(node)

    def action(self, keyword: str, opening: Token) -> Node | None:
        if not keyword:
            pipeline = self.pipeline("command", "close")
            self.position += 1
            return Action(pipeline.source, opening.start, pipeline)
        first = self.take()
        if keyword in ("if", "with", "range"):
            return self.branch(keyword, first)
        if keyword in ("break", "continue"):
            self.close(f"{{{{{keyword}}}}}")
            if not self.loops:
                raise self.error(first, f"{{{{{keyword}}}}} outside {{{{range}}}}")
            return Leave(keyword, first.start)
        return self.named(keyword, first, opening)

    def branch(self, keyword: str, first: Token) -> Branch:
        visible = len(self.variables)
        pipeline = self.pipeline(keyword, "close")
        self.position += 1
        self.loops += keyword == "range"
        body, closing = self.body(("else", "end"))
        self.loops -= keyword == "range"
        otherwise: list[Node] = []
        if closing == "else" and keyword != "range" and self.skip_space().text == keyword:
            # `else if` is an `if` in the `else`; both end with the one `end`.
            otherwise = [self.branch(keyword, self.take())]
        else:
            if closing == "else":
                self.close("else")
                otherwise, _ = self.body(("end",))
            self.close("end")
        del self.variables[visible:]
        return Branch(pipeline.source, first.start, keyword, pipeline, body, otherwise)

    def named(self, keyword: str, first: Token, opening: Token) -> Call | None:
        token = self.skip_space()
        if token.kind not in ("string", "raw"):
            raise self.unexpected(token, f"{keyword} clause")
        self.position += 1
        name = self.text_of(token)
        pipeline: Pipeline | None = None
        if keyword == "define":
            self.close("define clause")
        elif self.skip_space().kind == "close" and keyword == "template":
            self.position += 1
        else:
            pipeline = self.pipeline(f"{keyword} clause", "close")
            self.position += 1
        if keyword != "template":
            # Another template's body sees neither the variables nor the loops around it.
            variables, loops = self.variables, self.loops
            self.variables, self.loops = ["$"], 0
            body, _ = self.body(("end",))
            self.close("end")
            self.variables, self.loops = variables, loops
            self.defined[name] = body
        if keyword == "define":
            return None
        return Call(self.text[opening.start : self.tokens[self.position - 1].stop], first.start, name, pipeline)

    def pipeline(self, where: str, closing: str) -> Pipeline:
        """Parse commands up to the closing token, which is not consumed."""
        start = self.skip_space()
        names, assigns = self.declarations(where == "range")
        commands = [self.command(where)]
        while self.skip_space().kind == "pipe":
            self.position += 1
            if self.skip_space().kind == closing:
                break
            commands.append(self.command(where))
        token = self.token
        if token.kind != closing:
            raise self.unexpected(token, where)
        for command in commands[1:]:
            first = command.operands[0]
            if first.kind in ("constant", "nil") or (first.kind == "dot" and not first.fields):
                stage = commands.index(command) + 1
                raise self.error(start, f"non executable command in pipeline stage {stage}")
        if not assigns:
            self.variables += names
        source = self.text[start.start : token.start].rstrip()
        return Pipeline(source, start.start, tuple(names), assigns, tuple(commands))

    def declarations(self, in_range: bool) -> tuple[list[str], bool]:
        """Parse ``$x :=``, ``$x =`` and, in a range, ``$i, $x :=``, if the pipeline begins with one."""
        begin = self.position
        names: list[Token] = []
        while self.skip_space().kind == "variable":
            names.append(self.take())
            token = self.skip_space()
            if token.kind in ("declare", "assign"):
                self.position += 1
                if token.kind == "assign":
                    for name in names:
                        self.known(name)
                return [name.text for name in names], token.kind == "assign"
            if token.kind != "comma" or not in_range or len(names) == 2:
                break
            self.position += 1
        self.position = begin
        return [], False

    def known(self, token: Token) -> None:
        if token.text not in self.variables:
            raise self.error(token, f'undefined variable "{token.text}"')

    def command(self, where: str) -> Command:
        first = self.skip_space()
        operands: list[Operand] = []
        while True:
            token = self.token
            if token.kind == "space":
                self.position += 1
            elif token.kind in _STARTS:
                if operands and self.tokens[self.position - 1].kind != "space":
                    raise self.unexpected(token, "operand")
                operands.append(self.operand())
            else:
                break
        if token.kind not in ("close", "pipe", "right"):
            raise self.unexpected(token, "operand" if operands else where)
        if not operands:
            raise self.error(token, f"missing value for {where}")
        last = self.tokens[self.position - 1]
        return Command(self.text[first.start : last.stop].rstrip(), first.start, tuple(operands))

    def operand(self) -> Operand:
        first = self.take()
        kind, value = self.term(first)
        fields: list[tuple[str, int]] = [(first.text[1:], first.start)] if first.kind == "field" else []
        while self.token.kind == "field":
            token = self.take()
            if kind in ("constant", "nil"):
                raise self.error(token, f'unexpected "." after term "{first.text}"')
            fields.append((token.text[1:], token.start))
        source = self.text[first.start : self.tokens[self.position - 1].stop]
        return Operand(source, first.start, kind, value, tuple(fields))

    def term(self, first: Token) -> tuple[str, object]:
        if first.kind in ("field", "dot"):
            return "dot", None
        if first.kind == "variable":
            self.known(first)
            return "variable", first.text
        if first.kind == "left":
            pipeline = self.pipeline("parenthesized pipeline", "right")
            self.position += 1
            return "pipeline", pipeline
        if first.kind == "word":
            return self.word(first)
        if first.kind == "number":
            try:
                return "constant", literals.number(first.text)
            except ValueError:
                raise self.error(first, f'bad number syntax: "{first.text}"') from None
        text = self.text_of(first)
        if first.kind == "char":
            if len(text) != 1:
                raise self.error(first, f"malformed character constant: {first.text}")
            return "constant", ord(text)
        return "constant", text

    def word(self, token: Token) -> tuple[str, object]:
        if token.text in ("true", "false"):
            return "constant", token.text == "true"
        if token.text == "nil":
            return "nil", None
        if token.text in _KEYWORDS:
            raise self.error(token, f"unexpected <{token.text}> in command")
        if not functions.exists(token.text):
            raise self.error(token, f'function "{token.text}" not defined')
        return "function", token.text

    def text_of(self, token: Token) -> str:
        try:
            return literals.unquoted(token.text)
        except ValueError as error:
            raise self.error(token, f"{token.text}: {error}") from None
