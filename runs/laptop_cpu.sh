#!/usr/bin/env bash
# From nothing to the shipped weights on 2 cores, without a GPU: the listener in about 75 minutes.
# Needs `make test` once, and: apt install libfluidsynth3 fluid-soundfont-gm musescore-general-soundfont-lossless
# Call it again to resume an interrupted run.
set -euo pipefail
cd "$(dirname "$0")/.."
ears=.venv/bin/ears
fonts=${FONTS:-/usr/share/sounds/sf2}
work=${WORK:-work}
accelerator=${ACCELERATOR:-cpu}
mkdir -p "$work"

# The article's network: 40,000 notes of FluidR3_GM, 31,850 of them for training.
[ -d "$work/article-notes" ] ||
    "$ears" corpus build soundfont "$fonts/FluidR3_GM.sf2" --limit 40000 --seed 0 -o "$work/article-notes"
"$ears" train article --corpus "$work/article-notes" --accelerator "$accelerator" -o "$work/article"

# The listener: 100,000 notes of both fonts, split so that shared samples stay on one side, and
# 15,000 synthesised notes.
[ -d "$work/font-notes" ] ||
    "$ears" corpus build soundfont "$fonts/FluidR3_GM.sf2" "$fonts/MuseScore_General_Full.sf2" \
        --limit 100000 --seed 0 --split 0.88 0.06 0.06 -o "$work/font-notes"
[ -d "$work/toy-notes" ] ||
    "$ears" corpus build toy --count 15000 --instruments 300 --seed 7 --split 0.9 0.05 0.05 -o "$work/toy-notes"
"$ears" train listener --corpora "$work/font-notes" "$work/toy-notes" --epochs 35 \
    --accelerator "$accelerator" -o "$work/listener" "$@"

# The evaluation network, independent of the listener: another seed, spectrogram and architecture.
"$ears" train judge --corpora "$work/font-notes" "$work/toy-notes" --epochs 16 \
    --accelerator "$accelerator" -o "$work/judge"

# The imagination: control maps of 32,000 notes of the same fonts at 44.1 kHz, with the split of the
# notes above: all networks have the same held-out instruments.
[ -d "$work/maps" ] ||
    "$ears" corpus control-maps "$fonts/FluidR3_GM.sf2" "$fonts/MuseScore_General_Full.sf2" \
        --limit 32000 --seed 3 --split-of "$work/font-notes" -o "$work/maps"
"$ears" train imagination --corpora "$work/maps" --accelerator "$accelerator" -o "$work/imagination"

cp "$work/article/model.onnx" src/mechanical_ears/listening/weights/article.onnx
cp "$work/listener/model.onnx" src/mechanical_ears/listening/weights/listener.onnx
cp "$work/listener/listener.safetensors" src/mechanical_ears/listening/weights/listener.safetensors
mkdir -p src/mechanical_ears/evaluation/weights src/mechanical_ears/imagining/weights
cp "$work/judge/judge.safetensors" src/mechanical_ears/evaluation/weights/judge.safetensors
cp "$work"/imagination/{mapper,generator,encoder}.onnx src/mechanical_ears/imagining/weights/
