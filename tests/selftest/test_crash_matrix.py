"""The crash matrix in the documents is one that the harness of today writes: its rows, its columns, nothing wrong."""

from __future__ import annotations

import re

from tests.acceptance.faults.campaign import Tally
from tests.acceptance.faults.matrix import FAULTS, ROWS, cell, document, written


def test_document_has_a_row_for_each_change_and_a_cell_for_each_fault() -> None:
    found = written()
    assert tuple(found) == ROWS
    assert {len(cells) for cells in found.values()} == {len(FAULTS) + 1}


def test_document_tells_of_no_wrong_state_and_of_many_tried() -> None:
    for change, (*cells, _) in written().items():
        for name, text in zip(FAULTS, cells, strict=True):
            assert re.fullmatch(r"[\d,]+", text), f"{change}, {name}: {text}"
            assert int(text.replace(",", "")) >= 2, f"{change}, {name}: {text}"


def test_document_explains_each_column() -> None:
    head = document({}, seed=1)
    for name in FAULTS:
        assert name in head.partition("| change |")[0]


def test_wrong_state_stands_out_in_its_cell() -> None:
    assert cell(Tally(tried=1234)) == "1,234"
    assert cell(Tally(tried=7, wrong=["a", "b"])) == "7, **2 wrong**"
