# What start.sh and stop.sh share.

CLUSTER=derotationtest
STATE=/var/lib/$CLUSTER # state, logs and process numbers of this cluster, nothing else
CONFIG=/etc/slurm/slurm.conf
MARK="# written by tests/slurm/start.sh of derotation-workflow"
HOSTS_MARK="# $CLUSTER"

stop_with() {
    echo "tests/slurm: $*" >&2
    exit 1
}

is_ours() { grep -qF "$MARK" "$CONFIG" 2>/dev/null; }

# is_running NAME: the process whose number was written down is still that program.
is_running() {
    local number
    number=$(cat "$STATE/pid/$1" 2>/dev/null) && [ -n "$number" ] &&
        [ "$(cat "$STATE/pid/$1.program" 2>/dev/null || echo "$1")" = "$(cat "/proc/$number/comm" 2>/dev/null)" ]
}

# start_daemon NAME PROGRAM: in the background, unless it runs.
start_daemon() {
    is_running "$1" && return
    setsid "$2" -D >> "$STATE/log/$1.output" 2>&1 < /dev/null &
    echo $! > "$STATE/pid/$1"
    echo "$2" > "$STATE/pid/$1.program"
}

# end_daemon NAME: gently, then by force; without effect if it does not run.
end_daemon() {
    local number
    if is_running "$1"; then
        number=$(cat "$STATE/pid/$1")
        kill "$number"
        for _ in {1..50}; do
            kill -0 "$number" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$number" 2>/dev/null || true
    fi
    rm -f "$STATE/pid/$1" "$STATE/pid/$1.program"
}

# wait_until SECONDS WHAT COMMAND...
wait_until() {
    local end=$((SECONDS + $1)) seconds=$1 what=$2
    shift 2
    until timeout 20 "$@" > /dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            tail -n 15 "$STATE"/log/* >&2 || true
            stop_with "$what did not come up within $seconds s; logs: $STATE/log"
        fi
        sleep 0.2
    done
}
