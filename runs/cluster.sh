#!/usr/bin/env bash
# Train the imagination on several GPUs or machines: call it once on each of NODES machines, which
# share the folder WORK with the control maps that laptop_cpu.sh writes. HEAD names one of the machines.
#   NODES=2 HEAD=node0 WORK=/shared/work runs/cluster.sh
# An interrupted run is resumed after its last round when the command is called again.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${WORK:-work}
exec .venv/bin/torchrun --nnodes "${NODES:-1}" --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-backend c10d --rdzv-endpoint "${HEAD:-localhost}:29500" \
    .venv/bin/ears train imagination --corpora "$work/maps" -o "$work/imagination" "$@"
