"""Parses and normalises image references: the grammar of ``distribution/reference``, and podman's rules for names.

::

    reference = [registry "/"] path [":" tag] ["@" digest]

The grammar is docker-image-py's. This module adds checks (that library's anchors accept a final newline, and its errors
have two unrelated base classes) and a cache, because a store's names are parsed at every reload.

Source of the podman rules: container-libs ``libimage/normalize.go`` (NormalizeName).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from attrs import evolve, frozen
from docker_image.digest import InvalidDigest
from docker_image.reference import InvalidReference
from docker_image.reference import Reference as Grammar

from storaged_client.contract.errors import InvalidName

MAX_LENGTH = 1024
"""The maximum number of characters: registry and path have at most 511, a tag 128, a digest about 140."""

LONGEST_REPOSITORY = 255
"""The maximum length of registry and path that every podman reads; the grammar here allows more."""

_CACHED = 16384


@frozen(kw_only=True)
class Reference:
    """A parsed reference. ``registry`` is the first component only if the grammar takes it for a registry."""

    registry: str | None
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """Registry and path, without tag and digest."""
        return f"{self.registry}/{self.path}" if self.registry else self.path

    @property
    def qualified(self) -> bool:
        """Whether the first component is certainly a registry: it has a dot or a port, or is ``localhost``."""
        return self.registry is not None and _is_registry(self.registry)

    @property
    def text(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Every suffix of the repository at a component: ``a/b/c`` gives ``c``, ``b/c``, ``a/b/c``."""
        parts = self.repository.split("/")
        return tuple("/".join(parts[start:]) for start in range(len(parts) - 1, -1, -1))

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=_CACHED)
def parse(text: str) -> Reference:
    """Parse a reference literally: nothing is added, ``a/b`` has the registry ``a``.

    Raises:
        InvalidName: it is not a reference.
    """
    return _reference(_guarded(text, Grammar.parse))


@lru_cache(maxsize=_CACHED)
def parse_docker(text: str) -> Reference:
    """Parse a reference like docker: ``x`` is ``docker.io/library/x``, ``a/b`` is ``docker.io/a/b``.

    Raises:
        InvalidName: it is not a reference, or is 64 hexadecimal digits, which would be an id.
    """
    return _reference(_guarded(text, Grammar.parse_normalized_named))


@lru_cache(maxsize=_CACHED)
def normalise(text: str) -> Reference:
    """The full reference that podman makes of a new name: with a registry and a tag or digest.

    A name without a registry goes under ``localhost/``. Of tag and digest, the digest stays; without either, the tag is
    ``latest``.

    Raises:
        InvalidName: it is not a reference.
    """
    reference = _reference(_guarded(text, Grammar.parse, asked=text, doing="normalizing name"))
    prefixed = reference.text if reference.qualified else f"localhost/{reference.text}"
    full = _reference(_guarded(prefixed, Grammar.parse_normalized_named, asked=text, doing="normalizing name"))
    if full.digest is not None:
        return evolve(full, tag=None)
    return full if full.tag is not None else evolve(full, tag="latest")


def normalise_name(text: str) -> str:
    """The text of :func:`normalise`.

    Raises:
        InvalidName: it is not a reference.
    """
    return normalise(text).text


def is_valid(text: str) -> bool:
    """Whether the text is a reference."""
    try:
        parse(text)
    except InvalidName:
        return False
    return True


def is_listable(text: str) -> bool:
    """Whether every podman can list an image with this name; one that cannot fails to list the whole store."""
    try:
        reference = parse_docker(text)
    except InvalidName:
        return False
    registry = reference.registry or ""
    fits = len(reference.repository) <= LONGEST_REPOSITORY
    # Newer grammars allow an IPv6 address, and take any first component in upper case for a registry.
    return fits and "[" not in registry and (registry == registry.lower() or _is_registry(registry))


def familiar_repository(reference: Reference) -> str:
    """The repository as people write it: without ``docker.io/`` and, there, without ``library/``."""
    if reference.registry != "docker.io":
        return reference.repository
    namespace, slash, name = reference.path.partition("/")
    return name if slash and namespace == "library" and "/" not in name else reference.path


def familiar(reference: Reference) -> str:
    """The whole reference with its familiar repository."""
    return reference.text.replace(reference.repository, familiar_repository(reference), 1)


def _is_registry(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost"


def _guarded(
    text: str, parser: Callable[[str], Grammar], *, asked: str | None = None, doing: str = "parsing reference"
) -> Grammar:
    """Call the grammar's parser; ``asked`` is the text as it was given. Errors use podman's words."""
    asked = text if asked is None else asked
    if len(text) > MAX_LENGTH:
        raise InvalidName(f"a reference has at most {MAX_LENGTH} characters", asked=asked[:80])
    reason = "invalid reference format: only printable ASCII without spaces"
    if text.isascii() and not any(letter.isspace() for letter in text):
        try:
            return parser(text)
        except (InvalidReference, InvalidDigest) as error:
            reason = str(error)
    raise InvalidName(f"{doing} {json.dumps(asked, ensure_ascii=False)}: {reason}", asked=asked)


def _reference(grammar: Grammar) -> Reference:
    return Reference(
        registry=grammar.domain() or None,
        path=grammar.path(),
        tag=grammar["tag"] or None,
        digest=grammar["digest"] or None,
    )
