"""A page to look at before training: every kind of mark, things that are none, and samples of each network with their truth.

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
MARKED_SIDE_PIXELS = 320  # of the pictures that marks and things are shown on
COLOURS = 256  # of the written palette: the page stays below 1.5 MB
TRIES = 5  # of each kind the mark is shown that is seen best


def segmenter_row(sample: Sample) -> list[Array]:
    """Four frames, where the overlay is and where scene text is."""
    target = sample["target"].max(0)
    return [*sample["frames"], target[:1], target[1:]]


def matte_row(sample: Sample) -> list[Array]:
    """The mean seen, its extent as segmented, then the truth: opacity, colour, clean."""
    statistics = sample["statistics"]
    return [statistics[1:4] + 0.5, statistics[:1], sample["opacity"], sample["colour"] * sample["opacity"], sample["clean"]]


def inpainter_row(sample: Sample) -> list[Array]:
    """The target, what is believed of its mark, the references laid over it (two neighbours, two from farther off), the clean target."""
    target, *references = sample["frames"]
    return [target, sample["colour"][0] * sample["opacity"][0], *references, sample["clean"][0]]


NETWORKS: tuple[tuple[Callable[[Source, int], Sample], Callable[[Sample], list[Array]]], ...] = (
    (segmenter_sample, segmenter_row),
    (matte_sample, matte_row),
    (inpainter_sample, inpainter_row),
)


def page(source: Source, rows_of_each: int = ROWS_OF_EACH) -> Image.Image:
    """Every kind of mark and thing with its name, then each network's samples, below each other."""
    rows = _wrapped([_titled(picture, name) for name, picture in [*marks(source), *things(source)]])
    for sample, row in NETWORKS:
        rows += [[_cell(picture) for picture in row(sample(source, index))] for index in range(rows_of_each)]
    step = CELL_PIXELS + GAP_PIXELS
    sheet = Image.new("RGB", (COLUMNS * step, len(rows) * step))
    for y, cells in enumerate(rows):
        for x, cell in enumerate(cells):
            sheet.paste(cell, (x * step, y * step))
    return sheet


def marks(source: Source) -> list[tuple[str, Picture]]:
    """Each kind of mark once, in a frame in which it is there."""
    return [(kind, _clearest(source, number, partial(_marked, source, kind))) for number, kind in enumerate(watermarks.KINDS)]


def things(source: Source) -> list[tuple[str, Picture]]:
    """Each kind of thing that is no mark once, and the fixed frames."""
    kinds = (*distractors.THINGS, "framing")
    return [(f"no mark: {kind}", _clearest(source, number + 7, partial(_with_thing, source, kind))) for number, kind in enumerate(kinds)]


def _marked(source: Source, kind: str, picture: Picture, rng: Rng) -> Picture:
    height, width = picture.shape[:2]
    mark = watermarks.draw(kind, rng, width, height, 96, source.vocabulary, source.pictures)
    visible = mark.visible()
    return watermarks.apply(picture, mark.patches[visible[len(visible) // 2]]) if visible else picture


def _with_thing(source: Source, kind: str, picture: Picture, rng: Rng) -> Picture:
    canvas = Canvas(picture.shape[1], picture.shape[0], 1, source.vocabulary, source.pictures, source.cutouts)
    patch = distractors.framing(rng, canvas) if kind == "framing" else distractors.thing(rng, canvas, kind).patch
    return watermarks.apply(picture, patch)


def _clearest(source: Source, number: int, drawn: Callable[[Picture, Rng], Picture]) -> Picture:
    """Of some tries, the picture that differs most from the one without."""
    tries = []
    for i in range(TRIES):
        ground = _ground(source, number + i * len(watermarks.KINDS))
        picture = drawn(ground, source.rng(1000 * number + i))
        tries.append((float(np.abs(picture.astype(np.int16) - ground).mean()), picture))
    return max(tries, key=lambda tried: tried[0])[1]


def _ground(source: Source, number: int) -> Picture:
    """The middle square of one of the source's pictures."""
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
