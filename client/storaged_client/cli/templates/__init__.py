"""Go templates for ``--format``, with podman's rules around them.

podman's rules (``pkg/report`` of containers/common, checked against podman 4.3 and 5.8):

- ``\\t`` and ``\\n`` written as two characters are a tab and a line feed everywhere in the text, and a line feed is
  added if there is none at the end. Where the text is no template after that (``{{printf "\\n"}}``), it is taken as it
  was given, without a line feed added.
- A template applies to each row. One that holds ``{{range .}}…{{end}}`` applies once, to all rows.
- ``table`` and a space at the beginning make a table: each space is a tab, tabs separate columns, titles come first.

Two things are better than podman's: ``$`` is the row, and titles exist for every expression (podman prints
``<no value>`` over ``{{.CreatedSince}}`` and fails over ``{{join .Names ","}}``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import parser
from .errors import TemplateError
from .evaluation import Evaluation
from .nodes import Node
from .tabwriter import aligned
from .times import Duration, Time
from .values import Header, NilMap, NilSlice, Struct, known

__all__ = ["Duration", "NilMap", "NilSlice", "Struct", "Template", "TemplateError", "Time", "compile", "known"]

_TABLE = "table "
_OWN_RANGE = r"(?as:\{\{\s*range\s*\.\s*\}\}.*\{\{\s*end\s*-?\s*\}\})"
_ESCAPES = {"\\t": "\t", "\\n": "\n", " ": "\t", _TABLE: ""}


class Template:
    """A template that was read; ``is_table`` tells whether its output has columns and titles."""

    def __init__(self, text: str, name: str, *, is_table: bool, over_rows: bool) -> None:
        self._text = text
        self._name = name
        self._over_rows = over_rows
        self._body, self._defined = parser.parse(text, in_range=over_rows)
        self.is_table = is_table

    def render(self, rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None) -> str:
        """The output for the rows, with podman's line feeds.

        ``headers`` are the titles of a table's columns by field; a field without one is titled by its own name.
        None leaves the line of titles out, as ``--noheading`` wants it. A row that is no ``Struct`` counts as one.

        Raises:
            TemplateError: the template cannot be applied to a row.
        """
        structs = [row if isinstance(row, Struct) else Struct("object", row) for row in rows]
        if not self.is_table:
            return self._apply(structs, titles=False)
        text = ""
        if headers is not None:
            titles = Struct("header", {name: Header(title) for name, title in headers.items()})
            text = self._apply([titles], titles=True)
        return aligned(text + self._apply(structs, titles=False))

    def _apply(self, rows: list[Struct], *, titles: bool) -> str:
        run = Evaluation(self._text, self._name, self._defined, titles)
        body: list[Node] = self._body
        if not self._over_rows:
            run.run(body, rows)
        else:
            for row in rows:
                if not run.run(body, row):
                    break
        return "".join(run.output)


def compile(text: str, name: str = "format") -> Template:
    """Read what ``--format`` was given; ``name`` stands for it in messages.

    Raises:
        TemplateError: it is no template.
    """
    given = text
    is_table = text.startswith(_TABLE)
    text = _normalized(text, r"table |\\t|\\n| " if is_table else r"\\t|\\n")
    try:
        return _read(text, name, is_table)
    except TemplateError:
        given = given.removeprefix(_TABLE) if is_table else given
    try:
        return _read(given, name, is_table)
    except TemplateError as error:
        where = f"template: {name}:{error.line}:{error.column}"
        raise TemplateError(f"{where}: {error}", error.line, error.column) from None


def _normalized(text: str, replaced: str) -> str:
    text = re.sub(replaced, lambda found: _ESCAPES[found[0]], text)
    return text if text.endswith("\n") else text + "\n"


def _read(text: str, name: str, is_table: bool) -> Template:
    over_rows = is_table or "range" not in text or re.search(_OWN_RANGE, text) is None
    return Template(text, name, is_table=is_table, over_rows=over_rows)
