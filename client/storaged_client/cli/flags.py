"""A command line parser with the rules of podman's flag library (spf13/pflag).

Flags and arguments may be mixed: ``--name=value`` and ``--name value``, ``-fvalue`` and ``-f value``, ``-aq`` for ``-a
-q``, ``--all=false``; ``--`` ends the flags. The messages are pflag's, and the exit status is 125, so a script that
swaps the program name sees no difference. (The standard library's argparse has other rules and another status, and
importing it takes longer than a request.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


class UsageError(Exception):
    """The command line is wrong; the text is podman's. ``see`` names the command whose help podman points to."""

    def __init__(self, message: str, see: str = "") -> None:
        super().__init__(message)
        self.see = see


class UnknownLogLevel(Exception):
    """``--log-level`` has an unknown value: podman prints this text unchanged and exits with 1."""

    exit_status = 1


class HelpWanted(Exception):
    """``--help`` was given."""


class Flag:
    """One flag. ``kind`` is ``bool``, ``string`` or ``list`` (a string that may be given several times)."""

    __slots__ = ("choices", "kind", "name", "short", "summary")

    def __init__(
        self, name: str, summary: str, *, short: str = "", kind: str = "bool", choices: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.summary = summary
        self.short = short
        self.kind = kind
        self.choices = choices

    @property
    def spelling(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


FORMAT = Flag("format", "Output format: json, table or a Go template such as '{{.ID}}'", kind="string")
FORMAT_JSON = Flag("format", "Output format: json or table", kind="string")
QUIET = Flag("quiet", "Print identifiers only", short="q")
NO_TRUNC = Flag("no-trunc", "Do not truncate output")
NOHEADING = Flag("noheading", "Do not print column headings", short="n")
OUTPUT = (FORMAT, QUIET, NO_TRUNC, NOHEADING)
"""Flags for the output. They may also precede the command, if it has them in its ``FLAGS``."""

LOG_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")
VERSION = Flag("version", "Print the versions of client and daemon", short="v")
"""Only before the command, as in podman: after it, ``-v`` belongs to the command or is unknown."""

GLOBAL = (
    Flag("socket", "Socket of the daemon", kind="string"),
    Flag("root", "Graphroot of the store, instead of storage.conf's", kind="string"),
    Flag("runroot", "Runroot of the store, instead of storage.conf's", kind="string"),
    Flag("storage-driver", "Storage driver, instead of storage.conf's", kind="string"),
    Flag("storage-opt", "Storage driver option, instead of storage.conf's", kind="list"),
    Flag("timeout", "Give up after this time, in seconds (also 500ms, 2m)", kind="string"),
    Flag("no-spawn", "Do not start a daemon"),
    Flag(
        "log-level",
        "Log to standard error: debug logs requests, info the start of a daemon (default warn)",
        kind="string",
        choices=LOG_LEVELS,
    ),
    Flag(
        "color",
        "Colour the output: auto, always or never (default auto: on a terminal)",
        kind="string",
        choices=("auto", "always", "never"),
    ),
    Flag("help", "Print this help", short="h"),
)
"""Before or after every command."""


ASKING = ("socket", "root", "runroot", "storage-driver", "storage-opt", "timeout", "no-spawn")
"""Flags without a meaning for a command that needs no daemon (``CONNECTS = False`` in its module)."""


def taken(module: object) -> tuple[Flag, ...]:
    """Every flag that a command reads, its own first, without podman's flags that it refuses or ignores."""
    flags: tuple[Flag, ...] = getattr(module, "FLAGS", ())
    own = {flag.name for flag in flags}
    if not getattr(module, "CONNECTS", True):
        own.update(ASKING)
    return (*flags, *(flag for flag in GLOBAL if flag.name not in own))


class Options:
    """The flags given, by name."""

    __slots__ = ("_lists", "_strings", "_switches")

    def __init__(self) -> None:
        self._switches: dict[str, bool] = {}
        self._strings: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}

    def given(self, name: str) -> bool:
        """Whether the flag is on the command line, with any value."""
        return name in self._switches or name in self._strings or name in self._lists

    def on(self, name: str, default: bool = False) -> bool:
        return self._switches.get(name, default)

    def text(self, name: str) -> str | None:
        return self._strings.get(name)

    def many(self, name: str) -> list[str]:
        return self._lists.get(name, [])

    def put(self, flag: Flag, value: str, see: str) -> None:
        """Store one value.

        Raises:
            UsageError: the flag does not take this value.
        """
        if flag.kind == "list":
            self._lists.setdefault(flag.name, []).append(value)
        elif flag.kind == "string":
            if flag.choices and value not in flag.choices:
                choices = ", ".join(flag.choices)
                if flag.choices is LOG_LEVELS:
                    raise UnknownLogLevel(f'Log Level "{value}" is not supported, choose from: {choices}')
                reason = f'"{value}" is not a valid value.  Choose from: "{choices}"'
                raise UsageError(f'invalid argument "{value}" for "{flag.spelling}" flag: {reason}', see)
            self._strings[flag.name] = value
        elif value in _TRUE or value in _FALSE:
            self._switches[flag.name] = value in _TRUE
        else:
            reason = f'strconv.ParseBool: parsing "{value}": invalid syntax'
            raise UsageError(f'invalid argument "{value}" for "{flag.spelling}" flag: {reason}', see)


def parse(flags: tuple[Flag, ...], argv: list[str], options: Options, see: str, *, stop: bool = False) -> list[str]:
    """Store the flags of ``argv`` in ``options`` and return the arguments; with ``stop``, stop at the first argument.

    If two flags have the same spelling, the first in ``flags`` counts.

    Raises:
        UsageError: an unknown flag, a missing or a wrong value.
        HelpWanted: ``--help`` or ``-h``.
    """
    long: dict[str, Flag] = {}
    short: dict[str, Flag] = {}
    for flag in flags:
        long.setdefault(flag.name, flag)
        if flag.short:
            short.setdefault(flag.short, flag)
    arguments: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return arguments + rest
        if word[:2] == "--":
            _take_long(word, rest, long, options, see)
        elif word[:1] == "-" and word != "-":
            _take_short(word, rest, short, options, see)
        elif stop:
            return [word, *rest]
        else:
            arguments.append(word)
        if options.on("help"):
            raise HelpWanted
    return arguments


def _take_long(word: str, rest: list[str], known: dict[str, Flag], options: Options, see: str) -> None:
    name, equals, value = word[2:].partition("=")
    flag = known.get(name)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}{meant(name, known, '--')}", see)
    if not equals:
        if flag.kind == "bool":
            value = "true"
        elif rest:
            value = rest.pop(0)
        else:
            raise UsageError(f"flag needs an argument: --{name}", see)
    options.put(flag, value, see)


def _take_short(word: str, rest: list[str], known: dict[str, Flag], options: Options, see: str) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = known.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}", see)
        if letters[:1] == "=":
            options.put(flag, letters[1:], see)
            return
        if flag.kind == "bool":
            options.put(flag, "true", see)
            continue
        if not letters and not rest:
            raise UsageError(f"flag needs an argument: '{letter}' in -{letter}", see)
        options.put(flag, letters or rest.pop(0), see)
        return


def meant(word: str, known: Iterable[str], before: str = "") -> str:
    """A line for the end of a message that suggests the most similar known word; empty if none is similar."""
    import difflib  # only after a mistake

    near = difflib.get_close_matches(word[:64], known, 1, 0.7)
    return f"\nDid you mean {before}{near[0]}?" if near else ""


def seconds(text: str | None) -> float | None:
    """Parse the duration of ``--timeout``: ``0.5``, ``500ms``, ``10s``, ``2min``, ``1h30m``.

    Raises:
        UsageError: it is not a duration, or not positive.
    """
    if text is None:
        return None
    from storaged_client import times  # for the rare command line that has the flag

    try:
        return times.seconds(text)
    except ValueError:
        raise UsageError(f'invalid argument "{text}" for "--timeout" flag: not a duration') from None
