"""``storagectl completion SHELL``: prints a script that completes commands, flags, filters and names.

The script is generated from the command table and the flags of each command. ``complete`` gets the names of images and
lists from the daemon.
"""

from __future__ import annotations

from importlib import import_module

from . import exits, output
from .commands import COMMANDS, GROUPS
from .completion_script import IMAGES, LISTS, Place
from .flags import GLOBAL, OUTPUT, VERSION, Flag, UsageError, taken
from .invocation import Invocation

ARGUMENTS = "SHELL"
FLAGS: tuple[Flag, ...] = ()
CONNECTS = False

SHELLS = ("bash", "fish", "zsh")
_OF_ARGUMENTS = {"IMAGE": IMAGES, "LIST": LISTS, "SHELL": ",".join(SHELLS)}


def run(invocation: Invocation) -> int:
    shell = invocation.one_argument()
    if shell not in SHELLS:
        raise UsageError(f'invalid argument "{shell}" for "storagectl completion": choose from {", ".join(SHELLS)}')
    module = import_module(f".completion_{shell}", __package__)
    output.emit(module.script(places()))
    return exits.DONE


def places() -> list[Place]:
    """The top level, the groups, and every command."""
    from storaged_client.contract.methods import METHODS

    sources = {**_OF_ARGUMENTS, "METHOD": ",".join(METHODS)}
    found = []
    for group in ("", *GROUPS):
        inside = [command for command in COMMANDS if command.path.rpartition(" ")[0] == group]
        commands = {command.path.rpartition(" ")[2]: command.summary for command in inside}
        if not group:
            commands.update((name, f"Commands of podman {name}") for name in GROUPS)
        found.append(Place([group], commands, (*OUTPUT, *GLOBAL, *(() if group else (VERSION,))), ""))
    modules: dict[str, Place] = {}
    for command in COMMANDS:
        if command.module in modules:
            modules[command.module].paths.append(command.path)
            continue
        module = import_module(f".{command.module}", __package__)
        word = module.ARGUMENTS.partition(" ")[0].strip("[].")
        modules[command.module] = Place([command.path], {}, taken(module), sources.get(word, ""))
    return [*found, *modules.values()]
