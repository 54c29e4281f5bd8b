# fish completion for frsh(1): options and their values, targets, and ids of kept runs.

function __frsh_targets
    set -l config ~/.config/frsh
    set -q XDG_CONFIG_HOME; and set config $XDG_CONFIG_HOME/frsh
    echo local
    begin
        sed -n 's/^[[:space:]]*\[hosts\."\{0,1\}\([^]"]*\)"\{0,1\}\].*/\1/p' $config/config.toml
        sed -n 's/^[[:space:]]*[Hh][Oo][Ss][Tt][[:space:]=]\{1,\}//p' ~/.ssh/config | tr -s '[:blank:]' '\n'
        sed 's/^@[^ ]* *//; s/[[:space:]].*//; s/^|.*//; s/\[\([^]]*\)\]:[0-9]*/\1/g' \
            $config/known_hosts ~/.ssh/known_hosts | tr , '\n'
    end 2>/dev/null | grep -v '[*?!#]' | sed '/^$/d' | sort -u
end

# The ids of the runs and shells on the target of this line, if it has one already.
function __frsh_runs
    set -l target (commandline -opc)[2..-1]
    set target (string match -v -- '-*' $target)[-1]
    test -n "$target"; or return
    frsh -q -o BatchMode=yes --connect-timeout 2s --runs $target </dev/null 2>/dev/null | awk '{ print $1 }'
end

# True until the line has a target. The value of an option counts as one, too.
function __frsh_needs_target
    test (count (string match -v -- '-*' (commandline -opc))) -le 1
end

complete -c frsh -n __frsh_needs_target -f -a '(__frsh_targets)'
complete -c frsh -s h -l help -d 'print the options'
complete -c frsh -l version -d 'print the version'
complete -c frsh -s p -l port -x -d 'port of a TCP target'
complete -c frsh -s l -l login -x -a '(__fish_complete_users)' -d 'user name on the target'
complete -c frsh -l via -x -d 'connect over the stdin and stdout of this command'
complete -c frsh -s i -l identity -r -F -d 'log in with this private key file'
complete -c frsh -l accept-new -d 'trust an unknown host'
complete -c frsh -l trust -d 'only trust the target\'s key from now on'
complete -c frsh -l plaintext -d 'TCP without TLS, on loopback only'
complete -c frsh -l connect-timeout -x -d 'limit for reaching the server'
complete -c frsh -l bashrc -d 'a bash reads ~/.bashrc before the command'
complete -c frsh -l argv -d 'run the words as a program and its arguments'
complete -c frsh -l env -x -d 'set a variable'
complete -c frsh -l cwd -x -a '(__fish_complete_directories)' -d 'run in this folder'
complete -c frsh -l timeout -x -d 'end the command after this time'
complete -c frsh -l idle-timeout -x -d 'end the command after this time without output'
complete -c frsh -l max-output -x -d 'keep the first and last half of this size'
complete -c frsh -l linger -x -d 'time for silent processes that the command left'
complete -c frsh -l on-disconnect -x -a 'kill keep grace:' -d 'if the connection is lost'
complete -c frsh -l run-id -x -a '(__frsh_runs)' -d 'run it under this id, once'
complete -c frsh -l detach -d 'start it and leave it running'
complete -c frsh -l soft-timeout -x -d 'leave it running after this time'
complete -c frsh -l shell -x -a '(__frsh_runs)' -d 'run it in this lasting shell'
complete -c frsh -l runs -d 'list kept runs and shells'
complete -c frsh -l attach -x -a '(__frsh_runs)' -d 'follow this run'
complete -c frsh -l logs -x -a '(__frsh_runs)' -d 'print the output of this run'
complete -c frsh -l wait -x -a '(__frsh_runs)' -d 'exit as this run does'
complete -c frsh -l kill -x -a '(__frsh_runs)' -d 'end this run or shell'
complete -c frsh -l forget -x -a '(__frsh_runs)' -d 'remove what is kept of this run'
complete -c frsh -l from -x -a end -d 'where in the output to begin'
complete -c frsh -l signal -x -a 'HUP INT QUIT TERM KILL USR1 USR2 STOP CONT' -d 'with --kill, only send this signal'
complete -c frsh -l status-fd -x -d 'write the record to this descriptor'
complete -c frsh -l json -d 'print the record with the output inside'
complete -c frsh -l batch -d 'run each line of stdin as a command'
complete -c frsh -l jobs -x -d 'with --batch, so many at once'
complete -c frsh -l one-shell -d 'with --batch, in one shell'
complete -c frsh -l share -d 'keep the connection for further commands'
complete -c frsh -l link -d 'pass the frames of the link through stdin and stdout'
complete -c frsh -l links -d 'list the shared links'
complete -c frsh -l unshare -d 'share the links to the target no longer'
complete -c frsh -s M -d 'keep the login for other commands'
complete -c frsh -s S -r -F -d 'where the kept login is found'
complete -c frsh -s O -x -a 'check exit stop forward cancel' -d 'request to the kept login'
complete -c frsh -s J -x -d 'jump hosts'
complete -c frsh -s L -x -d 'forward a port or a socket'
complete -c frsh -s D -x -d 'be a SOCKS proxy'
complete -c frsh -s R -x -d 'forward a port or a socket of the server'
complete -c frsh -s W -x -d 'connect stdin and stdout to a port or a socket'
complete -c frsh -s A -d 'lend the agent of this side'
complete -c frsh -s a -d 'do not lend the agent'
complete -c frsh -s g -d 'forwarded ports listen on all addresses'
complete -c frsh -l wire -r -F -d 'show every frame'
complete -c frsh -s q -l quiet -d 'print nothing on stderr'
complete -c frsh -s v -l verbose -d 'report what happens'
complete -c frsh -s t -d 'run on a terminal'
complete -c frsh -s T -d 'no terminal'
complete -c frsh -s e -x -d 'escape character'
complete -c frsh -s n -d 'stdin is /dev/null'
complete -c frsh -s s -d 'the command is a subsystem'
complete -c frsh -s N -d 'no command'
complete -c frsh -s f -d 'go to the background after the login'
complete -c frsh -s o -x -d 'an option of ssh_config'
complete -c frsh -s F -r -F -d 'configuration file of ssh'
complete -c frsh -s E -r -F -d 'file for diagnostics'
complete -c frsh -s 4 -d 'only IPv4'
complete -c frsh -s 6 -d 'only IPv6'
complete -c frsh -s b -x -d 'address on this side'
complete -c frsh -s G -d 'print what was resolved'
complete -c frsh -s V -d 'print the version'
