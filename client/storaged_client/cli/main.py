"""``storagectl``: parses the command line, imports the one module it needs, and runs it.

Start-up is most of a command's time: this module imports nothing that a run may not need.
"""

from __future__ import annotations

import gc
import sys

from . import exits, terminal
from .commands import BY_PATH, GROUPS, Command, is_podmans
from .flags import GLOBAL, OUTPUT, VERSION, HelpWanted, Options, UnknownLogLevel, UsageError, parse, taken
from .output import FormatError, ReaderGone, complain, emit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_VERSION = Command("--version", "version", ("server.info",), "Print the versions of client and daemon")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; a broken pipe or Ctrl-C ends the process quietly."""
    arguments = sys.argv[1:] if argv is None else argv
    _fill_streams()
    # A command ends soon, and modules and answers live until then: garbage collection would be wasted.
    gc.disable()
    try:
        return _run_command(arguments)
    finally:
        gc.enable()


def _fill_streams() -> None:
    """Open /dev/null for closed standard streams, so that no socket or file gets their numbers."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        import os

        while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 # as long as the process


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
    except UnknownLogLevel as error:
        complain(str(error))
        return error.exit_status
    except ReaderGone:
        return _die_of("SIGPIPE")
    except KeyboardInterrupt:
        return _die_of("SIGINT")
    except exits.expected() as error:
        complain(f"Error: {_said(error)}")
        return exits.status_of(error)


def _said(error: BaseException) -> str:
    """The text of an error; the kernel's own without its number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _dispatch(argv: list[str]) -> int:
    for word in argv:
        # Bytes that are not UTF-8 arrive as lone surrogates, which JSON cannot carry.
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise UsageError(f"an argument is not valid UTF-8: {word!r}")
    options = Options()
    before = (*OUTPUT, *GLOBAL, VERSION)
    try:
        words = parse(before, argv, options, "storagectl", stop=True)
    except HelpWanted:
        return _help([])
    if options.on("version"):
        return _run(_VERSION, options, words)
    if not words:
        raise UsageError("missing command 'storagectl COMMAND'", "storagectl")
    if words[0] == "help":
        return _help(words[1:])
    path, rest = words[:1], words[1:]
    if path[0] in GROUPS:
        # Global flags may be between the two words, too.
        try:
            rest = parse((*OUTPUT, *GLOBAL), rest, options, f"storagectl {path[0]}", stop=True)
        except HelpWanted:
            return _help(path)
        if not rest:
            raise UsageError(f"missing command 'storagectl {path[0]} COMMAND'", f"storagectl {path[0]}")
        path, rest = [path[0], rest[0]], rest[1:]
    command = BY_PATH.get(" ".join(path))
    if command is None:
        raise _unknown(path, rest)
    return _run(command, options, rest)


def _help(words: list[str]) -> int:
    from . import help

    text = help.known(words)
    if text is None:
        raise _unknown(words, ["--help"])
    emit(text)
    return exits.DONE


def _unknown(path: list[str], rest: list[str]) -> UsageError:
    if is_podmans(path):
        import shlex

        return UsageError(f"not a command of storagectl; use: podman {shlex.join([*path, *rest])}")
    import difflib

    *group, word = path
    prefix = "".join(f"{each} " for each in group)
    words = [known.removeprefix(prefix) for known in BY_PATH if known.startswith(prefix)]
    near = difflib.get_close_matches(word[:64], [*words, *(() if group else GROUPS)], 3, 0.7)
    near += [known for known in words if known.rpartition(" ")[2] == word and known not in near]
    suggested = "".join(("\n\nDid you mean this?", *(f"\n\t{prefix}{each}" for each in near), "\n")) if near else ""
    hint = f"Try 'storagectl {prefix}--help' for more information"
    return UsageError(f"unrecognized command `storagectl {' '.join(path)}`{suggested}\n{hint}")


def _run(command: Command, options: Options, words: list[str]) -> int:
    from importlib import import_module

    module = import_module(f".{command.module}", __package__)
    podmans = getattr(module, "PODMANS", ())
    ignored = getattr(module, "IGNORED", ())
    see = f"storagectl {command.path}"
    _refuse_idle(module, options, see)
    try:
        arguments = parse((*taken(module), *podmans, *ignored), words, options, see)
    except HelpWanted:
        return _help(command.path.split())
    terminal.choose(options.text("color"))
    from .invocation import Invocation

    invocation = Invocation(options, arguments, (*command.path.split(), *words))
    for flag in podmans:
        if options.given(flag.name):
            raise UsageError(f"--{flag.name} is not a flag of storagectl; use: {invocation.podmans_command()}")
    try:
        status: int = module.run(invocation)
    except KeyError as error:
        # An older daemon's answer has fewer members. From a daemon of this version, it is a bug of ours.
        hint = invocation.skew()
        if not hint:
            raise
        from storaged_client.errors import VersionSkew

        raise VersionSkew(f"the daemon's answer has no {error}; {hint}") from error
    finally:
        invocation.close()
    return status


def _refuse_idle(module: ModuleType, options: Options, see: str) -> None:
    """Refuse flags before the command that it does not read.

    Raises:
        UsageError: there is such a flag.
    """
    known = {flag.name for flag in taken(module)}
    for flag in (*OUTPUT, *GLOBAL):
        if options.given(flag.name) and flag.name not in known:
            raise UsageError(f"unknown flag: --{flag.name}", see)


def _die_of(signal_name: str) -> int:
    """End like a program that does not handle the signal, so that a shell's loop ends as well."""
    import os
    import signal

    number = signal.Signals[signal_name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
