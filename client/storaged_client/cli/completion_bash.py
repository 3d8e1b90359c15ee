"""Completion for bash. It needs only bash, not bash-completion."""

from __future__ import annotations

from .completion_script import Place, cases, filter_cases


def script(places: list[Place]) -> str:
    return _SCRIPT.replace("@PLACES@", cases(places, " " * 8)).replace("@FILTERS@", filter_cases(" " * 12))


_SCRIPT = r"""# bash completion for storagectl
#
#     storagectl completion bash > /etc/bash_completion.d/storagectl        for everyone
#     source <(storagectl completion bash)                                  for this shell

_storagectl_place() {
    case $1 in
@PLACES@
        *) return 1 ;;
    esac
}

_storagectl() {
    local line gap word raw place='' waiting='' socket='' only_arguments='' head='' value
    local commands flags takes arguments
    local -a words=() found=()
    local -i at

    # bash breaks words at : and =, names and flags do not: what stands together is one word.
    if [[ -z ${COMP_LINE-} ]]; then
        local COMP_LINE="${COMP_WORDS[*]}" COMP_POINT
        COMP_POINT=${#COMP_LINE}
    fi
    line=${COMP_LINE:0:COMP_POINT}
    for ((at = 0; at <= COMP_CWORD; at++)); do
        raw=${COMP_WORDS[at]}
        gap=${line%%[![:space:]]*}
        line=${line#"$gap"}
        if ((at == COMP_CWORD)); then raw=$line; fi
        if ((at > 0)) && [[ -z $gap ]]; then words[-1]+=$raw; else words+=("$raw"); fi
        line=${line#"$raw"}
    done
    value=${words[-1]}

    _storagectl_place ''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $waiting ]]; then
            if [[ $waiting == --socket ]]; then socket=$word; fi
            waiting=''
        elif [[ -n $only_arguments ]]; then
            continue
        elif [[ $word == -- ]]; then
            only_arguments=1
        elif [[ $word == --socket=* ]]; then
            socket=${word#*=}
        elif [[ $word == --* ]]; then
            if [[ $takes == *" $word:"* ]]; then waiting=$word; fi
        elif [[ $word == -?* ]]; then
            if [[ $takes == *" -${word: -1}:"* ]]; then waiting=-${word: -1}; fi
        elif [[ -n $commands ]] && _storagectl_place "${place:+$place }$word"; then
            place="${place:+$place }$word"
        else
            commands=''
        fi
    done

    if [[ -n $waiting ]]; then
        word=${takes#*" $waiting:"}
        _storagectl_offer "${word%% *}" "$value"
    elif [[ -z $only_arguments && $value == --*=* ]]; then
        head=${value%%=*}
        if [[ $takes == *" $head:"* ]]; then
            word=${takes#*" $head:"}
            head+='='
            _storagectl_offer "${word%% *}" "${value#*=}"
        fi
    elif [[ -z $only_arguments && $value == -* ]]; then
        _storagectl_offer "${flags// /,}" "$value"
    elif [[ -n $commands ]]; then
        _storagectl_offer "${commands// /,}" "$value"
    else
        _storagectl_offer "$arguments" "$value"
    fi

    # Only what follows the last break is replaced by bash.
    raw=$value
    while [[ -n $raw && $COMP_WORDBREAKS != *"${raw: -1}"* ]]; do raw=${raw%?}; done
    COMPREPLY=()
    for word in "${found[@]}"; do
        word=$head$word
        COMPREPLY+=("${word#"$raw"}")
    done
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
    return 0
}

# SOURCE PREFIX: add to found what begins with PREFIX.
_storagectl_offer() {
    if [[ $1 == @filter ]]; then
        case $2 in
@FILTERS@
        esac
    else
        _storagectl_add "$1" '' "$2"
    fi
}

# SOURCE HEAD PREFIX: each word of the source that begins with PREFIX, behind HEAD.
_storagectl_add() {
    local -a offered=()
    case $1 in
        '') ;;
        @images | @lists) mapfile -t offered < <(storagectl __complete "${1#@}" "$3" "$socket" 2>/dev/null) ;;
        # Left to readline: it knows the quotes that were typed, and adds those that a name needs.
        @files) compopt -o default 2>/dev/null ;;
        *) mapfile -t offered < <(compgen -W "${1//,/ }" -- "$3") ;;
    esac
    found+=("${offered[@]/#/$2}")
}

complete -F _storagectl storagectl
"""
