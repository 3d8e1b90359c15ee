"""``storagectl exists``: answers with the exit status and prints nothing."""

from __future__ import annotations

from . import exits
from .flags import Flag
from .invocation import Invocation

ARGUMENTS = "IMAGE"
FLAGS: tuple[Flag, ...] = ()


def run(invocation: Invocation) -> int:
    name = invocation.one_argument()
    result = invocation.call("images.exists", {"name": name})
    return exits.DONE if result["exists"] else exits.ABSENT
