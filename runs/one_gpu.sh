#!/usr/bin/env bash
# The same steps as laptop_cpu.sh on one CUDA GPU: the networks in 20 minutes or less once the notes
# are rendered, which the CPU does (10 minutes on 2 cores, less on more).
# Needs `make test` once with a CUDA build of PyTorch in .venv, and:
#     apt install libfluidsynth3 fluid-soundfont-gm musescore-general-soundfont-lossless
# Every step goes on where it was when it is called again.
set -euo pipefail
cd "$(dirname "$0")/.."
ears=.venv/bin/ears
fonts=${FONTS:-/usr/share/sounds/sf2}
work=${WORK:-work}
mkdir -p "$work"

[ -d "$work/font-notes" ] ||
    "$ears" corpus build soundfont "$fonts/FluidR3_GM.sf2" "$fonts/MuseScore_General_Full.sf2" \
        --limit 100000 --seed 0 --split 0.88 0.06 0.06 -o "$work/font-notes"
[ -d "$work/toy-notes" ] ||
    "$ears" corpus build toy --count 15000 --instruments 300 --seed 7 --split 0.9 0.05 0.05 -o "$work/toy-notes"

"$ears" train listener --corpora "$work/font-notes" "$work/toy-notes" --epochs 35 \
    --accelerator cuda -o "$work/listener" "$@"
"$ears" train judge --corpora "$work/font-notes" "$work/toy-notes" --epochs 10 \
    --accelerator cuda -o "$work/judge"

cp "$work/listener/model.onnx" src/mechanical_ears/listening/weights/listener.onnx
mkdir -p src/mechanical_ears/evaluation/weights
cp "$work/judge/judge.safetensors" src/mechanical_ears/evaluation/weights/judge.safetensors
