"""The OpenRPC document holds together: every reference leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storaged.service.discover import document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref":
                yield one
            else:
                yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_leads_to_a_part_of_the_document() -> None:
    whole = document()
    found = set(references(whole))
    assert found
    for reference in found:
        part: Any = whole
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_parameters_that_are_objects_are_described_with_their_members() -> None:
    whole = document()
    (add,) = (method for method in whole["methods"] if method["name"] == "manifests.add")
    (platform,) = (one for one in add["params"] if one["name"] == "platform")
    reference = platform["schema"]["anyOf"][0]["$ref"]
    assert reference == "#/components/schemas/PlatformChoice"
    assert set(whole["components"]["schemas"]["PlatformChoice"]["properties"]) >= {"architecture", "os", "variant"}
