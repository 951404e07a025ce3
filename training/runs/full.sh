#!/usr/bin/env bash
# The whole story, which makes the weights: look at the samples, draw them once, train the three networks, draw the curves, score, export.
# Run from the repository root, in an environment with the extras `cpu` (or `cuda`) and `train`, with the fonts of training/README.md:
#
#     training/runs/full.sh DATA
#
# DATA has clips/ and photos/. On a GPU it takes half an hour, one network after the other, their time set by training/configs/gpu; on two
# CPU cores it takes hours, and two networks learn at a time. Stopped and started again, it goes on where it was. 12 GiB of
# decoded clips go to build/clips, and 20 GiB of samples to build/store.
set -euo pipefail
data=$1
export OMP_NUM_THREADS=1

store() { # FOLDER NETWORK SAMPLES OPTIONS
    python -m training.store "$data" "build/store/$1" --network "$2" --samples "$3" --workers "$(nproc)" "${@:4}"
}

learn() { # NETWORK CONFIGS
    local stores="build/store/$1"
    if [ "$1" = inpainter ]; then stores="build/store/recorded,$stores"; fi
    python -m "training.train_$1" "$2/$1.toml" --data "$data" --store "$stores"
}

python -m training.samples_page "$data" build/samples.png

store segmenter segmenter 8192 --mistake-share 0.05
store matte matte 4096
store inpainter inpainter 4096
store recorded inpainter 4096 --recorded

if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    for network in segmenter matte inpainter; do
        learn "$network" training/configs/gpu
    done
else
    learn segmenter training/configs &
    segmenter=$!
    learn inpainter training/configs &
    inpainter=$!
    wait -n
    learn matte training/configs
    wait "$segmenter"
    wait "$inpainter"
fi

python -m training.curves build/runs docs/images/training.png
python -m training.evaluate --weights build/runs --data "$data"

for network in segmenter matte inpainter; do
    python -m models.export "$network" "build/runs/$network/best.pt"
done
