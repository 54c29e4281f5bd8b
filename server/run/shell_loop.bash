# shellcheck shell=bash disable=SC1007,SC2043,SC2154
# The loop of a shell (shell.hpp) where there is a bash. The build embeds this file without its
# comments (embed_shell_loops.cmake): what lies between `#: loop` and `#: end of loop` becomes the
# value of __frsh_loop, so it must contain no single quote. The server sets __frsh_dir, and lends
# descriptor 60 for reports and 61 for the numbers of commands: bash can count beyond 9, so these
# are out of the way of `exec 9>lock` in a command.
#
# - The loop is not in a function: `declare` in a command would make variables that are local to it.
# - $? at the start is the status of the last command, also after an interrupt threw bash out of the
#   loop. Bash then runs PROMPT_COMMAND, which is this loop, and the report is made after all. So a
#   PROMPT_COMMAND of the user's must not stay.
# - A late interrupt may tear the number that is being read. So the server repeats numbers, and only
#   a whole one that is above the last one counts.
# - __frsh_status as the condition of `if` makes the last status $? of the command without a fork.
#   Neither `set -e` nor an ERR trap sees a condition.
# - The loop that runs once takes a `break` in a command. A `break 9` leaves all loops, and the last
#   line enters them again.
# - stdout and stderr are redirected at eval and not before: what a DEBUG trap, a RETURN trap or
#   `set -x` print for these lines goes to /dev/null.
# - A command without named pipes runs on the terminal, which the server lends as descriptor 62.
#   `jobs -n` makes bash forget the commands in the foreground that have ended.
# - On the terminal, the last line of the text that is evaluated stores $?, $_ and PIPESTATUS, and
#   the next turn restores them; of PIPESTATUS at most two numbers, because only a pipeline sets it.
#   So eval itself succeeds, and `set -e` does not end the shell after `! true`.
# - Bash itself warns of stopped jobs before `exit` only where it has read the line itself.
# - If TMOUT is read-only, it cannot be unset. It started an alarm before bash came here, which
#   would log out in the middle of a command. A trap for ALRM takes it.

{
builtin unset HISTFILE PROMPT_COMMAND TMOUT
PS1= PS2=
__frsh_n=0 __frsh_u= __frsh_p=(0) __frsh_x=0
builtin set -o history
__frsh_save="
{ __frsh_s=\$? __frsh_u=\$_ __frsh_p=(\"\${PIPESTATUS[@]}\"); } >/dev/null 2>&1"
if { builtin : >&62; } 2>/dev/null; then builtin alias logout=exit; fi
__frsh_status() { builtin return "$__frsh_r"; }
#: loop
{
__frsh_s=$? __frsh_p=(0)
if [[ -n ${TMOUT-} ]]; then builtin trap : ALRM; fi
while builtin :; do
    PROMPT_COMMAND=$__frsh_loop
    builtin jobs -n
    builtin printf "\0=%s\0%s\0%s\0.\0" "$__frsh_n" "$__frsh_s" "${PWD-}" >&60
    while builtin :; do
        until IFS= builtin read -r -u 61 __frsh_l; do
            builtin [ $? -gt 128 ] || builtin exit 0
        done
        case $__frsh_l in
            :*:) __frsh_l=${__frsh_l#:} __frsh_l=${__frsh_l%:}
                 if builtin [ "$__frsh_l" -gt "$__frsh_n" ]; then builtin break; fi ;;
        esac
    done
    __frsh_n=$__frsh_l
    IFS= builtin read -r -d "" __frsh_c <"$__frsh_dir/$__frsh_n.command" || builtin :
    __frsh_r=$__frsh_s __frsh_s=0
    if [[ -p $__frsh_dir/$__frsh_n.out ]]; then
        for __frsh_once in 1; do
            { builtin printf "\0+%s\0" "$__frsh_n" >&60
              if __frsh_status
              then builtin eval "$__frsh_c" >"$__frsh_dir/$__frsh_n.out" \
                       2>"$__frsh_dir/$__frsh_n.err" 60>&- 61<&- 62>&-
              else builtin eval "$__frsh_c" >"$__frsh_dir/$__frsh_n.out" \
                       2>"$__frsh_dir/$__frsh_n.err" 60>&- 61<&- 62>&-
              fi
            } <"$__frsh_dir/$__frsh_n.in"
            __frsh_s=$?
        done
    else
        case $__frsh_c in
            [[:space:]]*|"") ;;
            *) builtin history -s -- "$__frsh_c" ;;
        esac
        case $__frsh_c in
            "builtin exit"|exit|exit\ *|logout|logout\ *)
                ((__frsh_x += 1))
                if [[ $__frsh_x -eq 1 && -n $(builtin jobs -s) ]]; then
                    __frsh_c="builtin echo There are stopped jobs. >&2; (builtin exit 1)"
                fi ;;
            *) __frsh_x=0 ;;
        esac
        __frsh_c+=$__frsh_save __frsh_t=0
        if [[ ${#__frsh_p[@]} -eq 2 ]]; then
            for __frsh_once in 1; do
                { builtin printf "\0+%s\0" "$__frsh_n" >&60
                  builtin : "$__frsh_u"
                  if (builtin exit "${__frsh_p[0]}") | __frsh_status
                  then builtin eval "$__frsh_c" >&62 2>&62 60>&- 61<&- 62>&-
                  else builtin eval "$__frsh_c" >&62 2>&62 60>&- 61<&- 62>&-
                  fi
                } <&62
                __frsh_t=$?
            done
        else
            for __frsh_once in 1; do
                { builtin printf "\0+%s\0" "$__frsh_n" >&60
                  if __frsh_status "$__frsh_u"
                  then builtin eval "$__frsh_c" >&62 2>&62 60>&- 61<&- 62>&-
                  else builtin eval "$__frsh_c" >&62 2>&62 60>&- 61<&- 62>&-
                  fi
                } <&62
                __frsh_t=$?
            done
        fi
        if [[ $__frsh_t -ne 0 ]]; then __frsh_s=$__frsh_t __frsh_p=(0); fi
    fi
done
builtin eval "$__frsh_loop"
} >/dev/null 2>&1
#: end of loop
PROMPT_COMMAND=$__frsh_loop
} >/dev/null 2>&1
