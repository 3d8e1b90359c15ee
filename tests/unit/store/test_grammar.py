"""The grammar of references against docker-image-py, which has it from the same source."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from docker_image.digest import InvalidDigest
from docker_image.reference import InvalidReference
from docker_image.reference import Reference as Theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from storaged.store.layout import grammar

PIECES = (
    *("a", "b1", "A", "localhost", "docker.io", "index.docker.io", "library", "quay.io", "[::1]", "[1.2]", "0" * 64),
    *("/", ":", "@", ".", "_", "__", "-", "--", "+", "5000", "sha256:", "sha512:", "md5:", "SHA256:"),
    *("f" * 32, "F" * 64, "0a" * 32, "0a" * 64, "t" * 128, "p" * 200, "*", "~", ","),
)
LIKELY = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
ANY = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


def _theirs(parser: Callable[[str], Theirs], text: str) -> grammar.Parts | None:
    try:
        found = parser(text)
    except (InvalidReference, InvalidDigest):
        return None
    return found.domain() or None, found.path(), found["tag"] or None, found["digest"] or None


def _ours(parser: Callable[[str], grammar.Parts], text: str) -> grammar.Parts | None:
    try:
        return parser(text)
    except grammar.NotAReference:
        return None


def _agree(text: str) -> None:
    assert _ours(grammar.parse, text) == _theirs(Theirs.parse, text)
    assert _ours(grammar.parse_docker, text) == _theirs(Theirs.parse_normalized_named, text)


@settings(max_examples=500)
@given(LIKELY)
def test_a_text_of_the_pieces_of_references_is_read_as_docker_image_py_reads_it(text: str) -> None:
    _agree(text)


@given(ANY)
def test_any_text_is_read_as_docker_image_py_reads_it(text: str) -> None:
    _agree(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a//b", "a:", "a@", "a:b:c", "a:1@sha256:0", "UP/a", "a/UP", "UP", "A.b/c", "a.b/C:1"),
        *("[::1]:5/a", "[::1]/a", "a.b[/c", "x.[::1]/c", "a.b/c@sha256+b:" + "0" * 64, "a-/b", "a-.b/c", "-a.b/c"),
        *("a" * 255, "a" * 256, "r.io/" + "a" * 255, "r.io/" + "a" * 256, "library/a", "docker.io/library", "a..b"),
        *(
            "a_b.c/d",
            "a__b.c/d:1",
            "a.b_c/d",
            "a_b/c.d",
            "a-b.c/d",
            "a.b-/c",
            "a.b:/c",
            "a.b:1/c",
            "a.b:c/d",
            "a_b:1/c",
        ),
        *("0" * 64, "0" * 63, "f" * 64 + ":1", "a___b", "a_-b", "a---b", "a.b", "index.docker.io/a:1", "docker.io/a/b"),
    ],
)
def test_the_edges_of_the_grammar_are_those_of_docker_image_py(text: str) -> None:
    _agree(text)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "md5", "Sha256", "sha256+b64"])
@pytest.mark.parametrize("digits", [31, 32, 63, 64, 65, 96, 128])
@pytest.mark.parametrize("digit", ["0", "a", "F", "g"])
def test_a_digest_is_judged_as_docker_image_py_judges_it(algorithm: str, digits: int, digit: str) -> None:
    _agree(f"a@{algorithm}:{digit * digits}")
    _agree(f"quay.io/a:1@{algorithm}:{digit * digits}")
