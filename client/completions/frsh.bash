# bash completion for frsh(1): options and their values, targets, and ids of kept runs.

# Prints the targets that this user's files name, one a line.
_frsh_targets() {
    local config="${XDG_CONFIG_HOME:-$HOME/.config}/frsh"
    echo local
    {
        sed -n 's/^[[:space:]]*\[hosts\."\{0,1\}\([^]"]*\)"\{0,1\}\].*/\1/p' "$config/config.toml"
        sed -n 's/^[[:space:]]*[Hh][Oo][Ss][Tt][[:space:]=]\{1,\}//p' "$HOME/.ssh/config" |
            tr -s '[:blank:]' '\n'
        sed 's/^@[^ ]* *//; s/[[:space:]].*//; s/^|.*//; s/\[\([^]]*\)\]:[0-9]*/\1/g' \
            "$config/known_hosts" "$HOME/.ssh/known_hosts" | tr , '\n'
    } 2>/dev/null | grep -v '[*?!#]' | sed '/^$/d' | sort -u
}

# Sets `target` to the first word that is neither an option nor an option's value, and `position`
# to its index.
_frsh_find_target() {
    local index word skip=no
    target="" position=0
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [ "$skip" = yes ]; then
            skip=no
        elif [[ $word == -- ]]; then
            position=$((index + 1)) target=${COMP_WORDS[index + 1]}
            return
        elif [[ " $_frsh_with_value " == *" $word "* ]]; then
            skip=yes
        elif [[ $word != -* ]]; then
            target=$word position=$index
            return
        fi
    done
}

_frsh_with_value="-p --port -l --login --via -i --identity --connect-timeout --env --cwd --timeout
 --idle-timeout --max-output --linger --on-disconnect --run-id --soft-timeout --shell --attach --logs
 --wait --kill --forget --from --signal --status-fd --jobs --wire -o -F -E -J -L -D -O -R -S -W
 -b -e"
_frsh_with_value=${_frsh_with_value//$'\n'/}
_frsh_flags="-h --help --version --accept-new --trust --plaintext --bashrc --argv --detach --runs --json --batch
 --one-shell --share --link --links --unshare -q --quiet -v --verbose -t -tt -T -n -s -N -M -f -g -A -a -4 -6 -G
 -V"
_frsh_flags=${_frsh_flags//$'\n'/}

# Prints the ids of the runs and shells on a target. The server must answer within two seconds and
# without a question.
_frsh_runs() {
    [ -n "$1" ] || return 0
    "${COMP_WORDS[0]}" -q -o BatchMode=yes --connect-timeout 2s --runs "$1" </dev/null 2>/dev/null |
        awk '{ print $1 }'
}

_frsh() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local target position
    COMPREPLY=()
    _frsh_find_target
    if [ "$position" -gt 0 ] && [[ $previous != --* || $previous == -- ]] && [[ $current != -* ]]; then
        # The command: this machine's programs and files are the best guess for the other's.
        compopt -o default 2>/dev/null
        return
    fi
    case "$previous" in
        -i | --identity | -F | -E | --wire)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --cwd)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return ;;
        --attach | --logs | --wait | --kill | --forget | --run-id | --shell)
            [ -n "$target" ] || target=${COMP_WORDS[COMP_CWORD + 1]:-}
            mapfile -t COMPREPLY < <(compgen -W "$(_frsh_runs "$target")" -- "$current")
            return ;;
        --signal)
            mapfile -t COMPREPLY < <(compgen -W "HUP INT QUIT TERM KILL USR1 USR2 STOP CONT" -- "$current")
            return ;;
        --on-disconnect)
            mapfile -t COMPREPLY < <(compgen -W "kill keep grace:" -- "$current")
            return ;;
        -l | --login)
            mapfile -t COMPREPLY < <(compgen -u -- "$current")
            return ;;
        --env)
            mapfile -t COMPREPLY < <(compgen -v -S = -- "$current")
            return ;;
    esac
    [[ " $_frsh_with_value " != *" $previous "* ]] || return 0
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_frsh_flags $_frsh_with_value" -- "$current")
        return
    fi
    local user=""
    [[ $current != *@* ]] || user=${current%%@*}@
    mapfile -t COMPREPLY < <(compgen -P "$user" -W "$(_frsh_targets)" -- "${current#"$user"}")
}

complete -F _frsh frsh
