"""Makes the bundled sample that `make demo` cleans: a few seconds of a freely licensed clip with a moving, translucent mark.

python -m benchmarks.sample CLIP_FOLDER CLIP_NAME samples/marked.mp4
"""

import shutil
import tempfile
from pathlib import Path

import typer

from benchmarks.cases import Case, prepare
from benchmarks.vocabulary import evaluation_vocabulary

FRAMES = 120


def main(folder: Path, clip: str, target: Path, kind: str = "moving", height: int = 720) -> None:
    """Prepare the benchmark's case of that clip and kind, and move the marked file to the target."""
    with tempfile.TemporaryDirectory() as scratch:
        scene = prepare(Case(clip, kind, FRAMES, height), folder, evaluation_vocabulary(), Path(scratch))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(scene.marked, target)


if __name__ == "__main__":
    typer.run(main)
