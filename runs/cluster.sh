#!/usr/bin/env bash
# The imagination on several GPUs or machines: called once on each of NODES machines, which share
# the folder WORK with the maps that laptop_cpu.sh makes. HEAD names one of the machines.
#   NODES=2 HEAD=node0 WORK=/shared/work runs/cluster.sh
# A run that was cut off goes on behind its last round when it is called again.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${WORK:-work}
exec .venv/bin/torchrun --nnodes "${NODES:-1}" --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-backend c10d --rdzv-endpoint "${HEAD:-localhost}:29500" \
    .venv/bin/ears train imagination --corpora "$work/maps" -o "$work/imagination" "$@"
