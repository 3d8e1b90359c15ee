"""``storagectl manifest create``: creates a list of local images, and prints its id."""

from __future__ import annotations

from typing import Any

from . import exits, list_edits, output
from .flags import FORMAT_JSON, Flag
from .invocation import Invocation

ARGUMENTS = "LIST [IMAGE...]"
FLAGS = (
    Flag("all", "Add all of the lists' images if the images to add are lists"),
    Flag("amend", "Modify an existing list if one with the desired name already exists", short="a"),
    Flag("annotation", "Set annotations on the new list", kind="list"),
    FORMAT_JSON,
)
PODMANS = tuple(flag for flag in list_edits.REGISTRY if flag.name in ("insecure", "tls-verify"))


def run(invocation: Invocation) -> int:
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    name, *images = invocation.at_least(1)
    params: dict[str, Any] = {"name": name, "images": list(map(invocation.local_image, images))}
    params.update({flag: True for flag in ("all", "amend") if options.on(flag)})
    annotations = list_edits.annotated(options)
    if annotations:
        params["annotations"] = annotations
    result = invocation.call("manifests.create", params)
    list_edits.show(result, json=json)
    return exits.DONE
