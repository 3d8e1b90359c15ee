"""Building blocks for the completion scripts of all shells: places in a command line, and what may follow there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .flags import Flag

YES_OR_NO = ("damaged", "dangling", "intermediate", "manifest", "readonly")
IMAGE_FILTERS = ("after", "before", "reference", "since")
OWNERS = ("true", "false", "external")
FILTERS = tuple(
    sorted(
        (*YES_OR_NO, *IMAGE_FILTERS, "containers", "digest", "id", "in-list", "label", "layer", "unique-size", "until")
    )
)
"""The keys of the filters that the daemon supports."""

IMAGES, LISTS, FILES, FILTER = "@images", "@lists", "@files", "@filter"
"""Sources for completing a word, besides fixed lists of words."""

_OF_FLAGS = {"format": "json,table", "filter": FILTER, "socket": FILES, "type": "image,all"}


class Place:
    """What may follow the words ``path`` (none of which is an argument yet)."""

    __slots__ = ("arguments", "commands", "flags", "paths")

    def __init__(self, paths: list[str], commands: dict[str, str], flags: tuple[Flag, ...], arguments: str) -> None:
        self.paths = paths
        """Several if commands are equivalent."""
        self.commands = commands
        """The next word of a command, and its summary."""
        self.flags = flags
        self.arguments = arguments
        """As ``completed_from``; empty for nothing."""


def completed_from(flag: Flag) -> str:
    """The source of a flag's value: comma-separated words, or one of the sources; empty for neither."""
    return ",".join(flag.choices) or _OF_FLAGS.get(flag.name, "")


def spellings(place: Place) -> list[tuple[str, Flag]]:
    """``--name`` and ``-n`` of each flag; if two have the same short spelling, the first counts."""
    found: dict[str, Flag] = {}
    for flag in place.flags:
        found[f"--{flag.name}"] = flag
        if flag.short:
            found.setdefault(f"-{flag.short}", flag)
    return list(found.items())


def cases(all_places: list[Place], indent: str) -> str:
    """The branches of a ``case`` that bash and zsh share: four variables per place.

    ``takes`` has an entry ``FLAG:SOURCE`` for each flag with a value, separated by blanks.
    """
    lines = []
    for place in all_places:
        takes = [f" {text}:{completed_from(flag)}" for text, flag in spellings(place) if flag.kind != "bool"]
        lines += [
            f"{indent}{' | '.join(map(quoted, place.paths))})",
            f"{indent}    commands={quoted(' '.join(place.commands))}",
            f"{indent}    flags={quoted(' '.join(text for text, _ in spellings(place)))}",
            f"{indent}    takes={quoted(''.join((*takes, ' ')))}",
            f"{indent}    arguments={quoted(place.arguments)}",
            f"{indent}    ;;",
        ]
    return "\n".join(lines)


def filter_cases(indent: str) -> str:
    """The branches for the value of a filter, in bash and zsh."""

    def branch(keys: tuple[str, ...], source: str) -> str:
        patterns = " | ".join(f"{key}=*" for key in keys)
        return f'{indent}{patterns}) _storagectl_add {source} "${{2%%=*}}=" "${{2#*=}}" ;;'

    keys = ",".join(f"{key}=" for key in FILTERS)
    return "\n".join(
        (
            branch(YES_OR_NO, "true,false"),
            branch(("containers",), ",".join(OWNERS)),
            branch(IMAGE_FILTERS, IMAGES),
            branch(("in-list",), LISTS),
            f"{indent}*=*) ;;",
            f'{indent}*) _storagectl_add {keys} "" "$2" ;;',
        )
    )


def quoted(text: str) -> str:
    """Quote one word for any of the three shells."""
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"
