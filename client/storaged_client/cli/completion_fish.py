"""Completion for fish."""

from __future__ import annotations

from .completion_script import (
    FILES,
    FILTER,
    FILTERS,
    IMAGE_FILTERS,
    IMAGES,
    LISTS,
    OWNERS,
    YES_OR_NO,
    Place,
    completed_from,
    quoted,
    spellings,
)
from .flags import GLOBAL, Flag

_SOURCES = {
    IMAGES: "(__storagectl_names images)",
    LISTS: "(__storagectl_names lists)",
    FILTER: "(__storagectl_filters)",
}


def script(places: list[Place]) -> str:
    everywhere = {flag.name: flag for flag in GLOBAL}
    lines = [_flag(flag, "") for flag in GLOBAL]
    for place in places:
        here = f" -n {quoted('__storagectl_at ' + ' '.join(map(_inner, place.paths)))}"
        lines += [
            f"complete -c storagectl{here} -a {quoted(name)} -d {quoted(summary)}"
            for name, summary in place.commands.items()
        ]
        if place.arguments:
            lines.append(f"complete -c storagectl{here} -a {_words(place.arguments)}")
        for flag in place.flags:
            if flag.name not in everywhere:
                lines.append(_flag(flag, here))
            elif flag.short and flag.short != everywhere[flag.name].short:
                lines.append(_flag(flag, here, long=False))
    takes = [
        f"{path} {text}"
        for place in places
        for path in place.paths
        for text, flag in spellings(place)
        if flag.kind != "bool"
    ]
    known = [path for place in places for path in place.paths if path]
    return (
        _SCRIPT.replace("@TAKES@", " ".join(map(quoted, takes)))
        .replace("@KNOWN@", " ".join(map(quoted, known)))
        .replace("@YES_OR_NO@", " ".join(quoted(f"{key}=*") for key in YES_OR_NO))
        .replace("@OWNERS@", " ".join(f"containers={owner}" for owner in OWNERS))
        .replace("@IMAGE_FILTERS@", " ".join(quoted(f"{key}=*") for key in IMAGE_FILTERS))
        .replace("@FILTERS@", " ".join(f"{key}=" for key in FILTERS))
        .replace("@COMPLETIONS@", "\n".join(lines))
    )


def _inner(path: str) -> str:
    # Inside a quoted condition.
    return f'"{path}"'


def _flag(flag: Flag, condition: str, *, long: bool = True) -> str:
    words = ["complete -c storagectl" + condition]
    if long:
        words.append(f"-l {flag.name}")
    if flag.short:
        words.append(f"-s {flag.short}")
    source = completed_from(flag)
    if flag.kind != "bool":
        words.append("-r -F" if source == FILES else "-x")
        if source and source != FILES:
            words.append(f"-a {_words(source)}")
    return " ".join((*words, f"-d {quoted(flag.summary)}"))


def _words(source: str) -> str:
    return quoted(_SOURCES.get(source, source.replace(",", " ")))


_SCRIPT = r"""# fish completion for storagectl
#
#     storagectl completion fish > ~/.config/fish/completions/storagectl.fish

# Prints the command so far and the socket named, a line each.
function __storagectl_line
    set -l takes @TAKES@
    set -l known @KNOWN@
    set -l place ''
    set -l socket ''
    set -l waiting ''
    set -l done ''
    for word in (commandline -opc)[2..-1]
        if test -n "$waiting"
            test "$waiting" = --socket; and set socket $word
            set waiting ''
        else if string match -q -- '--socket=*' $word
            set socket (string replace -- '--socket=' '' $word)
        else if string match -q -- '--*' $word
            contains -- "$place $word" $takes; and set waiting $word
        else if string match -q -- '-?*' $word
            set -l last -(string sub -s -1 -- $word)
            contains -- "$place $last" $takes; and set waiting $last
        else if test -z "$done"
            set -l longer (string trim -- "$place $word")
            if contains -- $longer $known
                set place $longer
            else
                set done 1
            end
        end
    end
    # An argument where a command should be: nothing is known behind it.
    if test -n "$done"; and not contains -- "$place" $known
        set place '?'
    end
    echo -- $place
    echo -- $socket
end

function __storagectl_at
    set -l line (__storagectl_line)
    contains -- "$line[1]" $argv
end

function __storagectl_value
    string replace -r '^--[a-z-]+=' '' -- (commandline -ct)
end

function __storagectl_names
    set -l line (__storagectl_line)
    set -l prefix (__storagectl_value)
    if set -q argv[2]
        set prefix $argv[2]
    end
    storagectl __complete $argv[1] "$prefix" "$line[2]" 2>/dev/null
end

function __storagectl_filters
    set -l typed (__storagectl_value)
    set -l key (string replace -r '=.*' '=' -- $typed)
    set -l value (string replace -r '^[^=]*=' '' -- $typed)
    switch "$typed"
        case @YES_OR_NO@
            printf '%s\n' "$key"true "$key"false
        case 'containers=*'
            printf '%s\n' @OWNERS@
        case @IMAGE_FILTERS@
            string replace -r '^' -- "$key" (__storagectl_names images "$value")
        case 'in-list=*'
            string replace -r '^' -- "$key" (__storagectl_names lists "$value")
        case '*=*'
        case '*'
            printf '%s\n' @FILTERS@
    end
end

complete -c storagectl -f
@COMPLETIONS@
"""
