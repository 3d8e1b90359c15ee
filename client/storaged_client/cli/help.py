"""The texts of ``--help`` and ``help``: the overview, a group of commands, one command. They fit 80 columns."""

from __future__ import annotations

import textwrap
from importlib import import_module

from .commands import BY_PATH, COMMANDS, GROUPS, Command
from .flags import GLOBAL, OUTPUT, VERSION, Flag, taken

_WIDTH = 80

SECTIONS = (
    (
        "Show images",
        ("images", "inspect_objects", "image_inspect", "image_exists", "image_history", "image_tree", "why"),
    ),
    ("Change images", ("image_tag", "image_untag", "image_rm", "image_prune")),
    (
        "Manifest lists",
        (
            *("manifest_ls", "manifest_inspect", "manifest_exists", "manifest_create", "manifest_add"),
            *("manifest_annotate", "manifest_remove", "manifest_rm"),
        ),
    ),
    ("The store", ("info", "check", "system_df", "layers", "containers")),
    ("The daemon and this program", ("stats", "call", "podman_version", "completion")),
)
"""Modules of commands in the order of the overview; a test checks that it is complete."""

_GROUPS = {
    "image": "Show and change images",
    "manifest": "Show and change manifest lists",
    "system": "Show the store as a whole",
}


def overview() -> str:
    """All commands by purpose, each with its shortest spelling."""
    parts = [
        "Show and change the image store that podman, buildah and skopeo share.",
        "Usage:\n  storagectl [options] COMMAND [options] [arguments]",
    ]
    first = {command.module: command for command in reversed(COMMANDS)}
    width = max(len(command.path) for command in first.values()) + 2
    for title, modules in SECTIONS:
        rows = [(first[module].path, first[module].summary) for module in modules if module in first]
        parts.append(_section(title, rows, width))
    parts.append(_section("Podman's longer names (see `storagectl image --help`)", list(_GROUPS.items()), width))
    parts += [_options("Options", (*GLOBAL, VERSION)), _options("Options of commands that print rows or JSON", OUTPUT)]
    parts.append("`storagectl COMMAND --help` describes a command.")
    return "\n\n".join(parts) + "\n"


def of_group(group: str) -> str:
    """The commands of a group."""
    inside = [command for command in COMMANDS if command.path.partition(" ")[0] == group and " " in command.path]
    rows = [(command.path.partition(" ")[2], command.summary) for command in inside]
    width = max(len(word) for word, _ in rows) + 2
    return "\n\n".join(
        (
            _GROUPS[group],
            f"Usage:\n  storagectl {group} COMMAND [options] [arguments]",
            _section("Commands", rows, width),
            f"`storagectl {group} COMMAND --help` describes a command.\n",
        )
    )


def of_command(command: Command) -> str:
    """The usage of a command, its other spellings, and its flags."""
    module = import_module(f".{command.module}", __package__)
    parts = [command.summary, f"Usage:\n  storagectl {command.path} [options] {module.ARGUMENTS}".rstrip()]
    others = [each.path for each in COMMANDS if each.module == command.module and each is not command]
    if others:
        parts.append("Aliases:\n" + "\n".join(f"  storagectl {path}" for path in others))
    flags = taken(module)
    own = {flag.name for flag in module.FLAGS}
    if module.FLAGS:
        parts.append(_options("Options", module.FLAGS))
    if "filter" in own:
        from .completion_script import FILTERS

        keys = textwrap.fill(", ".join(FILTERS), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        parts.append(f"Filters (KEY=VALUE, or KEY!=VALUE to negate):\n{keys}")
    parts.append(_options("Global options", tuple(flag for flag in flags if flag.name not in own)))
    return "\n\n".join(parts) + "\n"


def known(words: list[str]) -> str | None:
    """The help for these words: the overview, a group or a command; None if they name neither."""
    if not words:
        return overview()
    if words[0] in GROUPS and len(words) == 1:
        return of_group(words[0])
    command = BY_PATH.get(" ".join(words))
    return of_command(command) if command is not None else None


def _section(title: str, rows: list[tuple[str, str]], width: int) -> str:
    lines = [_entry(f"  {word.ljust(width)}", summary, width + 2) for word, summary in rows]
    return "\n".join((f"{title}:", *lines))


def _options(title: str, flags: tuple[Flag, ...]) -> str:
    left = [
        f"  {'' if flag.short else '    '}{flag.spelling} {'' if flag.kind == 'bool' else flag.kind}".rstrip()
        for flag in flags
    ]
    width = max(map(len, left)) + 3
    lines = [_entry(first.ljust(width), flag.summary, width) for first, flag in zip(left, flags, strict=True)]
    return "\n".join((f"{title}:", *lines))


def _entry(first: str, text: str, indent: int) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)
