#!/usr/bin/env bash
# libx264 (in PyAV 18.1.0's FFmpeg): with a rate buffer (maxrate and bufsize) and more than one thread, the same pictures with the same options
# give a different file each time. Without the buffer, or with one thread, all files are equal byte by byte, as its "deterministic"
# default suggests for both. A test or a cache that compares encoded files has to compare pictures before the encoder instead.
# Seen: 1 thread, buffer: 1 distinct file of 4. 4 threads, no buffer: 1 of 4. 2 threads, buffer: 4 of 4. 4 threads, buffer: 4 of 4.
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'PYTHON'
import hashlib
import io
import sys

import av
import numpy as np

rng = np.random.default_rng(1)
wall = rng.integers(0, 255, (700, 900), np.uint8)
pictures = []
for i in range(60):  # a pan over noise, cut three times
    luma = wall[2 * i : 2 * i + 360, 3 * i : 3 * i + 640] if i % 20 else rng.integers(0, 255, (360, 640), np.uint8)
    pictures.append(np.concatenate([luma, np.full((180, 640), 128, np.uint8)]))


def encoded(threads: int, buffered: bool) -> str:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "medium", "crf": "16"} | ({"maxrate": "1500000", "bufsize": "1500000"} if buffered else {})
        stream.codec_context.thread_count = threads
        for picture in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        target.mux(stream.encode())
    return hashlib.sha256(file.getvalue()).hexdigest()


print("PyAV", av.__version__, "libavcodec", ".".join(map(str, av.library_versions["libavcodec"])))
seen = {}
for threads, buffered in ((1, True), (4, False), (2, True), (4, True)):
    seen[threads, buffered] = len({encoded(threads, buffered) for _ in range(4)})
    print(f"threads {threads}, {'buffer' if buffered else 'no buffer'}: {seen[threads, buffered]} distinct files of 4")
reproducible = seen[1, True] == seen[4, False] == 1
sys.exit(0 if reproducible and seen[2, True] > 1 and seen[4, True] > 1 else 1)
PYTHON
