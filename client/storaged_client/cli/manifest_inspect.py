"""``storagectl manifest inspect``: prints the JSON of a list like podman.

podman decodes a list into its own structure and prints that: members in the order of that structure, missing platforms
as empty ones. It drops unknown members; here they follow the known ones.
"""

from __future__ import annotations

from typing import Any

from . import exits, list_edits, output
from .flags import FORMAT, Flag
from .invocation import Invocation

ARGUMENTS = "LIST"
FLAGS = (FORMAT,)
PODMANS = tuple(flag for flag in list_edits.REGISTRY if flag.name in ("authfile", "insecure", "tls-verify"))
IGNORED = (Flag("verbose", "Ignored; docker has this flag", short="v"),)

_LIST = ("schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations")
_DESCRIPTOR = ("mediaType", "size", "digest", "urls", "platform", "annotations", "artifactType", "data", "files")
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant", "features")


def run(invocation: Invocation) -> int:
    template, json = output.chosen(invocation.options.text("format"), "inspect", default_json=True)
    if template is None and not json:
        raise output.FormatError("a manifest has no table: use --format json")
    name = invocation.one_argument()
    result = invocation.call("manifests.get", {"name": name})
    if template is not None:
        from . import rows

        output.emit_filled(template, [rows.struct(result["raw"])], {})
        return exits.DONE
    output.emit(render(result["raw"], result["manifest"]["media_type"]))
    return exits.DONE


def render(raw: Any, media_type: str | None) -> str:
    """The manifest, indented by four spaces. ``media_type`` is used if the manifest does not have its own."""
    if not isinstance(raw, dict):
        return output.pretty(raw)
    manifest = {**raw}
    if media_type is not None:
        manifest.setdefault("mediaType", media_type)
    if isinstance(manifest.get("manifests"), list):
        manifest["manifests"] = [_descriptor(item) for item in manifest["manifests"]]
    return output.pretty(_ordered(manifest, _LIST), escape_html=True)


def _descriptor(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    platform = item.get("platform")
    if platform is None:
        platform = {}
    if isinstance(platform, dict):
        platform = _ordered({"architecture": "", "os": "", **platform}, _PLATFORM)
    return _ordered({**item, "platform": platform}, _DESCRIPTOR)


def _ordered(members: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = {name: members[name] for name in order if name in members}
    return {**known, **members}
