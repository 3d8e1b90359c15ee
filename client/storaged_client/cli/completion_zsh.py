"""Completion for zsh."""

from __future__ import annotations

from .completion_script import Place, cases, filter_cases, quoted


def script(places: list[Place]) -> str:
    summaries = []
    for place in places:
        if place.commands:
            texts = [quoted(f"{name}:{summary}") for name, summary in place.commands.items()]
            summaries += [f"        {quoted(place.paths[0])}) described=({' '.join(texts)}) ;;"]
    return (
        _SCRIPT.replace("@PLACES@", cases(places, " " * 8))
        .replace("@FILTERS@", filter_cases(" " * 12))
        .replace("@SUMMARIES@", "\n".join(summaries))
    )


_SCRIPT = r"""#compdef storagectl
compdef _storagectl storagectl
# zsh completion for storagectl
#
#     storagectl completion zsh > "${fpath[1]}/_storagectl"     for every shell
#     source <(storagectl completion zsh)                       for this shell, after compinit

_storagectl_place() {
    case $1 in
@PLACES@
        *) return 1 ;;
    esac
}

_storagectl_summaries() {
    case $1 in
@SUMMARIES@
    esac
}

_storagectl() {
    local word place='' waiting='' socket='' only_arguments='' commands flags takes arguments
    local -a described

    _storagectl_place ''
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ -n $waiting ]]; then
            [[ $waiting == --socket ]] && socket=$word
            waiting=''
        elif [[ -n $only_arguments ]]; then
            continue
        elif [[ $word == -- ]]; then
            only_arguments=1
        elif [[ $word == --socket=* ]]; then
            socket=${word#*=}
        elif [[ $word == --* ]]; then
            [[ $takes == *" $word:"* ]] && waiting=$word
        elif [[ $word == -?* ]]; then
            [[ $takes == *" -${word[-1]}:"* ]] && waiting=-${word[-1]}
        elif [[ -n $commands ]] && _storagectl_place "${place:+$place }$word"; then
            place="${place:+$place }$word"
        else
            commands=''
        fi
    done

    if [[ -n $waiting ]]; then
        word=${takes#*" $waiting:"}
        _storagectl_offer "${word%% *}" "$PREFIX"
    elif [[ -z $only_arguments && $PREFIX == --*=* ]]; then
        word=${PREFIX%%=*}
        if [[ $takes == *" $word:"* ]]; then
            word=${takes#*" $word:"}
            compset -P 1 '*='
            _storagectl_offer "${word%% *}" "$PREFIX"
        fi
    elif [[ -z $only_arguments && $PREFIX == -* ]]; then
        _storagectl_offer "${flags// /,}" "$PREFIX"
    elif [[ -n $commands ]]; then
        _storagectl_summaries "$place"
        _describe -t commands command described
    else
        _storagectl_offer "$arguments" "$PREFIX"
    fi
}

# SOURCE PREFIX: offer what begins with PREFIX.
_storagectl_offer() {
    if [[ $1 == @filter ]]; then
        case $2 in
@FILTERS@
        esac
    else
        _storagectl_add "$1" '' "$2"
    fi
}

# SOURCE HEAD PREFIX: each word of the source, behind HEAD.
_storagectl_add() {
    local -a offered
    case $1 in
        '') return 1 ;;
        @images | @lists) offered=("${(@f)$(storagectl __complete "${1#@}" "$3" "$socket" 2>/dev/null)}") ;;
        @files) _files; return ;;
        *) offered=("${(@s:,:)1}") ;;
    esac
    offered=("${(@)offered:#}")
    offered=("$2"${^offered})
    # Filters end in = and go on.
    if [[ $offered[1] == *= ]]; then compadd -S '' -- $offered; else compadd -- $offered; fi
}

if [[ $funcstack[1] == _storagectl ]]; then _storagectl "$@"; fi
"""
