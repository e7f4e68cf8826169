# shellcheck shell=bash
# What up, down and status share: where things are, and processes.
#
# A server NAME is a file NAME.sh with four functions:
#   NAME::install   puts what is missing into $CACHE; ends in `unavailable` when it cannot be had on this machine
#   NAME::start     starts its processes with `start`, each of which keeps what runs already
#   NAME::exports   prints the variables for tests, with `export_line`
# Each process has, in $STATE/NAME: PROCESS.pid, .born, .port and .log, and the directory PROCESS to work in.
shopt -s inherit_errexit
umask 077

readonly SERVERS=(moto ministack kube lowkey azure-python azure-node)

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
# What is installed may be shared and kept; what runs belongs to one checkout.
readonly CACHE=${SECRETS_SERVERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/secrets-servers}
STATE=$(realpath -m "${SECRETS_SERVERS_RUN:-$HERE/../../target/servers}")
readonly STATE

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

usage() {
    say "usage: $*"
    exit 2
}

# This machine cannot have it, and it is nobody's mistake.
unavailable() {
    say "unavailable here: $*"
    exit 77
}

for server in tls python "${SERVERS[@]}"; do
    # shellcheck source=/dev/null
    . "$HERE/$server.sh"
done

# choose ARRAY NAME...: puts the servers that are meant into the array.
choose() {
    local -n into=$1
    local name
    for name in "${@:2}"; do
        if [[ $name == all ]]; then
            into+=("${SERVERS[@]}")
        elif [[ " ${SERVERS[*]} " == *" $name "* ]]; then
            into+=("$name")
        else
            usage "there is no server $name; there are ${SERVERS[*]}, or all"
        fi
    done
}

# From here on, no other up or down works on the same state.
exclusively() {
    mkdir -p "$STATE" "$CACHE"
    exec {LOCK}>"$STATE/lock"
    flock --wait 1800 "$LOCK" || fail "somebody else has been starting or stopping servers in $STATE for half an hour"
}

# once FILE COMMAND...: runs the command unless FILE is there, which the command makes; one installer at a time.
once() {
    local made=$1 lock
    exec {lock}>"$CACHE/lock"
    flock --wait 1800 "$lock" || fail "somebody else has been installing into $CACHE for half an hour"
    [[ -e $made ]] || "${@:2}"
    exec {lock}>&-
}

# require_tools TOOL...
require_tools() {
    local tool
    for tool in "$@"; do
        type -P "$tool" >/dev/null || unavailable "there is no $tool"
    done
}

# export_line VARIABLE VALUE
export_line() {
    printf 'export %s=%q\n' "$1" "$2"
}

# fetch CURL-ARGUMENT...: a request to a server on this machine, past every proxy.
fetch() {
    curl --silent --show-error --fail --noproxy '*' --max-time 5 "$@"
}

# start NAME/PROCESS READY COMMAND [ARGUMENT...]
#
# COMMAND is a function that becomes the process by `become`; READY one that succeeds once it answers. Both are called with
# the port as their first argument. A process that runs is kept, and woken if it is paused; one that died starts again
# on the port it had, if that is free.
start() {
    local process=$STATE/$1 ready=$2 command=("${@:3}") port attempt
    if is_running "$process"; then
        kill -CONT "$(<"$process.pid")"
        await_ready "$process" "$ready" || fail "$1 runs and does not answer; its log is $process.log"
        return
    fi
    mkdir -p "$process"
    for attempt in 1 2 3; do
        port=
        [[ -e $process.port ]] && port=$(<"$process.port")
        # Between choosing a port and listening on it, somebody else may take it: hence the attempts.
        if [[ -z $port ]] || is_taken "$port"; then
            port=$(choose_port)
            echo "$port" >"$process.port"
        fi
        (
            exec {LOCK}>&-
            cd "$process" || exit
            "${command[0]}" "$port" "${command[@]:1}"
        ) </dev/null >>"$process.log" 2>&1 &
        echo $! >"$process.pid"
        stat_field $! 20 >"$process.born" || true
        if await_ready "$process" "$ready"; then
            say "$1 listens on 127.0.0.1:$port"
            return
        fi
        say "$1 ended at once (attempt $attempt)"
    done
    tail -n 20 "$process.log" >&2
    fail "$1 does not start; its log is $process.log"
}

# become [VARIABLE=VALUE...] COMMAND...: replaces the shell, without what the caller's environment says of proxies, clouds
# and clusters, and out of reach of the terminal's signals.
become() {
    exec setsid env -i PATH="$PATH" HOME="$PWD" TMPDIR="$PWD" "$@"
}

# await_ready PROCESS READY: fails when the process ends instead; gives up after a minute and a half.
await_ready() {
    local port deadline=$((SECONDS + 90))
    port=$(<"$1.port")
    while ((SECONDS < deadline)); do
        # The process is looked at last: another one's answer on this port must not count.
        if "$2" "$port" &>/dev/null; then
            is_running "$1"
            return
        fi
        is_running "$1" || return 1
        sleep 0.2
    done
    fail "${1#"$STATE"/} is not ready after 90 s; its log is $1.log; stop it with down"
}

# stop_all NAME: the newest process first, as it stands on the older ones.
stop_all() {
    local file process pid waited
    while read -r file; do
        process=${file%.pid}
        is_running "$process" || continue
        pid=$(<"$file")
        # A paused process does not see the request to end before it goes on.
        kill -TERM "$pid" || true
        kill -CONT "$pid" || true
        for ((waited = 0; waited < 100; waited++)); do
            is_running "$process" || break
            ((waited != 50)) || kill -KILL "$pid" || true
            sleep 0.1
        done
        ! is_running "$process" || fail "process $pid does not end, not even killed"
        say "${process#"$STATE"/} stopped"
    done < <(find "$STATE/$1" -maxdepth 1 -name '*.pid' -printf '%T@ %p\n' 2>/dev/null | sort -rn | cut -d ' ' -f 2-)
}

# is_running PROCESS: its pid lives, and is the process that was started, not a later one with the same number.
is_running() {
    local pid born
    [[ -e $1.pid && -e $1.born ]] || return 1
    pid=$(<"$1.pid")
    born=$(stat_field "$pid" 20) || return 1
    [[ $born == "$(<"$1.born")" && $(stat_field "$pid" 1) != Z ]]
}

# stat_field PID N: the Nth field of /proc/PID/stat after the name: 1 is the state, 20 the time it was started.
stat_field() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # The name stands in parentheses and may hold anything, parentheses too.
    read -ra fields <<<"${stat##*) }"
    printf '%s\n' "${fields[$2 - 1]}"
}

# is_taken PORT
is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below what Linux hands out for outgoing connections, so that none of those gets in between.
choose_port() {
    local port
    while port=$((20000 + RANDOM % 12000)) && is_taken "$port"; do :; done
    printf '%s\n' "$port"
}
