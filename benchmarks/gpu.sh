#!/usr/bin/env bash
# All that only a machine with an NVIDIA GPU can show, in under eight minutes: what CUDA computes is what the CPU computes, and no part of a
# network stays on the CPU (tests/cuda); each network alone, in both precisions, by full batches; the whole way of a video, its fps, memory and
# steps beside a plain transcode.
#
#     python -m venv build/gpu
#     build/gpu/bin/pip install --require-hashes --no-deps -r requirements/dev.lock
#     build/gpu/bin/pip uninstall -y onnxruntime
#     build/gpu/bin/pip install --require-hashes --no-deps -r requirements/serve-cuda.lock
#     PATH=build/gpu/bin:$PATH benchmarks/gpu.sh
#
# Run from the repository root. Result lines are appended to networks.jsonl and speed.jsonl in RESULTS. Settings by the environment:
#     RESULTS   where the lines go, by default benchmarks/results
#     CLIP      a clean clip of which the videos are made, by default the bundled sample
#     DEVICE    cuda; with cpu the same script runs on a machine without a GPU
#     HEIGHTS, SECONDS_EACH, ROUNDS   of the videos and of each network; 720,1080, 10 and 50
#     FONTS     where the fonts of the evaluation are (a missing one is named), by default /usr/share/fonts
set -euo pipefail
results=${RESULTS:-benchmarks/results} clip=${CLIP:-samples/marked.mp4} device=${DEVICE:-cuda}
mkdir -p "$results"

if [ "$device" = cuda ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
    python -c 'import onnxruntime, sys; sys.exit("CUDAExecutionProvider" not in onnxruntime.get_available_providers() and "no CUDA here")'
fi
python -m pytest -q -m cuda -p no:cacheprovider tests/cuda
python -m benchmarks.networks --device "$device" --rounds "${ROUNDS:-50}" --results "$results/networks.jsonl"
python -m benchmarks.speed "$clip" --device "$device" --heights "${HEIGHTS:-720,1080}" --seconds "${SECONDS_EACH:-10}" --runs 1 \
    --fonts "${FONTS:-/usr/share/fonts}" --cache "$results/videos" --results "$results/speed.jsonl"
echo "took $SECONDS seconds on $device"
