"""``storagectl manifest exists``: 0 for a list, 1 for nothing, 125 for an image that is not a list."""

from __future__ import annotations

from . import exits
from .flags import Flag
from .invocation import Invocation

ARGUMENTS = "LIST"
FLAGS: tuple[Flag, ...] = ()


def run(invocation: Invocation) -> int:
    name = invocation.one_argument()
    result = invocation.call("manifests.exists", {"name": name})
    return exits.DONE if result["exists"] else exits.ABSENT
