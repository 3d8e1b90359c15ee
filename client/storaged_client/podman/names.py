"""An image's names as podman shows them: repository and tag, repository and digests."""

from __future__ import annotations

NONE = "<none>"


def split(name: str) -> tuple[str, str]:
    """Repository and tag of a full name; ``<none>`` without a tag.

    A name with tag and digest shows its tag, like upstream's ``reference.Tagged``.
    """
    tagged, _, _ = name.partition("@")
    slash = tagged.rfind("/")
    colon = tagged.rfind(":")
    if colon > slash:
        return tagged[:colon] or NONE, tagged[colon + 1 :] or NONE
    return tagged or NONE, NONE


def shown(names: list[str]) -> list[tuple[str, str]]:
    """One pair per row: every tagged name; without one, the first digest-only name; without any, ``<none>``."""
    pairs = [split(name) for name in names]
    tagged = [pair for pair in pairs if pair[1] != NONE]
    return tagged or pairs[:1] or [(NONE, NONE)]


def repository_digests(names: list[str], digests: list[str]) -> list[str]:
    """``repository@digest`` for each name and each digest, each once, sorted."""
    repositories = {split(name)[0] for name in names}
    return sorted(f"{repository}@{digest}" for repository in repositories for digest in digests)
