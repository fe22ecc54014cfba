#!/usr/bin/env bash
# End the SLURM that start.sh started, and forget all about it. The packages stay.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"

[ -d "$STATE" ] || exit 0
is_running controller && timeout 10 scancel --user="$(id -un)" || true
for daemon in node controller munged; do
    end_daemon "$daemon"
done
if is_ours; then
    rm -f "$CONFIG"
fi
if grep -qF "$HOSTS_MARK" /etc/hosts; then
    hosts=$(grep -vF "$HOSTS_MARK" /etc/hosts)
    printf '%s\n' "$hosts" > /etc/hosts
fi
rm -rf "$STATE"
