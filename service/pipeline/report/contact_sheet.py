"""The contact sheet of a run, and its before/after picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.arrays import Bytes

SHEET: Final = "contact_sheet.png"
BEFORE_AFTER: Final = "before_after.png"

CELL_PIXELS: Final = 400  # long side of one picture of the sheet
HALF_PIXELS: Final = 640  # long side of one half of the before/after
GAP_PIXELS: Final = 8
CAPTION_PIXELS: Final = 22
NOTE_PIXELS: Final = 600  # width of a sheet that holds only text
BACKGROUND: Final = (24, 24, 24)
INK: Final = (235, 235, 235)


@dataclass(frozen=True)
class PictureSet:
    """A frame or a part of it, before and after. marked, clean: (h, w, 3) uint8 RGB. mask, opacity: (h, w) uint8, 255 = 1."""

    marked: Bytes = field(repr=False)
    mask: Bytes = field(repr=False)
    opacity: Bytes = field(repr=False)
    clean: Bytes = field(repr=False)

    @property
    def by_name(self) -> dict[str, Bytes]:
        """The pictures by name, in display order."""
        return {"marked": self.marked, "mask": self.mask, "opacity": self.opacity, "clean": self.clean}


@dataclass(frozen=True)
class Sample:
    """One frame of a run, shrunk: the whole picture, and a mark in close-up."""

    frame_index: int
    whole: PictureSet
    close: PictureSet


def sheet(samples: Sequence[Sample], note: str = "no mark was found") -> Image.Image:
    """Two rows per sample, the whole picture and the close-up: marked, mask, opacity, clean. Without samples it shows the note."""
    rows = []
    for sample in samples:
        for pictures, title in ((sample.whole, f"frame {sample.frame_index}: "), (sample.close, "close up: ")):
            names = [title + name if name == "marked" else name for name in pictures.by_name]
            rows.append(_picture_row(list(pictures.by_name.values()), names, CELL_PIXELS))
    return stacked(rows or [_note_row(note)])


def write(samples: Sequence[Sample], path: Path) -> None:
    """Write the contact sheet as a PNG."""
    save(sheet(samples), path)


def before_after(samples: Sequence[Sample], path: Path) -> None:
    """Write a PNG of the frame that shows most of the mark: before and after, whole and close up. Without samples there is none."""
    if not samples:
        return
    sample = max(samples, key=lambda candidate: int(candidate.whole.opacity.astype(np.int64).sum()))
    whole = _picture_row([sample.whole.marked, sample.whole.clean], ["before", "after"], HALF_PIXELS)
    close = _picture_row([sample.close.marked, sample.close.clean], ["before, close up", "after, close up"], HALF_PIXELS)
    save(stacked([whole, close]), path)


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows below each other, in one image."""
    result = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows) + GAP_PIXELS), BACKGROUND)
    top = 0
    for row in rows:
        result.paste(row, (0, top))
        top += row.height
    return result


@cache
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all captions."""
    return ImageFont.load_default(size=CAPTION_PIXELS * 0.6)


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG; creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG")


def _note_row(text: str) -> Image.Image:
    row = Image.new("RGB", (NOTE_PIXELS, 2 * CAPTION_PIXELS), BACKGROUND)
    ImageDraw.Draw(row).text((GAP_PIXELS, CAPTION_PIXELS // 2), text, fill=INK, font=font())
    return row


def _picture_row(pictures: Sequence[Bytes], names: Sequence[str], long_side_pixels: int) -> Image.Image:
    """Pictures of one size side by side, each scaled to this long side, with a name above."""
    height, width = pictures[0].shape[:2]
    scale = long_side_pixels / max(width, height)
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    row = Image.new("RGB", (len(pictures) * (cell[0] + GAP_PIXELS) + GAP_PIXELS, cell[1] + CAPTION_PIXELS), BACKGROUND)
    draw = ImageDraw.Draw(row)
    for index, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        left = GAP_PIXELS + index * (cell[0] + GAP_PIXELS)
        draw.text((left, 4), name, fill=INK, font=font())
        row.paste(Image.fromarray(picture).convert("RGB").resize(cell, Image.Resampling.LANCZOS), (left, CAPTION_PIXELS))
    return row
