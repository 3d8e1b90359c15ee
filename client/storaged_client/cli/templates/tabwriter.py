"""Columns as podman's ``tabwriter`` aligns them.

A cell ends with a tab; what stands after the last tab of a line is no cell and takes no part. A column is a block of
neighbouring lines that all have the cell: it is at least 12 wide, or two more than its longest cell, and a line
without the cell ends it.
"""

from __future__ import annotations

MIN_WIDTH = 12
PADDING = 2


def aligned(text: str) -> str:
    """The text with its tabs turned into columns."""
    lines = [line.split("\t") for line in text.split("\n")]
    printed = [""] * len(lines)
    # Column by column, a block at a time; a block is (column, first line, line after the last).
    waiting = [(0, 0, len(lines))]
    while waiting:
        column, first, end = waiting.pop()
        line = first
        while line < end:
            if column >= len(lines[line]) - 1:
                printed[line] += "".join(lines[line][column:])
                line += 1
                continue
            block = line
            while line < end and column < len(lines[line]) - 1:
                line += 1
            width = max(MIN_WIDTH, *(len(cells[column]) + PADDING for cells in lines[block:line]))
            for number in range(block, line):
                printed[number] += lines[number][column].ljust(width)
            waiting.append((column + 1, block, line))
    return "\n".join(printed)
