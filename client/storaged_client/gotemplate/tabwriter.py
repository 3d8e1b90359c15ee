"""Column alignment as podman configures Go's ``text/tabwriter``.

A tab ends a cell; the text after the last tab of a line is not a cell and is never padded. A column is a block of
adjacent lines that all have the cell. It is 12 wide, or two wider than its longest cell; a line without the cell ends
it.
"""

from __future__ import annotations

from itertools import groupby

MIN_WIDTH = 12
PADDING = 2


def aligned(text: str) -> str:
    """Turn the tabs of the text into aligned columns."""
    lines = [line.split("\t") for line in text.split("\n")]
    for column in range(max(map(len, lines)) - 1):

        def has_cell(cells: list[str], column: int = column) -> bool:
            return len(cells) > column + 1

        for found, block in groupby(lines, has_cell):
            rows = list(block)
            if found:
                width = max(MIN_WIDTH, PADDING + max(len(cells[column]) for cells in rows))
                for cells in rows:
                    cells[column] = cells[column].ljust(width)
    return "\n".join(map("".join, lines))
