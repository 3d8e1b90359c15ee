"""``storagectl untag``: removes some or all names of an image or a list; the image stays."""

from __future__ import annotations

from . import exits, output
from .flags import FORMAT_JSON
from .invocation import Invocation

ARGUMENTS = "IMAGE [NAME...]"
FLAGS = (FORMAT_JSON,)


def run(invocation: Invocation) -> int:
    json = output.json_wanted(invocation.options.text("format"))
    name, *tags = invocation.at_least(1)
    result = invocation.call("images.untag", {"name": name, "tags": tags} if tags else {"name": name})
    if json:
        output.emit(output.pretty(result))
    return exits.DONE
