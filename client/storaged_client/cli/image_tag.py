"""``storagectl tag``: gives an image or a list more names."""

from __future__ import annotations

from . import exits, output
from .flags import FORMAT_JSON
from .invocation import Invocation

ARGUMENTS = "IMAGE TARGET_NAME [TARGET_NAME...]"
FLAGS = (FORMAT_JSON,)


def run(invocation: Invocation) -> int:
    json = output.json_wanted(invocation.options.text("format"))
    name, *tags = invocation.at_least(2)
    result = invocation.call("images.tag", {"name": name, "tags": tags})
    if json:
        output.emit(output.pretty(result))
    return exits.DONE
