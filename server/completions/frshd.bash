# bash completion for frshd(8): options and their values.
_frshd() {
    local current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case "${COMP_WORDS[COMP_CWORD - 1]}" in
        --config | --host-key | --audit | --unix)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --sftp-server)
            mapfile -t COMPREPLY < <(compgen -c -- "$current")
            return ;;
        --listen) return ;;
    esac
    local options="-h --help --version --config --listen --unix --stdio --host-key --permit-root-login "
    options+="--no-sandbox --plaintext --audit --sftp-server -v --verbose"
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}

complete -F _frshd frshd
