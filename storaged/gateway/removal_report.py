"""The outcome of a removal in podman's form: a report, or a single error.

::

    ExitCode   0 all gone    1 only unknown names    2 one is in use    125 anything else
    alone      200           404                     409                500
    a batch    200, with the texts in Errors

Source: podman ``pkg/domain/infra/abi/images.go`` (Remove), ``pkg/api/handlers/libpod/images.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from storaged.gateway.answers import Answer, json_answer
from storaged.gateway.errors import ApiError, innermost
from storaged.gateway.failures import CAUSES

_UNKNOWN: Final = frozenset({"ImageUnknown", "ManifestListUnknown"})
_STATUS: Final = {1: 404, 2: 409, 125: 500}


def exit_code(report: Mapping[str, Any]) -> int:
    """podman's exit code for the removal described by a ``PruneReport``."""
    names = {_name(failed) for failed in report["failed"]}
    if not names:
        return 0
    if "ImageInUse" in names:
        return 2
    return 1 if names <= _UNKNOWN else 125


def batch_answer(report: Mapping[str, Any]) -> Answer:
    """The answer to a removal of several images: always 200, even if none could be removed."""
    return json_answer(_form(report, _texts(report) or None))


def answer(report: Mapping[str, Any]) -> Answer:
    """The answer to the removal of one image in podman's own tree.

    Raises:
        ApiError: it could not be removed.
    """
    code = exit_code(report)
    if code:
        raise error_of(report, _STATUS[code])
    return json_answer(_form(report, []))


def docker_answer(report: Mapping[str, Any], name: str) -> Answer:
    """The same in Docker's tree.

    Raises:
        ApiError: it could not be removed.
    """
    code = exit_code(report)
    if code == 1:
        raise error_of(report, 404, f"failed to find image {name}: ")
    if code == 2:
        raise error_of(report, 409, f"image {name} is in use: ")
    if code:
        raise error_of(report, 500)
    gone: list[dict[str, str]] = [{"Deleted": removed["id"]} for removed in report["removed"]]
    return json_answer([*gone, *({"Untagged": untagged["name"]} for untagged in report["untagged"])])


def error_of(report: Mapping[str, Any], status: int, prefix: str = "") -> ApiError:
    """The error for a failed removal: every reason, joined as Go's multierror joins them."""
    texts = _texts(report)
    message = (
        texts[0] if len(texts) == 1 else "\n".join((f"{len(texts)} errors occurred:", *(f"\t* {t}" for t in texts)))
    )
    cause = CAUSES.get(_name(report["failed"][0]), innermost(message)) if len(texts) == 1 else message
    return ApiError(status, prefix + message, cause)


def _form(report: Mapping[str, Any], errors: Sequence[str] | None) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if report["removed"]:
        made["Deleted"] = [removed["id"] for removed in report["removed"]]
    if report["untagged"]:
        made["Untagged"] = [untagged["name"] for untagged in report["untagged"]]
    return {**made, "ExitCode": exit_code(report), "Errors": errors}


def _texts(report: Mapping[str, Any]) -> list[str]:
    return [failed["error"]["message"] for failed in report["failed"]]


def _name(failed: Mapping[str, Any]) -> str:
    return str(failed["error"]["data"].get("name"))
