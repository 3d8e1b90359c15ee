"""``storagectl manifest remove``: removes an entry of a list, and prints the list's id."""

from __future__ import annotations

from . import exits, list_edits, output
from .flags import FORMAT_JSON, UsageError
from .invocation import Invocation

ARGUMENTS = "LIST DIGEST"
FLAGS = (FORMAT_JSON,)


def run(invocation: Invocation) -> int:
    json = output.json_wanted(invocation.options.text("format"))
    if len(invocation.arguments) != 2:
        raise UsageError(f"accepts 2 arg(s), received {len(invocation.arguments)}")
    name, digest = invocation.arguments
    result = invocation.call("manifests.remove_instance", {"name": name, "digest": digest})
    list_edits.show(result, json=json)
    return exits.DONE
