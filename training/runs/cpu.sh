#!/usr/bin/env bash
# The whole story on two CPU cores: look at the samples, train the three networks, draw the curves, export.
# Run from the repository root, in an environment with the extras `cpu` and `train`, with the fonts of training/README.md installed:
#
#     training/runs/cpu.sh DATA
#
# DATA has clips/ and photos/. Stopped and started again, it goes on where it was. About 4 GiB of decoded clips go to build/clips.
set -euo pipefail
data=$1
export OMP_NUM_THREADS=1

python -m training.samples_page "$data" build/samples.png

python -m training.train_segmenter training/configs/segmenter.toml --data "$data" &
python -m training.train_inpainter training/configs/inpainter.toml --data "$data" &
wait -n
python -m training.train_matte training/configs/matte.toml --data "$data"
wait

python -m training.curves build/runs docs/images/training.png

python -m models.export segmenter build/runs/segmenter/last.pt
python -m models.export matte build/runs/matte/last.pt
python -m models.export inpainter build/runs/inpainter/last.pt
