# shellcheck disable=all
# The part of frsh in a shell at a prompt (shell.hpp) whose user has zsh. The build embeds this file
# without its comments. The server sets __frsh_dir.
#
# - zsh reads its commands from a named pipe, not from the terminal, which its three streams are. So
#   each line is one that the shell has read itself: jobs, `set -x` and $? are as at its own prompt,
#   and a command inherits no other descriptor.
# - For each turn the server writes the line "__frsh_take N". That writes the command of the turn
#   into the named pipe, and behind it the line that reports the end.
# - Ctrl-C would end the shell, too, and a trap for it prevents that. In what may be a loop the trap
#   interrupts, and the always-block goes on behind that.
# - A syntax error would end the shell, as it reads a script. So what does not parse is evaluated.
# - The second `exit` in a row leaves although jobs are stopped. zsh permits that only right after
#   the first one.
# - The client expands `!!`, so the shell must not do it once more.

{
__frsh_report() { builtin print -rn -- "$1" >|$__frsh_dir/reports }
__frsh_take() {
    local status_before=$? text first= end=$'\n{ __frsh_end $? } 2>/dev/null'
    builtin emulate -L zsh; builtin unsetopt localtraps
    __frsh_n=$1
    text=$(<$__frsh_dir/$1.command)
    if [[ -p $__frsh_dir/$1.out ]]; then
        text="{ eval \"\$(<$__frsh_dir/$1.command)\" }"
        text+=" <$__frsh_dir/$1.in >$__frsh_dir/$1.out 2>$__frsh_dir/$1.err"
    else
        [[ $text == (|[[:space:]]*) ]] || builtin print -rs -- $text
        case $text in
            ("builtin exit"|exit|"exit "*|logout) (( __frsh_x += 1 )) ;;
            (*) __frsh_x=0 ;;
        esac
        (( __frsh_x > 1 )) && first=$'{ setopt nocheckjobs } 2>/dev/null\n'
        unfunction __frsh_text
        functions[__frsh_text]=$text
        if (( $+functions[__frsh_text] && $#text < 3000 )) &&
           [[ $text != *[$'\n;{(']* && $text != *("&&"|"||"|"<<"|"always")* &&
              $text != (for|while|until|repeat|foreach|select|if|case|function|time|"!"|"[[")* ]]
        then
            trap : INT
        else
            TRAPINT() { builtin return 130 }
            text="{ eval \"\$(<$__frsh_dir/$1.command)\" } always "
            text+="{ { __frsh_end \$?; TRY_BLOCK_INTERRUPT=0 TRY_BLOCK_ERROR=0 } 2>/dev/null }"
            end=
        fi
    fi
    __frsh_report $'\0'"+$1"$'\0'
    builtin print -r -- "$first$text$end" >$__frsh_dir/zsh
    builtin return $status_before
} 2>/dev/null
__frsh_end() {
    builtin emulate -L zsh; builtin unsetopt localtraps
    __frsh_report $'\0'"=$__frsh_n"$'\0'"$1"$'\0'"$PWD"$'\0'.$'\0'
    builtin return $1
} 2>/dev/null
unsetopt banghist
unset HISTFILE TMOUT
HISTSIZE=1000 __frsh_n=0 __frsh_x=0
path=(${path:#$__frsh_dir})
__frsh_end 0
} 2>/dev/null
