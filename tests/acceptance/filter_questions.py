"""Random filters over what a store holds: values that match, nearly match, match nothing, and are wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

Records = Sequence[Mapping[str, Any]]


@frozen(kw_only=True)
class Question:
    """Filters as key, value, negation."""

    filters: tuple[tuple[str, str, bool], ...]
    all: bool

    def texts(self) -> list[str]:
        return [f"{key}{'!' if negate else ''}={value}" for key, value, negate in self.filters]

    def by_key(self) -> dict[str, list[str]]:
        """As podman's service takes them: it puts ``=`` between key and value."""
        found: dict[str, list[str]] = {}
        for key, value, negate in self.filters:
            found.setdefault(f"{key}{'!' if negate else ''}", []).append(value)
        return found

    def __str__(self) -> str:
        return json.dumps({"filters": self.texts(), "all": self.all}, ensure_ascii=False)


def questions(rng: random.Random, records: Records, count: int) -> Iterator[Question]:
    """So many questions: mostly one or two filters, each fourth negated."""
    for _ in range(count):
        filters = tuple(_filter(rng, records) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))))
        yield Question(filters=filters, all=rng.random() < 0.7)


def _filter(rng: random.Random, records: Records) -> tuple[str, str, bool]:
    key, value = rng.choice(_KEYS)
    return key, value(rng, records), rng.random() < 0.25


def _boolean(rng: random.Random, records: Records) -> str:
    if rng.random() < 0.02:
        return rng.choice(("yes", "", "TRUe", "2"))
    return rng.choice(("true", "false", "true", "false", "1", "0", "T", "False"))


def _containers(rng: random.Random, records: Records) -> str:
    return rng.choice(("true", "false", "true", "false", "true", "false", "external", "1", "any"))


def _id(rng: random.Random, records: Records) -> str:
    own = str(rng.choice(records)["id"])
    return rng.choice((own[: rng.randint(0, 64)], own[:1], own[:2], own[:12], own, own.upper(), f"sha256:{own}"))


def _digest(rng: random.Random, records: Records) -> str:
    record = rng.choice(records)
    digests = [str(record.get("digest") or "sha256:"), *map(str, (record.get("big-data-digests") or {}).values())]
    digest = rng.choice(digests)
    return rng.choice((digest, digest[:9], digest[: rng.randint(7, 71)], digest[:7], digest[7:], "sha256:", digest[:6]))


def _label(rng: random.Random, records: Records) -> str:
    key = rng.choice(
        (
            "a",
            "io.x/team",
            "maintainer",
            "k",
            "k=v",
            "build.id",
            "ünï",
            "number",
            "",
            "org.example",
            "version",
            "team",
            "A",
        )
    )
    value = rng.choice(("", "b", "core", "a=b=c", "1", "cödé", "nightly"))
    pattern = rng.choice(("*", f"{key}*", f"*{key[1:]}", "io*m", "x/t*", "a?b*", "*[a-k]d", "a/*", "**", "b[*", "\\**"))
    return rng.choice((key, key, f"{key}={value}", f"{key}=", pattern, f"{pattern}={value}"))


def _name(rng: random.Random, records: Records) -> str:
    """A stored name, or a digest or id in its place."""
    record = rng.choice(records)
    names = record.get("names") or ()
    if names and rng.random() < 0.8:
        return str(rng.choice(names))
    own, digest = str(record["id"]), str(record.get("digest") or "")
    return rng.choice((own, own[:12], own[:5], f"sha256:{own}", digest, f"quay.io/ns/foo@{digest}", "nowhere/none:1"))


def _image(rng: random.Random, records: Records) -> str:
    name = _name(rng, records)
    return rng.choice((name, name, name.rpartition("/")[2], name.partition(":")[0], f"{name}x", ""))


def _until(rng: random.Random, records: Records) -> str:
    created = str(rng.choice(records)["created"])
    seconds = rng.randint(1_500_000_000, 1_900_000_000)
    return rng.choice(
        (
            created,
            created,
            created[:10],
            created[:13],
            created[:16],
            created[:19],
            f"{created[:10]}Z",
            f"{created[:10]}+02:00",
            f"{created[:10]}-02:00",
            f"{created[:13]}Z",
            f"{created[:16]}+05:30",
            f"{created[:16]}-05:30",
            f"{created[:19]}.5",
            f"{created[:19]},25Z",
            f"{created[:10]}T7:05:00Z",
            created.lower(),
            f"{created} ",
            f"{created[:10]} {created[11:19]}",
            str(seconds),
            f"{seconds}.5",
            f"{seconds}.000000001",
            f"+{seconds}",
            f"-{seconds}",
            "0",
            "1h",
            "1.5h30m",
            "-2h",
            "+10m",
            ".5s",
            "5.s",
            "300ms",
            "100us2µs3ns",
            "10000h",
            "9999999h",
            "1d",
            "1h 2m",
            "",
            "2026-13-01",
            "2026-02-29",
            "2026-02-03T24:00",
            "2026-02-03T23:60",
            "2026-02-03T23:59:60Z",
            "2026-2-3",
            "now",
            "1.",
            "1_000",
            "٣",
        )
    )


def _reference(rng: random.Random, records: Records) -> str:
    name = _name(rng, records)
    repository = name.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    ending = name[len(repository) :]
    path = repository.partition("/")[2] or repository
    last = repository.rpartition("/")[2]
    spelled = rng.choice((name, repository, path + ending, path, last + ending, last))
    if rng.random() < 0.4:
        return _with_pattern(rng, spelled)
    return rng.choice((spelled, spelled, spelled, spelled, f"{spelled}x", spelled[:-1], f"docker.io/{spelled}", ""))


def _with_pattern(rng: random.Random, text: str) -> str:
    """A piece of the text replaced by a pattern that may fit it."""
    if not text:
        return "*"
    start = rng.randrange(len(text))
    end = min(len(text), start + rng.choice((0, 1, 1, 3, 8, 80)))
    piece = text[start:end]
    first = piece[:1] or "x"
    by = rng.choice(
        ("*", "*", "*", "?", "[a-z]", "[^a]", f"[{first}]" if first not in "]^-\\" else "?", f"\\{first}", "[", "**")
    )
    if rng.random() < 0.2:
        return rng.choice((f"*{text.rpartition('/')[2]}", "*:*", "*/*"))
    replaced = text[:start] + by + text[end:]
    return _with_pattern(rng, replaced) if rng.random() < 0.4 else replaced


_KEYS: tuple[tuple[str, Callable[[random.Random, Records], str]], ...] = (
    ("after", _image),
    ("before", _image),
    ("containers", _containers),
    ("dangling", _boolean),
    ("digest", _digest),
    ("id", _id),
    ("intermediate", _boolean),
    ("label", _label),
    ("label", _label),
    ("manifest", _boolean),
    ("readonly", _boolean),
    ("reference", _reference),
    ("reference", _reference),
    ("reference", _reference),
    ("reference", _reference),
    ("since", _image),
    ("until", _until),
    ("until", _until),
)
