"""``storagectl``: look at the command line, load the one module it needs, run it.

Start-up is most of a command's time: nothing is imported here that a run may not need.
"""

from __future__ import annotations

import gc
import sys

from . import exits
from .commands import BY_PATH, COMMANDS, GROUPS, Command, is_podmans
from .flags import GLOBAL, VERSION, HelpWanted, Options, UsageError, help_text, parse
from .output import FormatError, ReaderGone, complain, emit

_VERSION = Command("--version", "version", ("server.info",), "Print the versions of client and daemon")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; a broken pipe or Ctrl-C ends the process quietly."""
    arguments = sys.argv[1:] if argv is None else argv
    # A command ends soon, and neither modules nor an answer's values are garbage before: each look for some is in vain.
    gc.disable()
    try:
        return _run_command(arguments)
    finally:
        gc.enable()


def _run_command(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["__complete"]:
            from .complete import lines

            emit("".join(f"{line}\n" for line in lines(arguments[1:])))
            return exits.DONE
        return _dispatch(arguments)
    except UsageError as error:
        complain(f"Error: {error}\nSee '{error.see} --help'" if error.see else f"Error: {error}")
        return exits.FAILED
    except FormatError as error:
        complain(f"Error: {error}")
        return exits.FAILED
    except ReaderGone:
        return _die_of("SIGPIPE")
    except KeyboardInterrupt:
        return _die_of("SIGINT")
    except exits.expected() as error:
        complain(f"Error: {error}")
        return exits.status_of(error)


def _dispatch(argv: list[str]) -> int:
    for word in argv:
        # Bytes that are no UTF-8 arrive as lone surrogates, which JSON cannot carry.
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise UsageError(f"an argument is not valid UTF-8: {word!r}")
    options = Options()
    try:
        words = parse((*GLOBAL, VERSION), argv, options, "storagectl", stop=True)
        if options.on("version"):
            return _run(_VERSION, options, words)
        if not words:
            raise UsageError("missing command 'storagectl COMMAND'")
        if words[0] == "help":
            raise HelpWanted
        command, rest = _find(words, options)
    except HelpWanted:
        emit(_overview())
        return exits.DONE
    return _run(command, options, rest)


def _find(words: list[str], options: Options) -> tuple[Command, list[str]]:
    path, rest = words[:1], words[1:]
    if path[0] in GROUPS:
        # Global flags may stand between the two words, too.
        rest = parse(GLOBAL, rest, options, f"storagectl {path[0]}", stop=True)
        if not rest:
            raise UsageError(f"missing command 'storagectl {path[0]} COMMAND'")
        path, rest = [path[0], rest[0]], rest[1:]
    command = BY_PATH.get(" ".join(path))
    if command is None:
        raise _unknown(path, rest)
    return command, rest


def _unknown(path: list[str], rest: list[str]) -> UsageError:
    if not is_podmans(path):
        hint = "Try 'storagectl --help' for more information"
        return UsageError(f"unrecognized command `storagectl {' '.join(path)}`\n{hint}")
    import shlex

    return UsageError(f"not a command of storagectl; use: podman {shlex.join([*path, *rest])}")


def _run(command: Command, options: Options, words: list[str]) -> int:
    from importlib import import_module

    module = import_module(f".{command.module}", __package__)
    podmans = getattr(module, "PODMANS", ())
    ignored = getattr(module, "IGNORED", ())
    flags = (*module.FLAGS, *GLOBAL)
    try:
        arguments = parse((*flags, *podmans, *ignored), words, options, f"storagectl {command.path}")
    except HelpWanted:
        emit(help_text(command.path, module.ARGUMENTS, command.summary, flags))
        return exits.DONE
    from .invocation import Invocation

    invocation = Invocation(options, arguments, (*command.path.split(), *words))
    for flag in podmans:
        if options.given(flag.name):
            raise UsageError(f"--{flag.name} is not a flag of storagectl; use: {invocation.podmans_command()}")
    try:
        status: int = module.run(invocation)
    except KeyError as error:
        # An older daemon's answer has fewer members. Of one of this version it is a mistake of ours.
        hint = invocation.skew()
        if not hint:
            raise
        from storaged_client.errors import VersionSkew

        raise VersionSkew(f"the daemon's answer has no {error}; {hint}") from error
    finally:
        invocation.close()
    return status


def _overview() -> str:
    width = max(len(command.path) for command in COMMANDS) + 2
    lines = [f"  {command.path.ljust(width)}{command.summary}" for command in COMMANDS]
    text = help_text(
        "COMMAND", "", "Ask storaged about the image store of podman, buildah and skopeo", (*GLOBAL, VERSION)
    )
    return "\n".join((text, "Commands:", *lines, ""))


def _die_of(signal_name: str) -> int:
    """End as the signal ends a program that does not handle it, so that a shell's loop ends as well."""
    import os
    import signal

    number = signal.Signals[signal_name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
