"""Templates for ``--format``: Go's, with podman's rules around them.

podman's rules (``pkg/report`` of containers/common, checked against podman 4.3 and 5.8):

- The two characters ``\\t`` become a tab and ``\\n`` a line feed, anywhere in the text. A line feed is added at the end
  if there is none. If the result is not a template (``{{printf "\\n"}}``), the text is used unchanged.
- A template is applied to each row. One with ``{{range .}}…{{end}}`` is applied once, to the list of rows.
- ``table`` and a space at the beginning make a table: every space becomes a tab, tabs separate columns, and a line of
  titles comes first.

Two things go beyond podman: ``$`` is the row, and every expression has a title (podman prints ``<no value>`` above
``{{.CreatedSince}}`` and fails on ``{{join .Names ","}}``).
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
from .values import Header, Struct

_TABLE = "table "
_OWN_RANGE = r"(?as:\{\{\s*range\s*\.\s*\}\}.*\{\{\s*end\s*-?\s*\}\})"
_ESCAPES = {"\\t": "\t", "\\n": "\n", " ": "\t", _TABLE: ""}


class Template:
    """A parsed template; ``is_table`` tells whether its output has columns and titles."""

    def __init__(self, text: str, name: str, *, is_table: bool, over_rows: bool) -> None:
        self._text = text
        self._name = name
        self._over_rows = over_rows
        self._body, self._defined = parser.parse(text, in_range=over_rows)
        self.is_table = is_table

    def render(self, rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None) -> str:
        """Apply the template to the rows and return the text.

        ``headers`` maps fields to the titles of a table; a field without one is titled by its own name. None leaves
        the titles out, as for ``--noheading``. A row that is a plain mapping counts as a ``Struct``.

        Raises:
            TemplateError: the template does not fit a row.
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
    """Parse the value of ``--format``; messages call it ``name``.

    Raises:
        TemplateError: the text is not a template.
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
