# shellcheck shell=sh disable=SC1007,SC1090,SC2043,SC2154
# The loop of a shell (shell.hpp) where there is no bash. The build embeds this file without its
# comments (embed_shell_loops.cmake): what lies between `#: loop` and `#: end of loop` becomes the
# value of __frsh_loop, so it must contain no single quote. The server sets __frsh_dir, and lends
# descriptor 8 for reports and 9 for the numbers of commands: sh knows single digits only.
# shell_loop.bash explains the lines that both have.

__frsh_n=0 __frsh_s=0
__frsh_status() { __frsh_t=$__frsh_s; __frsh_s=0; return "$__frsh_t"; }
#: loop
while :; do
    printf "\0=%s\0%s\0%s\0.\0" "$__frsh_n" "$__frsh_s" "${PWD-}" >&8
    IFS= read -r __frsh_n <&9 || exit 0
    __frsh_n=${__frsh_n#:} __frsh_n=${__frsh_n%:}
    for __frsh_once in 1; do
        { printf "\0+%s\0" "$__frsh_n" >&8
          if __frsh_status
          then . "$__frsh_dir/$__frsh_n.command" 2>"$__frsh_dir/$__frsh_n.err" 8>&- 9<&-
          else . "$__frsh_dir/$__frsh_n.command" 2>"$__frsh_dir/$__frsh_n.err" 8>&- 9<&-
          fi
        } <"$__frsh_dir/$__frsh_n.in" >"$__frsh_dir/$__frsh_n.out"
        __frsh_s=$?
    done
done
eval "$__frsh_loop"
#: end of loop
eval "$__frsh_loop"
