"""``storagectl manifest annotate``: changes one entry of a list, or the list itself, and prints the list's id."""

from __future__ import annotations

from typing import Any

from . import exits, list_edits, output
from .flags import FORMAT_JSON, Flag, Options, UsageError
from .invocation import Invocation

ARGUMENTS = "LIST IMAGEORARTIFACT"
FLAGS = (
    Flag("annotation", "Set an annotation for the entry", kind="list"),
    *list_edits.PLATFORM,
    list_edits.OS_FEATURES,
    Flag("index", "Apply --annotation values to the image index itself"),
    Flag("subject", "Set the subject to which the image index refers", kind="string"),
    FORMAT_JSON,
)

_OF_ENTRIES = {
    "arch": "architecture",
    "features": "features",
    "os": "OS",
    "os-features": "OS features",
    "os-version": "OS version",
    "variant": "variant",
}


def run(invocation: Invocation) -> int:
    json = output.json_wanted(invocation.options.text("format"))
    result = invocation.call("manifests.annotate", params(invocation.options, invocation.arguments))
    list_edits.show(result, json=json)
    return exits.DONE


def params(options: Options, arguments: list[str]) -> dict[str, Any]:
    """The request.

    Raises:
        UsageError: neither an entry nor ``--index``, or both, or a flag of the other one.
    """
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"accepts between 1 and 2 arg(s), received {len(arguments)}")
    name, *entry = arguments
    if not name:
        raise UsageError('invalid image name ""')
    given: dict[str, Any] = {"name": name}
    platform, annotations = list_edits.platform(options), list_edits.annotated(options)
    if options.on("index"):
        if entry:
            raise UsageError(
                f'did not expect image or artifact name "{entry[0]}" when modifying the entire index',
            )
        for flag, word in _OF_ENTRIES.items():
            if options.given(flag):
                raise UsageError(f"setting {word} on an item in a manifest list requires an instance digest")
        given["index"] = True
    else:
        if not entry:
            raise UsageError("expected an instance digest, image name, or artifact name")
        if not entry[0]:
            raise UsageError('invalid instance digest, image name, or artifact name ""')
        if options.given("subject"):
            raise UsageError("setting subject for a manifest list requires no instance digest")
        given["digest"] = entry[0]
    members = {"platform": platform or None, "annotations": annotations or None, "subject": options.text("subject")}
    given.update({member: value for member, value in members.items() if value is not None})
    return given
