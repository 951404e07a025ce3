"""A page of training samples of each network, to look at before training.

python -m training.samples_page DATA OUT.png
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import TrainConfig
from training.fit import open_sources
from training.samples import Sample, Source, inpainter_sample, matte_sample, segmenter_sample

Array = NDArray[np.float32]  # (3, H, W) RGB or (1, H, W) grey, in [0, 1]

ROWS_OF_EACH = 6
CELL_PIXELS = 160
GAP_PIXELS = 4


def segmenter_row(sample: Sample) -> list[Array]:
    """Four frames, where the overlay is and where scene text is."""
    target = sample["target"].max(0)
    return [*sample["frames"], target[:1], target[1:]]


def matte_row(sample: Sample) -> list[Array]:
    """The mean seen, its extent as segmented, then the truth: opacity, colour, clean."""
    statistics = sample["statistics"]
    return [statistics[1:4] + 0.5, statistics[:1], sample["opacity"], sample["colour"] * sample["opacity"], sample["clean"]]


def inpainter_row(sample: Sample) -> list[Array]:
    """The target, its mask, its opacity, two references, and the clean target."""
    frames = sample["frames"]
    return [frames[0], sample["mask"][0], sample["opacity"][0], frames[3], frames[4], sample["clean"][0]]


NETWORKS: tuple[tuple[Callable[[Source, int], Sample], Callable[[Sample], list[Array]]], ...] = (
    (segmenter_sample, segmenter_row),
    (matte_sample, matte_row),
    (inpainter_sample, inpainter_row),
)


def page(source: Source, rows_of_each: int = ROWS_OF_EACH) -> Image.Image:
    """Each network's samples below each other."""
    rows = [row(sample(source, index)) for sample, row in NETWORKS for index in range(rows_of_each)]
    step = CELL_PIXELS + GAP_PIXELS
    sheet = Image.new("RGB", (max(map(len, rows)) * step, len(rows) * step))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(_cell(picture), (x * step, y * step))
    return sheet


def _cell(picture: Array) -> Image.Image:
    rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
    image = Image.fromarray(np.rint(rgb.clip(0, 1) * 255).astype(np.uint8))
    return image.resize((CELL_PIXELS, CELL_PIXELS), Image.Resampling.NEAREST)


def main(data: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page(open_sources(TrainConfig("samples", data=data)).training).save(path)
    print(f"{ROWS_OF_EACH} samples of each network in {path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
