from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.store.layout import references
from storaged_client.contract.errors import InvalidName

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app", "localhost/app:latest"),
        ("ns/app", "localhost/ns/app:latest"),
        ("app:1", "localhost/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("docker.io/a/b:1", "docker.io/a/b:1"),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("quay.io/a/b", "quay.io/a/b:latest"),
        (f"quay.io/a/b@sha256:{HEX}", f"quay.io/a/b@sha256:{HEX}"),
        (f"quay.io/a/b:1@sha256:{HEX}", f"quay.io/a/b@sha256:{HEX}"),
        (HEX, f"localhost/{HEX}:latest"),
    ],
)
def test_names_are_normalised_as_podman_does(text: str, name: str) -> None:
    assert references.normalise_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Upper",
        "a/Upper:1",
        "a b",
        "a:1\n",
        "a:",
        "a@sha256:12",
        "-a",
        "a/",
        "/a",
        "a//b",
        "ä",
        "a:tag:b",
        "x" * 2000,
        f"a@sha256:{HEX.upper()}",
        "a:" + "t" * 129,
        "docker.io/",
        "a/" * 600 + "b",
        "[::1/x",
        "a\0b",
    ],
)
def test_what_is_no_reference_is_an_invalid_name(text: str) -> None:
    with pytest.raises(InvalidName):
        references.normalise_name(text)
    assert not references.is_valid(text)


def test_a_reference_is_split_into_its_parts() -> None:
    parsed = references.parse(f"quay.io:443/a/b:1@sha256:{HEX}")
    assert (parsed.registry, parsed.path, parsed.tag, parsed.digest) == ("quay.io:443", "a/b", "1", f"sha256:{HEX}")
    assert parsed.qualified
    assert parsed.suffixes == ("b", "a/b", "quay.io:443/a/b")
    assert parsed.text == f"quay.io:443/a/b:1@sha256:{HEX}"


def test_a_first_component_without_dot_or_port_is_no_registry_for_certain() -> None:
    assert not references.parse("a/b").qualified
    assert not references.parse("b").qualified
    assert references.parse("localhost/b").qualified


def test_familiar_names_leave_out_docker_hub() -> None:
    assert references.familiar(references.parse("docker.io/library/alpine:3")) == "alpine:3"
    assert references.familiar(references.parse("docker.io/a/b:3")) == "a/b:3"
    assert references.familiar(references.parse("quay.io/library/b:3")) == "quay.io/library/b:3"


def test_the_same_text_is_parsed_once() -> None:
    assert references.parse("quay.io/once/only:1") is references.parse("quay.io/once/only:1")


@pytest.mark.parametrize("text", [f"localhost/{'a' * 246}", "[::1]:5000/a:1", "UPPER/a:1", "a" * 64, "a b"])
def test_what_podman_4_cannot_list_is_told(text: str) -> None:
    assert not references.is_listable(text)


@pytest.mark.parametrize("text", [f"localhost/{'a' * 245}:1", "a:1", "quay.IO/a:1", f"quay.io/a:1@sha256:{'a' * 64}"])
def test_what_every_podman_lists_is_told(text: str) -> None:
    assert references.is_listable(text)


@given(st.text(max_size=40) | st.from_regex(r"\A[a-z0-9./:@_-]{1,40}\Z"))
def test_every_text_is_a_reference_or_an_invalid_name(text: str) -> None:
    try:
        normalised = references.normalise(text)
    except InvalidName:
        return
    assert references.normalise_name(normalised.text) == normalised.text
    assert (normalised.tag is None) != (normalised.digest is None)
