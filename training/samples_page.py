"""Draws a page to inspect before training: every kind of mark and distractor, and samples of each network with their truth.

python -m training.samples_page DATA OUT.png
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training import distractors, watermarks
from training.config import TrainConfig
from training.fit import open_sources
from training.patches import Canvas
from training.restoration import inpainter_sample
from training.samples import Sample, matte_sample, segmenter_sample
from training.scenes import Source

Array = NDArray[np.float32]  # (3, H, W) RGB or (1, H, W) grey, in [0, 1]
Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Rng = np.random.Generator

ROWS_OF_EACH = 5
COLUMNS = 7
CELL_PIXELS = 176
TITLE_PIXELS = 14
GAP_PIXELS = 4
MARKED_SIDE_PIXELS = 320  # of the pictures on which marks and objects are drawn
COLOURS = 256  # of the palette, which keeps the page below 1.5 MB
TRIES = 5  # draws of each kind, of which the most visible is shown


def segmenter_row(sample: Sample) -> list[Array]:
    """The frames, the overlay target and the scene text target."""
    target = sample["target"].max(0)
    return [*sample["frames"], target[:1], target[1:]]


def matte_row(sample: Sample) -> list[Array]:
    """The mean frame and the probability, then the truth: opacity, coloured mark, clean."""
    statistics = sample["statistics"]
    return [statistics[1:4] + 0.5, statistics[:1], sample["opacity"], sample["colour"] * sample["opacity"], sample["clean"]]


def inpainter_row(sample: Sample) -> list[Array]:
    """The target, its mark model, the aligned references (two neighbours, two more distant), and the clean target."""
    target, *references = sample["frames"]
    return [target, sample["colour"][0] * sample["opacity"][0], *references, sample["clean"][0]]


NETWORKS: tuple[tuple[Callable[[Source, int], Sample], Callable[[Sample], list[Array]]], ...] = (
    (segmenter_sample, segmenter_row),
    (matte_sample, matte_row),
    (inpainter_sample, inpainter_row),
)


def page(source: Source, rows_of_each: int = ROWS_OF_EACH) -> Image.Image:
    """Every kind of mark and object with its name, followed by rows of each network's samples."""
    rows = _wrapped([_titled(picture, name) for name, picture in [*marks(source), *objects(source)]])
    for sample, row in NETWORKS:
        rows += [[_cell(picture) for picture in row(sample(source, index))] for index in range(rows_of_each)]
    step = CELL_PIXELS + GAP_PIXELS
    sheet = Image.new("RGB", (COLUMNS * step, len(rows) * step))
    for y, cells in enumerate(rows):
        for x, cell in enumerate(cells):
            sheet.paste(cell, (x * step, y * step))
    return sheet


def marks(source: Source) -> list[tuple[str, Picture]]:
    """Each kind of mark once, in a frame that shows it."""
    return [(kind, _clearest(source, number, partial(_marked, source, kind))) for number, kind in enumerate(watermarks.KINDS)]


def objects(source: Source) -> list[tuple[str, Picture]]:
    """Each kind of distractor once, and a static frame."""
    kinds = (*distractors.OBJECT_KINDS, "framing")
    return [(f"no mark: {kind}", _clearest(source, number + 7, partial(_with_object, source, kind))) for number, kind in enumerate(kinds)]


def _marked(source: Source, kind: str, picture: Picture, rng: Rng) -> Picture:
    height, width = picture.shape[:2]
    mark = watermarks.draw(kind, rng, width, height, 96, source.vocabulary, source.pictures)
    visible = mark.visible()
    return watermarks.apply(picture, mark.patches[visible[len(visible) // 2]]) if visible else picture


def _with_object(source: Source, kind: str, picture: Picture, rng: Rng) -> Picture:
    canvas = Canvas(picture.shape[1], picture.shape[0], 1, source.vocabulary, source.pictures, source.cutouts)
    patch = distractors.framing(rng, canvas) if kind == "framing" else distractors.scene_object(rng, canvas, kind).patch
    return watermarks.apply(picture, patch)


def _clearest(source: Source, number: int, drawn: Callable[[Picture, Rng], Picture]) -> Picture:
    """Of several draws, the picture that differs most from its background."""
    tries = []
    for i in range(TRIES):
        background = _background(source, number + i * len(watermarks.KINDS))
        picture = drawn(background, source.rng(1000 * number + i))
        tries.append((float(np.abs(picture.astype(np.int16) - background).mean()), picture))
    return max(tries, key=lambda attempt: attempt[0])[1]


def _background(source: Source, number: int) -> Picture:
    """The central square of one of the source's pictures."""
    picture = source.pictures[number % len(source.pictures)]
    side = min(picture.shape[:2])
    top, left = ((extent - side) // 2 for extent in picture.shape[:2])
    square = np.ascontiguousarray(picture[top : top + side, left : left + side])
    return cv2.resize(square, (MARKED_SIDE_PIXELS, MARKED_SIDE_PIXELS), interpolation=cv2.INTER_AREA)


def _wrapped(cells: list[Image.Image]) -> list[list[Image.Image]]:
    return [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]


def _titled(picture: Picture, title: str) -> Image.Image:
    cell = Image.new("RGB", (CELL_PIXELS, CELL_PIXELS))
    side = CELL_PIXELS - TITLE_PIXELS
    cell.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX), (TITLE_PIXELS // 2, 0))
    ImageDraw.Draw(cell).text((TITLE_PIXELS // 2, side + 1), title, fill="white")
    return cell


def _cell(picture: Array) -> Image.Image:
    rgb = np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0)
    image = Image.fromarray(np.rint(rgb.clip(0, 1) * 255).astype(np.uint8))
    return image.resize((CELL_PIXELS, CELL_PIXELS), Image.Resampling.BOX)


def main(data: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = page(open_sources(TrainConfig("samples", data=data)).training)
    sheet.quantize(palette=sheet.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{len(watermarks.KINDS)} kinds of marks and {ROWS_OF_EACH} samples of each network in {path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
