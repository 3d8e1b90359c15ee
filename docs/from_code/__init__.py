"""Generates the text about flags, settings and methods in the pages from the code.

A page contains ``<!-- from the code: NAME -->`` where the text belongs; readers of the source see nothing there,
readers of the built pages the text. ``expand`` needs no Sphinx, so the tests need none either; ``setup`` makes this a
Sphinx extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from from_code import programs, protocol, settings
from from_code.text import NotInTheCode

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MARK = re.compile(r"<!-- from the code: ([^>]*?) -->")

_BLOCKS: dict[str, Callable[[], str]] = {
    "synopsis of storaged": programs.daemon_synopsis,
    "commands of storaged": programs.daemon_commands,
    "global options of storagectl": programs.global_options,
    "commands of storagectl": programs.client_commands,
    "common parameters": protocol.common_parameters,
    "methods": protocol.methods,
    "types": protocol.types,
}


def expand(page: str) -> str:
    """Replace every mark of a page by its text.

    Raises:
        NotInTheCode: a mark has an unknown name.
    """
    return _MARK.sub(lambda mark: _block(mark[1]), page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the Sphinx extension."""

    def replace(app: Sphinx, name: str, source: list[str]) -> None:
        source[0] = expand(source[0])

    app.connect("source-read", replace)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _block(name: str) -> str:
    kind, _, of = name.partition(" ")
    if kind == "setting":
        return settings.facts(of)
    if name not in _BLOCKS:
        raise NotInTheCode(f"no text named {name!r} is made from the code")
    return _BLOCKS[name]()
