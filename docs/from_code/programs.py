"""Generates the commands and flags of ``storaged`` and ``storagectl``: from the former's help, the latter's tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from unittest.mock import patch

from from_code.text import NotInTheCode, plain
from storaged import cli
from storaged_client.cli.commands import COMMANDS, Command
from storaged_client.cli.flags import GLOBAL, OUTPUT, VERSION, Flag

PLAIN = {"COLUMNS": "1000", "NO_COLOR": "1", "PYTHON_COLORS": "0", "FORCE_COLOR": ""}
"""argparse takes the line width, and whether to use colour, from the environment."""

_OPTION = re.compile(r"^  (-\S.*?)(?:  +|\n {10,})(\S.*)$", re.MULTILINE)
"""A flag in argparse's help: beside its text, or above it if it is long."""


def daemon_commands() -> str:
    """Each command of ``storaged`` with its usage and its flags."""
    return "\n".join(text for word in _daemon_words() for text in _daemon_command(word))


def daemon_synopsis() -> str:
    """One line for each command of ``storaged``."""
    return "\n\n".join(f"`storaged {word} [OPTIONS]`" for word in _daemon_words())


def _daemon_words() -> list[str]:
    return re.findall(r"^    (\S+)", _help(), re.MULTILINE)


def _help(*words: str) -> str:
    """The output of ``storaged WORDS --help``, with unbroken lines.

    Raises:
        NotInTheCode: it prints no help.
    """
    printed = StringIO()
    with redirect_stdout(printed), patch.dict(os.environ, PLAIN):
        try:
            cli.main([*words, "--help"])
        except SystemExit as end:
            if end.code:
                raise NotInTheCode(f"storaged {' '.join(words)} --help ends with {end.code}") from None
    return printed.getvalue()


def _daemon_command(word: str) -> Iterator[str]:
    usage, _, rest = _help(word).partition("\n\n")
    described, _, options = rest.partition("options:\n")
    yield f"### storaged {word}\n"
    yield f"`{usage.removeprefix('usage: ')}`\n"
    yield f"{plain(described.strip())}\n"
    yield from (_term(match[1], match[2]) for match in _OPTION.finditer(options))


def _term(spelling: str, text: str) -> str:
    """An entry of a list of flags: the flags bold, their values as typed."""
    flags = []
    for part in spelling.split(", "):
        flag, _, value = part.partition(" ")
        flags.append(f"**{flag}**" + (f" *{plain(value)}*" if value else ""))
    return f"{', '.join(flags)}\n: {plain(text)}\n"


def global_options() -> str:
    """The flags that may precede every command of ``storagectl``, or those that have them."""
    of_some = "; only before a command that has it"
    some = [Flag(each.name, each.summary + of_some, short=each.short, kind=each.kind) for each in OUTPUT]
    return "\n".join(map(_option, (*GLOBAL, VERSION, *some)))


def _option(flag: Flag) -> str:
    value = "" if flag.kind == "bool" else "WORD" if flag.choices else "VALUE"
    again = ". May be given again" if flag.kind == "list" else ""
    spelling = f"{flag.spelling} {value}".rstrip()
    # Some texts name the words themselves.
    missing = [word for word in flag.choices if word not in flag.summary]
    choices = f" (one of {', '.join(flag.choices)})" if missing else ""
    return _term(spelling, f"{flag.summary}{choices}{again}")


def client_commands() -> str:
    """Each command of ``storagectl``, with all its spellings together."""
    modules = dict.fromkeys(command.module for command in COMMANDS)
    return "\n".join(
        text
        for module in modules
        for text in _client_command(module, [command for command in COMMANDS if command.module == module])
    )


def _client_command(name: str, spellings: list[Command]) -> Iterator[str]:
    module = import_module(f"storaged_client.cli.{name}")
    first = spellings[0]
    yield f"### storagectl {first.path}\n"
    usages = [f"storagectl {command.path} [options] {module.ARGUMENTS}".rstrip() for command in spellings]
    yield from (f"`{usage}`\n" for usage in usages)
    methods = ", ".join(f"`{method}`" for method in first.methods)
    yield f"{plain(first.summary)}." + (f" Calls {methods}." if methods else "") + "\n"
    yield from map(_option, module.FLAGS)
    podmans = getattr(module, "PODMANS", ())
    if podmans:
        refused = ", ".join(f"**{flag.spelling}**" for flag in podmans)
        yield f"Of podman's flags these end with status 125 and the podman command to use: {refused}.\n"
