"""The grammar of image references, as every tool of the store has it from ``distribution/reference``.

::

    reference = [domain "/"] path [":" tag] ["@" digest]
    domain    = host [":" digits]          host = label *("." label) | "[" IPv6 "]"
    path      = component *("/" component) component = words of [a-z0-9], one ".", "_", "__" or dashes between two

docker-image-py has the same grammar and is what the tests hold this one against. It is not used itself because it
compiles two dozen patterns when it is imported, with an engine of its own: a tenth of all that a daemon imports.

Source: github.com/distribution/reference ``regexp.go``, ``reference.go``, ``normalize.go``; go-digest ``algorithm.go``.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Parts: TypeAlias = tuple[str | None, str, str | None, str | None]
"""Domain, path, tag and digest."""

_LONGEST_PATH: Final = 255
_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HUB: Final = "docker.io"
_OLD_HUB: Final = "index.docker.io"
_FOR_ONE_WORD: Final = "library/"
_NEVER_BESIDE_A_DOT: Final = frozenset("?[]{}~!#$%^&*()+|<>,'\"")

# What follows each of these is none of their characters: without a way back a wrong text is as cheap as a right one.
_LABEL: Final = r"[a-zA-Z0-9]++(?:-++[a-zA-Z0-9]++)*+"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*+|\[[a-fA-F0-9:]++\])(?::[0-9]++)?+"
_COMPONENT: Final = r"[a-z0-9]++(?:(?:[._]|__|-++)[a-z0-9]++)*+"
_PATH: Final = rf"{_COMPONENT}(?:/{_COMPONENT})*+"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_REFERENCE: Final = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::(\w[\w.-]{{0,127}}))?(?:@({_DIGEST}))?", re.ASCII)
_ID: Final = re.compile("[a-f0-9]{64}")


class NotAReference(ValueError):
    """The text says why, in the words of the tools."""


def parse(text: str) -> Parts:
    """The parts as they stand: ``a/b`` has the domain ``a``.

    Raises:
        NotAReference: it is none.
    """
    first, slash, _ = text.partition("/")
    dotted = bool(slash) and "." in first
    match = _REFERENCE.fullmatch(text)
    if dotted and not (_NEVER_BESIDE_A_DOT.isdisjoint(text) and (match is None or match[1])):
        raise NotAReference("invalid reference format")  # what has a dot before the first slash must be a domain
    if match is None:
        if _REFERENCE.fullmatch(text.lower()):
            raise NotAReference("repository name must be lowercase")
        raise NotAReference("invalid reference format")
    domain, path, tag, digest = match.groups()
    if len(path) > _LONGEST_PATH:
        raise NotAReference(f"repository name must not be more than {_LONGEST_PATH} characters")
    if digest is not None:
        _check_digest(digest)
    return domain, path, tag, digest


def parse_docker(text: str) -> Parts:
    """The parts by docker's reading: ``x`` is ``docker.io/library/x``, ``a/b`` is ``docker.io/a/b``.

    Raises:
        NotAReference: it is none, or is 64 hexadecimal digits, which would be an id.
    """
    if _ID.fullmatch(text):
        raise NotAReference("64 hexadecimal digits are an id")
    first, slash, rest = text.partition("/")
    if not slash or not _is_domain(first):
        first, rest = _HUB, text
    elif first == _OLD_HUB:
        first = _HUB
    if first == _HUB and "/" not in rest:
        rest = _FOR_ONE_WORD + rest
    path = rest.partition(":")[0]
    if path != path.lower():
        raise NotAReference(f"repository name ({path}) must be lowercase")
    return parse(f"{first}/{rest}")


def _is_domain(component: str) -> bool:
    return component == "localhost" or "." in component or ":" in component or component != component.lower()


def _check_digest(digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    if algorithm not in _DIGITS:
        raise NotAReference("unsupported digest algorithm")
    if len(digits) != _DIGITS[algorithm]:
        raise NotAReference("invalid checksum digest length")
    if digits != digits.lower():
        raise NotAReference("invalid digest")
