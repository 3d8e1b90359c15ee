"""``storagectl manifest add``: adds local images, or files as an artifact, to a list, and prints the list's id."""

from __future__ import annotations

from typing import Any

from . import artifacts, exits, list_edits, output
from .flags import FORMAT_JSON, Flag
from .invocation import Invocation

ARGUMENTS = "LIST IMAGEORARTIFACT [IMAGEORARTIFACT...]"
FLAGS = (
    Flag("all", "Add all of the list's images if the image is a list"),
    Flag("annotation", "Set an annotation for the entry", kind="list"),
    *list_edits.PLATFORM,
    *artifacts.FLAGS,
    FORMAT_JSON,
)
PODMANS = list_edits.REGISTRY


def run(invocation: Invocation) -> int:
    """Each image is one change of the list, as in podman; the files of an artifact are one change together."""
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    name, *given = invocation.at_least(2)
    params: dict[str, Any] = {"name": name}
    members = {"platform": list_edits.platform(options), "annotations": list_edits.annotated(options, adding=True)}
    params.update({member: value for member, value in members.items() if value})
    if options.on("artifact"):
        with artifacts.Artifact(invocation, given) as artifact:
            params["artifact"] = artifact.params
            results = [invocation.call("manifests.add", params, watched=True, descriptors=tuple(artifact.descriptors))]
    else:
        artifacts.refuse_without_artifact(options)
        images = [invocation.local_image(image) for image in given]
        if options.on("all"):
            params["all"] = True
        results = [invocation.call("manifests.add", {**params, "image": image}) for image in images]
    list_edits.show(results[-1], json=json)
    return exits.DONE
