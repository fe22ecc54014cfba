#!/usr/bin/env bash
# Install (with apt) and start a SLURM of one node on this computer, for tests/slurm/test_slurm.py.
#
#     bash tests/slurm/start.sh      # as root, in a container or a machine that has no SLURM
#     bash tests/slurm/stop.sh
#
# Debian's packages slurmctld, slurmd, slurm-client and munge; no systemd, no cgroups, no
# accounting. Everything listens on 127.0.0.1 only. A second call does nothing more.
# DEROTATION_SLURM_CPUS says how many processors the node pretends to have (default 8).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"

cpus=${DEROTATION_SLURM_CPUS:-8}
memory=$(awk '/^MemTotal/ { printf "%d", $2 / 1024 * 0.8 }' /proc/meminfo)

[ "$(id -u)" = 0 ] || stop_with "needs root, to install packages and to start jobs as other users"
if [ -e "$CONFIG" ] && ! is_ours; then
    stop_with "$CONFIG exists: this computer belongs to a SLURM already, so nothing was done"
fi

# --- packages ---------------------------------------------------------------------------------
missing=()
for package in munge slurmctld slurmd slurm-client; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || stop_with "needs Debian or Ubuntu, to install ${missing[*]}"
    # Debian starts services when it installs them, unless this file forbids it.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

install -d -m 755 "$STATE" "$STATE"/{controller,spool,log,pid}

# --- the computer's name ----------------------------------------------------------------------
# SLURM calls its own node by name. A container's name stands for an address that is no loopback,
# and Debian's 127.0.1.1 makes srun wait for ever.
node=$(uname -n)
node=${node%%.*}
address() { getent ahostsv4 "$node" | awk 'NR == 1 { print $1 }'; }
if [ "$(address)" != 127.0.0.1 ]; then
    hosts=$(cat /etc/hosts) # a container's is mounted: it can be written, not replaced
    printf '127.0.0.1 %s %s\n%s\n' "$node" "$HOSTS_MARK" "$hosts" > /etc/hosts
    [ "$(address)" = 127.0.0.1 ] || stop_with "$node does not stand for 127.0.0.1 in spite of /etc/hosts"
fi

# --- munge: who is who ------------------------------------------------------------------------
if ! munge -n >/dev/null 2>&1; then
    install -d -o munge -g munge -m 700 /etc/munge /var/lib/munge /var/log/munge
    install -d -o munge -g munge -m 755 /run/munge
    if [ ! -s /etc/munge/munge.key ]; then
        (umask 077; head -c 1024 /dev/urandom > /etc/munge/munge.key)
        chown munge:munge /etc/munge/munge.key
    fi
    runuser -u munge -- /usr/sbin/munged --pid-file=/run/munge/derotation.pid
    wait_until 10 "munge" munge -n
    cp /run/munge/derotation.pid "$STATE/pid/munged"
fi

# --- slurm.conf -------------------------------------------------------------------------------
install -d /etc/slurm
cat > "$CONFIG" <<CONFIGURATION
$MARK
ClusterName=$CLUSTER
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$STATE/controller
SlurmdSpoolDir=$STATE/spool
SlurmctldPidFile=$STATE/pid/controller.own
SlurmdPidFile=$STATE/pid/node.own
SlurmctldLogFile=$STATE/log/controller.log
SlurmdLogFile=$STATE/log/node.log
# What a container has not: cgroups, MPI, a fast network.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
# Memory is handed out like processors, and a job that takes more than it asked for is killed.
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# Without accounting, squeue is asked how jobs ended: they have to stay there for a while.
MinJobAge=3600
# A test should not wait for the scheduler.
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000,bf_interval=5
KillWait=5
SlurmdParameters=config_overrides
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
CONFIGURATION

# --- controller and node ----------------------------------------------------------------------
start_daemon controller slurmctld
wait_until 20 "the controller" scontrol ping
start_daemon node slurmd
wait_until 20 "the node" bash -c "sinfo --noheader --format %T | grep -Eq 'idle|mixed|allocated'"
wait_until 20 "a first job" srun --ntasks=1 --mem=50 true
sinfo --Node --noheader --format "SLURM $(slurmctld -V | cut -d' ' -f2) on %N: %c processors, %m MB"
