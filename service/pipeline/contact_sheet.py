"""Pictures for a person to look at: the contact sheet of a run, and its before/after."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.pipeline.placement import Box

SHEET: Final = "contact_sheet.png"
BEFORE_AFTER: Final = "before_after.png"

CELL_PIXELS: Final = 400  # long side of one picture of the sheet
HALF_PIXELS: Final = 640  # long side of one half of the before/after
GAP_PIXELS: Final = 8
CAPTION_PIXELS: Final = 22
BACKGROUND: Final = (24, 24, 24)
INK: Final = (235, 235, 235)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One frame of a run. marked, clean: (H, W, 3) uint8 RGB. mask, opacity: (H, W) float32 in [0, 1]."""

    frame_index: int
    marked: Picture = field(repr=False)
    mask: NDArray[np.float32] = field(repr=False)
    opacity: NDArray[np.float32] = field(repr=False)
    clean: Picture = field(repr=False)


def write(samples: Sequence[Sample], path: Path) -> None:
    """A PNG with two rows a sample, the whole picture and the mark close up: marked, mask, opacity, clean."""
    rows = []
    for sample in samples:
        pictures = [sample.marked, _grey(sample.mask), _grey(sample.opacity), sample.clean]
        names = [f"frame {sample.frame_index}: marked", "mask", "opacity", "clean"]
        rows.append(_row(pictures, names, CELL_PIXELS))
        rows.append(_row([picture[_near(sample.mask).slices] for picture in pictures], ["close up", "", "", ""], CELL_PIXELS))
    _save(_stack(rows), path)


def before_after(samples: Sequence[Sample], path: Path) -> None:
    """A PNG with the frame that shows most of the mark, before and after, whole and close up."""
    if not samples:
        return
    sample = max(samples, key=lambda one: float((one.mask * one.opacity).sum()))
    near = _near(sample.mask).slices
    whole = _row([sample.marked, sample.clean], ["before", "after"], HALF_PIXELS)
    close = _row([sample.marked[near], sample.clean[near]], ["before, close up", "after, close up"], HALF_PIXELS)
    _save(_stack([whole, close]), path)


def _grey(values: NDArray[np.float32]) -> Picture:
    """(H, W) in [0, 1] -> (H, W, 3) uint8."""
    grey = np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _near(mask: NDArray[np.float32]) -> Box:
    """The mark's surroundings: the box of the mask, a quarter wider on each side, not flatter than 1:3 where the picture allows."""
    height, width = mask.shape
    rows, columns = np.flatnonzero((mask > 0.5).any(axis=1)), np.flatnonzero((mask > 0.5).any(axis=0))
    if rows.size == 0:
        return Box(0, 0, width, height)
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    half_width = max(right - left, (bottom - top) / 3) * 0.75
    half_height = max(bottom - top, (right - left) / 3) * 0.75
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    return Box(
        max(0, int(middle_x - half_width)),
        max(0, int(middle_y - half_height)),
        min(width, int(middle_x + half_width) + 1),
        min(height, int(middle_y + half_height) + 1),
    )


def _row(pictures: Sequence[Picture], names: Sequence[str], long_side_pixels: int) -> Image.Image:
    """Pictures of one size beside each other, a name above each."""
    height, width = pictures[0].shape[:2]
    scale = long_side_pixels / max(width, height)
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    row = Image.new("RGB", (len(pictures) * (cell[0] + GAP_PIXELS) + GAP_PIXELS, cell[1] + CAPTION_PIXELS), BACKGROUND)
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(size=CAPTION_PIXELS * 0.6)
    for index, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        left = GAP_PIXELS + index * (cell[0] + GAP_PIXELS)
        draw.text((left, 4), name, fill=INK, font=font)
        row.paste(Image.fromarray(picture).resize(cell, Image.Resampling.LANCZOS), (left, CAPTION_PIXELS))
    return row


def _stack(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows under each other; a note where there are none."""
    width = max((row.width for row in rows), default=CELL_PIXELS)
    sheet = Image.new("RGB", (width, sum(row.height for row in rows) + GAP_PIXELS if rows else 2 * CAPTION_PIXELS), BACKGROUND)
    if not rows:
        ImageDraw.Draw(sheet).text((GAP_PIXELS, GAP_PIXELS), "no mark was found", fill=INK)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def _save(sheet: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, format="PNG", optimize=True)
