"""Lexer: the text of a template and the tokens between ``{{`` and ``}}``.

``{{-`` and ``-}}``, with white space on the inner side, trim the white space of the adjacent text.
"""

from __future__ import annotations

import re

from .errors import TemplateError, place

_SPACE = " \t\r\n"


class Token:
    """One token: its kind, its spelling and its start offset.

    Kinds: ``text``, ``open``, ``close``, ``space``, ``string``, ``raw``, ``char``, ``number``, ``field``, ``dot``,
    ``variable``, ``word``, ``declare``, ``assign``, ``comma``, ``pipe``, ``left``, ``right``, ``end``.
    """

    __slots__ = ("kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int) -> None:
        self.kind = kind
        self.text = text
        self.start = start

    @property
    def stop(self) -> int:
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""
      (?P<trim>[ \t\r\n]+-\}\})
    | (?P<close>\}\})
    | (?P<space>[ \t\r\n]+)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\[^\n])+')
    | (?P<number>[+-]?(?:\.\d|\d)(?:0[xX][pP][+-]|[eEpP][+-]|[\w.])*)
    | (?P<field>\.[^\W\d]\w*)
    | (?P<dot>\.)
    | (?P<variable>\$\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<declare>:=)
    | (?P<assign>=)
    | (?P<comma>,)
    | (?P<pipe>\|)
    | (?P<left>\()
    | (?P<right>\))
    """,
    re.VERBOSE,
)

_UNCLOSED = {'"': "unterminated quoted string", "`": "unterminated raw quoted string"}
_MUST_END = frozenset(("field", "variable", "word"))
_TERMINATORS = frozenset(" \t\r\n.,|:()}")


def tokens(text: str) -> list[Token]:
    """Split the template into tokens; the last one is ``end``.

    Raises:
        TemplateError: something is not a token, or not closed.
    """
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Token] = []

    def run(self) -> list[Token]:
        position = 0
        trim = False
        while True:
            opening = self.text.find("{{", position)
            stretch = self.text[position : opening if opening >= 0 else len(self.text)]
            start = position
            if trim:
                start += len(stretch) - len(stretch.lstrip(_SPACE))
                stretch = stretch.lstrip(_SPACE)
            inner = opening + 2
            if opening >= 0 and self.text[inner : inner + 1] == "-" and self.text[inner + 1 : inner + 2] in set(_SPACE):
                stretch = stretch.rstrip(_SPACE)
                inner += 2
            if stretch:
                self.found.append(Token("text", stretch, start))
            if opening < 0:
                self.found.append(Token("end", "", len(self.text)))
                return self.found
            if self.text.startswith("/*", inner):
                position, trim = self._comment(inner)
            else:
                position, trim = self._action(opening, inner)

    def _comment(self, start: int) -> tuple[int, bool]:
        end = self.text.find("*/", start)
        if end < 0:
            raise self._error(start, "unclosed comment")
        found = re.compile(r"(?:[ \t\r\n](-))?\}\}").match(self.text, end + 2)
        if found is None:
            raise self._error(start, "comment ends before closing delimiter")
        return found.end(), found[1] is not None

    def _action(self, opening: int, position: int) -> tuple[int, bool]:
        self.found.append(Token("open", "{{", opening))
        depth = 0
        while True:
            found = _TOKEN.match(self.text, position)
            if found is None:
                raise self._stray(position)
            kind = str(found.lastgroup)
            if kind in ("trim", "close"):
                if depth:
                    raise self._error(position, "unclosed left paren")
                self.found.append(Token("close", "}}", found.end() - 2))
                return found.end(), kind == "trim"
            depth += (kind == "left") - (kind == "right")
            if depth < 0:
                raise self._error(position, "unexpected right paren")
            self.found.append(Token(kind, found[0], position))
            position = found.end()
            after = self.text[position : position + 1]
            if kind in _MUST_END and after and after not in _TERMINATORS:
                raise self._error(position, f"bad character {_named(after)}")

    def _stray(self, position: int) -> TemplateError:
        character = self.text[position : position + 1]
        if not character:
            return self._error(position, "unclosed action")
        if character in _UNCLOSED:
            return self._error(position, _UNCLOSED[character])
        if character == "'":
            return self._error(position, "unterminated character constant")
        if character == ":":
            return self._error(position, "expected :=")
        return self._error(position, f"unrecognized character in action: {_named(character)}")

    def _error(self, position: int, message: str) -> TemplateError:
        return TemplateError(message, *place(self.text, position))


def _named(character: str) -> str:
    return f"U+{ord(character):04X} '{character}'"
