#!/usr/bin/env bash
# From nothing to the shipped weights with one CUDA GPU: the steps of laptop_cpu.sh; notes are
# rendered on the CPU, networks trained on the GPU.
# Needs `make test` once with a CUDA build of PyTorch in .venv, and the packages that laptop_cpu.sh names.
set -euo pipefail
ACCELERATOR=cuda exec "$(dirname "$0")/laptop_cpu.sh" "$@"
